// Run with: node --test examples/testing/orders.node.test.js
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { startBroker } from 'comporta/broker'
import { Kafka, logLevel } from 'kafkajs'
import { sendOrder } from './send-order.js'

let broker
let producer

before(async () => {
  broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
  const kafka = new Kafka({ brokers: [broker.bootstrapServers], logLevel: logLevel.NOTHING })
  producer = kafka.producer({ retry: { initialRetryTime: 10 } })
  await producer.connect()
})

beforeEach(() => broker.faults.clear())

after(async () => {
  await producer.disconnect()
  await broker.close()
})

test('an order survives a broker that is short of replicas for a moment', async () => {
  const fault = { error: 'NOT_ENOUGH_REPLICAS' }
  const injection = broker.faults.inject({ api: 'Produce', topic: 'orders', fault })

  await sendOrder(producer, { customer: 'c1', item: 'lamp' })

  assert.equal(injection.applied, 1) // it failed once …
  const orders = broker.describe().topics.find(topic => topic.name === 'orders')
  assert.equal(orders.partitions[0].highWatermark, 1n) // … and is there once
})
