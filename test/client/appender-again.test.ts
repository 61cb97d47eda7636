import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { Appender, Cluster, type DeliveryListener } from '../../src/client/index.ts'

test('a record that is appended from within the failure of another one has a verdict, too', async t => {
  const broker = await startBroker()
  t.after(() => broker.close())
  const bootstrapServers = broker.bootstrapServers.split(',')
  const cluster = await Cluster.connect({ bootstrapServers, clientId: 'again', requestTimeoutMs: 200 })
  t.after(() => cluster.close())
  const appender = new Appender({ cluster, lingerMs: 0 })
  const record = { topic: 'nowhere', key: null, value: Buffer.from('{}') }
  let failures = 0
  const listener: DeliveryListener = {
    delivered: () => undefined,
    failed: () => {
      failures += 1
      if (failures === 1) appender.append(record, listener)
    }
  }
  appender.append(record, listener)
  for (let waits = 0; failures < 2 && waits < 300; waits += 1) await new Promise(resolve => setTimeout(resolve, 10))
  assert.equal(failures, 2)
  await appender.close(100)
})
