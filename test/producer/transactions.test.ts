/** Events in transactions: all or nothing, exactly once over restarts and kills, dead letters and fencing. */

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { type Broker, startBroker } from '../../src/broker/index.ts'
import { Appender } from '../../src/client/index.ts'
import { type EventChunk, fileSource, LineSplitter, type Producer, startProducer } from '../../src/producer/index.ts'
import { createTopic, type ReadRecord, type Stage, stage } from './kafka.ts'
import { numbersOf, readCommitted } from './read-committed.ts'

const STATE = 'ingest-state'

interface Transactional extends Stage {
  readonly broker: Broker
  readonly file: (lines: readonly string[]) => Promise<string>
  readonly produceIn: (settings?: Settings) => Promise<Producer>
  /** What readers of committed records see of the topics for events. */
  readonly committed: (topics?: readonly string[]) => Promise<ReadRecord[]>
}

interface Settings {
  readonly recordsMax?: number
  readonly ageMs?: number
  readonly timeoutMs?: number
  readonly openBytesMax?: number
}

async function transactional(t: TestContext, topicConfig: Record<string, string> = {}): Promise<Transactional> {
  const broker = await startBroker({ config: { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': '100' } })
  t.after(() => broker.close())
  const staged = await stage(t, { bootstrapServers: broker.bootstrapServers, topicConfig })
  await createTopic(staged.cluster, { name: STATE, numPartitions: 1, config: { 'cleanup.policy': 'compact' } })
  const folder = await mkdtemp(join(tmpdir(), 'comporta-transactions-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = async (lines: readonly string[]): Promise<string> => {
    const path = join(folder, 'events.ndjson')
    await writeFile(path, lines.map(line => `${line}\n`).join(''))
    return path
  }
  const produceIn = async (settings: Settings = {}): Promise<Producer> => {
    const { recordsMax = 100, ageMs = 20, timeoutMs = 10_000, openBytesMax } = settings
    const transaction = { id: 'ingest', recordsMax, ageMs, timeoutMs: 5000, stateTopic: STATE }
    const delivery = { lingerMs: 1, batchBytes: 4096, timeoutMs, transaction }
    const config = staged.config({ delivery, ...(openBytesMax === undefined ? {} : { openBytesMax }) })
    const producer = await startProducer({ config, cluster: staged.cluster })
    t.after(() => producer.close())
    return producer
  }
  const committed = (topics: readonly string[] = [staged.topics.hot, staged.topics.cold]): Promise<ReadRecord[]> =>
    readCommitted(staged.cluster, topics)
  return { ...staged, broker, file, produceIn, committed }
}

function lines(count: number): string[] {
  return Array.from({ length: count }, (_, n) => JSON.stringify({ codigo: 400 + (n % 200), truck_id: `T${n % 9}`, n }))
}

function byText(left: string, right: string): number {
  return left < right ? -1 : 1
}

test('a file goes in transactions, and a second run of it publishes nothing', async t => {
  const on = await transactional(t)
  const path = await on.file(lines(1000))

  const first = await on.produceIn()
  assert.equal((await first.run(fileSource(path))).error, undefined)
  await first.drain()
  const second = await on.produceIn()
  const report = await second.run(fileSource(path))
  await second.drain()

  assert.deepEqual(numbersOf(await on.committed()), [...lines(1000).keys()])
  assert.equal(report.error, undefined)
  assert.equal(report.progress.eventCount, 0)
  assert.ok((report.progress.resumedBytes ?? 0) > 10_000)
})

test('events are not there for readers of committed records before their transaction ends', async t => {
  const on = await transactional(t)
  const path = await on.file(lines(50))
  const producer = await on.produceIn({ ageMs: 60_000, recordsMax: 1_000_000 })

  const running = producer.run(fileSource(path))
  while (producer.status().bufferedBytes === 0) await new Promise(resolve => setTimeout(resolve, 5))
  await producer.close()
  const report = await running

  assert.equal(report.error?.code, 'ERR_PRODUCER_DELIVERY_FAILED')
  assert.deepEqual(await on.committed(), [])
})

test('a transaction that fails is written again: nothing twice, nothing missing, the order of keys kept', async t => {
  const on = await transactional(t)
  const path = await on.file(lines(2000))
  for (const [nth, error] of [
    [3, 'INVALID_PRODUCER_EPOCH'],
    [20, 'OUT_OF_ORDER_SEQUENCE_NUMBER'],
    [40, 'UNKNOWN_SERVER_ERROR']
  ] as const) {
    on.broker.faults.inject({ api: 'Produce', nth, fault: { error } })
  }
  on.broker.faults.inject({ api: 'EndTxn', nth: 3, fault: 'closeAfter' })
  on.broker.faults.inject({ api: 'EndTxn', nth: 5, fault: { error: 'COORDINATOR_LOAD_IN_PROGRESS' } })

  const producer = await on.produceIn()
  const { error } = await producer.run(fileSource(path))
  await producer.drain()

  assert.equal(error, undefined)
  const records = await on.committed()
  assert.deepEqual(numbersOf(records), [...lines(2000).keys()])
  const hot = (await on.committed([on.topics.hot])).filter(({ key }) => key === 'T1')
  const inOrder = hot.map(({ value }) => (JSON.parse(value.toString()) as { n: number }).n)
  assert.deepEqual(
    inOrder,
    inOrder.toSorted((a, b) => a - b)
  )
})

test('what Kafka refuses for good and what is no event are dead letters of the same transaction, once', async t => {
  const on = await transactional(t, { 'max.message.bytes': '2000' })
  const tooLong = JSON.stringify({ codigo: 400, truck_id: 'L', n: -1, text: 'x'.repeat(4000) })
  const path = await on.file([...lines(30), tooLong, 'no json', ...lines(60).slice(30)])

  const producer = await on.produceIn()
  const { error } = await producer.run(fileSource(path))
  await producer.drain()

  assert.equal(error, undefined)
  assert.deepEqual(numbersOf(await on.committed()), [...lines(60).keys()])
  const letters = await on.committed([on.topics.dead])
  assert.deepEqual(
    letters.map(({ headers }) => `${headers['comporta-line']} ${headers['comporta-error-class']}`).toSorted(byText),
    ['31 undeliverable', '32 malformed']
  )
})

test('a second producer with the same id ends the first, which commits nothing any more and says so', async t => {
  const on = await transactional(t)
  const path = await on.file(lines(3000))
  const first = await on.produceIn({ recordsMax: 10, ageMs: 10 })
  const rest = await on.produceIn()

  const report = await first.run(fileSource(path))
  const done = await rest.run(fileSource(path))
  await rest.drain()

  assert.equal(report.error?.code, 'ERR_PRODUCER_FENCED')
  assert.match(report.error.message, /another producer has taken over the transactional id ingest/)
  assert.equal(done.error, undefined)
  assert.deepEqual(numbersOf(await on.committed()), [...lines(3000).keys()])
})

test('positions that cannot be read end the start, before anything is published', async t => {
  const on = await transactional(t)
  const appender = new Appender({ cluster: on.cluster, lingerMs: 0 })
  const nobody = { delivered: () => undefined, failed: () => undefined }
  appender.append({ topic: STATE, key: Buffer.from('ingest/file:x'), value: Buffer.from('{"of":"another"}') }, nobody)
  await appender.close()

  await assert.rejects(on.produceIn(), { code: 'ERR_PRODUCER_TRANSACTION', message: /a record of it is no position/ })
})

test('as many small chunks as come at once are taken, whatever the size of a transaction', async t => {
  const on = await transactional(t)
  const producer = await on.produceIn({ recordsMax: 1_000_000, ageMs: 60_000 })
  const chunks = lines(5000).flatMap(line => new LineSplitter(1000).push(Buffer.from(`${line}\n`)) ?? [])

  const submitting = chunks.map(chunk => producer.submit(chunk, { source: 'test' }))
  const submissions = await Promise.all(submitting)
  await producer.commit?.()
  await Promise.all(submissions.map(submission => submission.settled))

  assert.deepEqual(numbersOf(await on.committed()), [...lines(5000).keys()])
})

test('a chunk that does not fit beside those of the open transaction waits for its end, not for ever', async t => {
  const on = await transactional(t)
  const producer = await on.produceIn({ recordsMax: 1_000_000, ageMs: 60_000, openBytesMax: 1_048_576 })
  const chunkOf = (n: number, bytes: number): EventChunk => {
    const line = JSON.stringify({ codigo: 400, truck_id: 'T', n, fill: 'x'.repeat(bytes) })
    const chunk = new LineSplitter(1_000_000).push(Buffer.from(`${line}\n`))
    assert.ok(chunk !== undefined)
    return chunk
  }
  const first = await producer.submit(chunkOf(0, 400_000), { source: 'test' })
  const second = await producer.submit(chunkOf(1, 700_000), { source: 'test' })
  assert.equal((await first.settled).deliveredCount, 1) // by the end before the second
  await producer.commit?.()
  assert.equal((await second.settled).deliveredCount, 1)

  // Events so short that what they take besides their bytes is most of it.
  const tiny = Array.from({ length: 3 }, () => new LineSplitter(1000).push(Buffer.from('{}\n'.repeat(25_000))) ?? [])
  const submissions = await Promise.all(tiny.flat().map(chunk => producer.submit(chunk, { source: 'test' })))
  await producer.commit?.()
  const settlements = await Promise.all(submissions.map(({ settled }) => settled))
  assert.equal(
    settlements.reduce((sum, { deadLetteredCount }) => sum + deadLetteredCount, 0),
    75_000
  )
})
