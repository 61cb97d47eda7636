/** Kafka's own log dump tool reads our `__transaction_state`, and the transactional offsets in `__consumer_offsets`. */

import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startBroker } from '../../src/broker/index.ts'
import { txnOffsetCommitApi } from '../../src/protocol/index.ts'
import { createTopic, errorOf, type Peer } from '../conformance/support.ts'
import { PROTOCOLS, TransactionalProducer } from '../conformance/transactions-support.ts'
import { uniqueName } from '../support/cluster.ts'
import { KAFKA_TOOLS, runKafkaTool } from '../support/kafka-jvm.ts'
import { RawConnection } from '../support/raw-connection.ts'

/** What the tool prints of all partitions of a topic that hold something. */
async function dump(dataDir: string, topic: string, flag: string): Promise<string> {
  const folders = (await readdir(dataDir)).filter(name => name.startsWith(`${topic}-`))
  const files = folders.map(name => join(dataDir, name, '00000000000000000000.log'))
  const sizes = await Promise.all(files.map(async file => (await stat(file)).size))
  const filled = files.filter((_, index) => (sizes[index] ?? 0) > 0)
  const args = ['--files', filled.join(','), flag]
  const { stdout, stderr } = await runKafkaTool(KAFKA_TOOLS['kafka-dump-log'], args)
  return stdout + stderr
}

test("Kafka's dump tool decodes our transactional ids and the offsets in transactions", async t => {
  const dataDir = await mkdtemp(join(tmpdir(), 'comporta-dump-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const broker = await startBroker({ dataDir })
  t.after(() => broker.close())
  const cluster = { bootstrapServers: broker.bootstrapServers, isEmbedded: true, uniqueName }
  const peer: Peer = { cluster, connection: await RawConnection.open(t, cluster) }
  const topic = await createTopic(peer, { partitions: 2 })
  const first = await TransactionalProducer.start(peer, PROTOCOLS.version1, { transactionalId: 'before-890' })
  await first.send({ topic, partition: 1 }, 'one')
  await first.end(true)
  const second = await TransactionalProducer.start(peer, PROTOCOLS.version2, { transactionalId: 'since-890' })
  const { producerId } = second.identity
  const partitions = [{ partitionIndex: 0, committedOffset: 5n, committedMetadata: '' }]
  const message = { transactionalId: 'since-890', groupId: 'group', ...second.identity }
  const topics = [{ name: topic.name, partitions }]
  const stored = await peer.connection.request(txnOffsetCommitApi, { version: 5, message: { ...message, topics } })
  assert.equal(errorOf(stored.topics[0]?.partitions[0]), 'NONE')
  await second.end(false)
  await broker.close()

  const ids = await dump(dataDir, '__transaction_state', '--transaction-log-decoder')
  const offsets = await dump(dataDir, '__consumer_offsets', '--offsets-decoder')

  const decoded = [...ids.matchAll(/"transactionalId":"([^"]+)".*?"transactionStatus":(\d+)/g)]
  const statesOf = (id: string): string[] => decoded.filter(match => match[1] === id).map(match => match[2] ?? '')
  assert.deepEqual(statesOf('before-890'), ['0', '1', '2', '4'], 'Empty, Ongoing, PrepareCommit, CompleteCommit')
  assert.deepEqual(statesOf('since-890'), ['0', '1', '3', '5'], 'Empty, Ongoing, PrepareAbort, CompleteAbort')
  assert.match(ids, /"clientTransactionVersion":2/)
  assert.match(ids, new RegExp(topic.name))
  assert.match(ids, new RegExp(`"producerId":${producerId},`))
  assert.doesNotMatch(ids, /isvalid: false|exception/i)
  assert.match(offsets, /isTransactional: true isControl: false/)
  assert.match(offsets, /endTxnMarker: ABORT/)
  assert.match(offsets, new RegExp(`"group":"group","topic":"${topic.name}"`))
})
