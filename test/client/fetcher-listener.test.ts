/**
 * Symptom: none seen. Cause: when the one who takes chunks threw, the failure named the offset behind the chunk, so
 * that who fetched again from there skipped records, and later committed over them. Reach: a failed allocation.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster, Fetcher, type FetchPartitionError } from '../../src/client/index.ts'

test('a chunk that was not taken is named by the failure, so that nothing is skipped', async t => {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  await new Admin(cluster).createTopics([{ topic: 't', partitionCount: 1 }])
  const appender = new Appender({ cluster })
  for (const text of ['a', 'b', 'c']) {
    const listener = { delivered: () => undefined, failed: assert.fail }
    appender.append({ topic: 't', key: null, value: Buffer.from(text) }, listener)
  }
  await appender.close()

  const failure = await new Promise<FetchPartitionError>(resolve => {
    const fetcher = new Fetcher({
      cluster,
      onRecords: () => {
        throw new Error('no memory')
      },
      onPartitionError: resolve
    })
    t.after(() => fetcher.close())
    fetcher.add({ topic: 't', partition: 0, offset: 1n })
    fetcher.start()
  })
  assert.equal(failure.error.code, 'ERR_CLIENT_LISTENER_FAILED')
  assert.equal(failure.offset, 1n)
})
