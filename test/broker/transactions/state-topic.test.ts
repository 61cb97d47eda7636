/** The topic under the transactions: where an id is stored, with which settings, and what damage means. */

import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { AppendSignals } from '../../../src/broker/handlers/append-signals.ts'
import { LogManager } from '../../../src/broker/log/index.ts'
import { BrokerSettings } from '../../../src/broker/settings.ts'
import { StateTopic, TRANSACTION_STATE_TOPIC } from '../../../src/broker/transactions/index.ts'
import { PipelineError, systemClock } from '../../../src/core/index.ts'

async function openTopic(
  t: TestContext,
  given: Record<string, string> = {}
): Promise<{ logs: LogManager; topic: StateTopic }> {
  const dataDir = await fs.mkdtemp(path.join(os.tmpdir(), 'comporta-state-'))
  const logs = await LogManager.open({ dataDir })
  t.after(async () => {
    await logs.close()
    await fs.rm(dataDir, { recursive: true, force: true })
  })
  const settings = new BrokerSettings(given)
  const topic = new StateTopic({ logs, settings, clock: systemClock, signals: new AppendSignals(systemClock) })
  return { logs, topic }
}

const record = (id: string): { key: Buffer; value: Buffer } => ({ key: Buffer.from(id), value: Buffer.alloc(1000) })

test('the topic is compacted and not compressed, with its own count of partitions and segment size', async t => {
  const given = { 'transaction.state.log.num.partitions': '7', 'transaction.state.log.segment.bytes': '2097152' }
  const { logs, topic } = await openTopic(t, given)

  assert.deepEqual(await Promise.all([topic.ensureCreated(), topic.ensureCreated()]), [true, true])

  const created = logs.topic(TRANSACTION_STATE_TOPIC)
  assert.equal(created?.logs.length, 7)
  assert.equal(created?.configs['cleanup.policy'], 'compact')
  assert.equal(created?.configs['compression.type'], 'uncompressed')
  assert.equal(created?.configs['segment.bytes'], '2097152')
})

test("an id lies in the partition that Java's hash of it says", async t => {
  const { logs, topic } = await openTopic(t, { 'transaction.state.log.num.partitions': '50' })
  // "copy".hashCode() is 3059573, "Aa" and "BB" share 2112.
  const partitions = { copy: 23, Aa: 12, BB: 12 }
  for (const [id, partition] of Object.entries(partitions)) assert.equal(topic.partitionOf(id), partition, id)
  assert.equal(await topic.append('copy', record('copy')), 'COORDINATOR_NOT_AVAILABLE', 'before it is created')
  await topic.ensureCreated()
  assert.equal(await topic.append('copy', record('copy')), 'NONE')
  assert.equal(logs.log(TRANSACTION_STATE_TOPIC, 23)?.highWatermark, 1n)
})

test('what was appended is replayed in its order', async t => {
  const { topic } = await openTopic(t, { 'transaction.state.log.num.partitions': '1' })
  await topic.ensureCreated()
  for (const id of ['a', 'b', 'a']) assert.equal(await topic.append(id, record(id)), 'NONE')
  const keys: string[] = []
  await topic.replay(key => void keys.push(key.toString()))
  assert.deepEqual(keys, ['a', 'b', 'a'])
})

test('a __transaction_state that cannot be read to its end fails the replay', async t => {
  const { logs, topic } = await openTopic(t, { 'transaction.state.log.num.partitions': '1' })
  await topic.ensureCreated()
  for (const id of ['a', 'b', 'c']) await topic.append(id, record(id))
  const folder = logs.log(TRANSACTION_STATE_TOPIC, 0)?.folder ?? ''
  await fs.truncate(path.join(folder, '00000000000000000000.log'), 1500)

  await assert.rejects(
    topic.replay(() => undefined),
    error => PipelineError.is(error, 'ERR_BROKER_DATA_DAMAGED')
  )
})
