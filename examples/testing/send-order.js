/** What the three examples test: sends an order, keyed by its customer. */

/** @param {import('kafkajs').Producer} producer @param {{ customer: string, item: string }} order */
export async function sendOrder(producer, order) {
  const messages = [{ key: order.customer, value: JSON.stringify(order) }]
  await producer.send({ topic: 'orders', acks: -1, messages })
}
