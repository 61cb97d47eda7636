// Run with: npx vitest run examples/testing/orders.vitest.test.js
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { startBroker } from 'comporta/broker'
import { Kafka, logLevel } from 'kafkajs'
import { sendOrder } from './send-order.js'

let broker
let producer

beforeAll(async () => {
  broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
  const kafka = new Kafka({ brokers: [broker.bootstrapServers], logLevel: logLevel.NOTHING })
  producer = kafka.producer({ retry: { initialRetryTime: 10 } })
  await producer.connect()
})

beforeEach(() => broker.faults.clear())

afterAll(async () => {
  await producer.disconnect()
  await broker.close()
})

test('an order survives a broker that is short of replicas for a moment', async () => {
  const fault = { error: 'NOT_ENOUGH_REPLICAS' }
  const injection = broker.faults.inject({ api: 'Produce', topic: 'orders', fault })

  await sendOrder(producer, { customer: 'c1', item: 'lamp' })

  expect(injection.applied).toBe(1) // it failed once …
  const orders = broker.describe().topics.find(topic => topic.name === 'orders')
  expect(orders.partitions[0].highWatermark).toBe(1n) // … and is there once
})
