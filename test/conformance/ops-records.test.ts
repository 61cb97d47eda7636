/** Records read, searched and counted on whatever cluster is under test. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { type AppendRecord, TransactionalAppender } from '../../src/client/index.ts'
import {
  compileQuery,
  countRecords,
  getRecord,
  type RangeRequest,
  type ReadEnd,
  type ReadRecord,
  keptRecord,
  readLastRecords,
  recordAt,
  RecordReader,
  type RecordReaderOptions,
  resolveRanges
} from '../../src/ops/index.ts'
import { type ClientPeer, clientForTest, TestAppender, Watch } from './client-support.ts'

const BASE_MS = Date.now() - 3_600_000

/** Record n has the time n seconds after the base; keys lead to partitions. */
function numbered(topic: string, count: number, from = 0): AppendRecord[] {
  return Array.from({ length: count }, (_, index) => {
    const n = from + index
    return { topic, key: Buffer.from(`k${n % 11}`), value: Buffer.from(`{"n":${n}}`), timestampMs: BASE_MS + n * 1000 }
  })
}

interface World extends ClientPeer {
  readonly name: string
  readonly appender: TestAppender
  readonly read: (
    range: Omit<RangeRequest, 'topics'>,
    options?: Partial<RecordReaderOptions>
  ) => Promise<{ numbers: number[]; end: ReadEnd; reader: RecordReader }>
}

async function world(t: TestContext, partitions: number): Promise<World> {
  const peer = await clientForTest(t)
  const name = await peer.topic(partitions)
  const appender = new TestAppender(t, peer.cluster, { lingerMs: 0 })
  const read: World['read'] = async (range, options = {}) => {
    const numbers: number[] = []
    const ranges = await resolveRanges(peer.admin, { topics: [name], ...range })
    const reader = new RecordReader({
      cluster: peer.cluster,
      ranges,
      onRecord: cursor => {
        numbers.push(numberOf(cursor.value()))
        return true
      },
      ...options
    })
    return { end: await reader.run(), numbers, reader }
  }
  return { ...peer, name, appender, read }
}

const numberOf = (value: Buffer | null): number => (JSON.parse(String(value)) as { n: number }).n
const upTo = (count: number, from = 0): number[] => Array.from({ length: count }, (_, index) => from + index)
const sorted = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b)

test('ranges by offset, time, count and both ends', async t => {
  const { name, appender, read, admin } = await world(t, 3)
  await appender.append(...numbered(name, 60))
  assert.deepEqual(sorted((await read({})).numbers), upTo(60))
  const time = (n: number): { at: 'time'; timestampMs: number } => ({ at: 'time', timestampMs: BASE_MS + n * 1000 })
  assert.deepEqual(sorted((await read({ from: time(10), to: time(20) })).numbers), upTo(10, 10))
  assert.deepEqual((await read({ from: time(1000) })).numbers, [])
  const [first] = await resolveRanges(admin, { topics: [name], partitions: [1] })
  const count = Number(first?.endOffset)
  const byOffset = await read({ partitions: [1], from: { at: 'offset', offset: 2n }, to: { at: 'offset', offset: 5n } })
  assert.equal(byOffset.numbers.length, Math.min(3, count - 2))
  assert.deepEqual((await read({ partitions: [1], from: { at: 'last', count: 2 } })).numbers.length, 2)
  assert.deepEqual((await read({ from: { at: 'offset', offset: 99_999n } })).numbers, [], 'beyond the end: nothing')
  await assert.rejects(resolveRanges(admin, { topics: ['no-such-topic'] }), { code: 'ERR_OPS_NOT_FOUND' })
  await assert.rejects(resolveRanges(admin, { topics: [name], partitions: [3] }), { code: 'ERR_OPS_NOT_FOUND' })
})

test('by time the oldest record of all partitions comes first, also when who takes them is slow', async t => {
  const { name, appender, read } = await world(t, 4)
  // Small batches, so that partitions have to wait for one another more than once.
  for (let from = 0; from < 300; from += 50) await appender.append(...numbered(name, 50, from))
  let waits = 0
  const slow = await read(
    {},
    { order: 'time', untilRoom: () => (++waits % 7 === 0 ? new Promise(resolve => setImmediate(resolve)) : undefined) }
  )
  assert.deepEqual([slow.end, slow.numbers], ['all', upTo(300)])
  assert.ok(waits > 20)
  assert.equal(slow.reader.share, 1)
  const few = upTo(5)
  let left = few.length
  const numbers: number[] = []
  const onRecord: RecordReaderOptions['onRecord'] = cursor => {
    numbers.push(numberOf(cursor.value()))
    left -= 1
    return left > 0
  }
  const stopped = await read({}, { order: 'time', onRecord })
  assert.deepEqual([stopped.end, numbers], ['enough', few])
})

test('a search passes over what does not match, and counts what it looked at', async t => {
  const { name, appender, read } = await world(t, 2)
  await appender.append(...numbered(name, 500))
  const matcher = compileQuery({ fields: { n: [{ from: 100, to: 104 }] } })
  const byField = await read({}, { matcher })
  assert.deepEqual([sorted(byField.numbers), byField.reader.recordCount], [upTo(5, 100), 500])
  const byText = await read({}, { matcher: compileQuery({ text: [{ contains: '"n":499' }] }) })
  assert.deepEqual([byText.numbers, byText.reader.recordCount], [[499], 500])
})

test('reading committed leaves out aborted and open transactions and their markers', async t => {
  const { name, appender, read, cluster, server, admin } = await world(t, 1)
  const transactional = new TransactionalAppender({ cluster, transactionalId: server.uniqueName('tx') })
  t.after(() => transactional.close())
  await transactional.start()
  const watch = new Watch()
  let delivered = 0
  const listener = {
    delivered: ({ recordCount }: { recordCount: number }) => {
      delivered += recordCount
      watch.changed()
    },
    failed: () => undefined
  }
  const write = async (from: number, how: 'commit' | 'abort' | 'open'): Promise<void> => {
    const due = delivered + 2
    transactional.begin()
    for (const record of numbered(name, 2, from)) transactional.append(record, listener)
    await watch.until(() => delivered === due)
    if (how === 'commit') await transactional.commitTransaction()
    if (how === 'abort') await transactional.abortTransaction()
  }
  await write(0, 'commit')
  await write(10, 'abort')
  await appender.append(...numbered(name, 1, 20))
  await write(30, 'open')
  const committed = await read({ isReadCommitted: true }, { isReadCommitted: true })
  assert.deepEqual([committed.end, committed.numbers], ['all', [0, 1, 20]])
  assert.deepEqual((await read({})).numbers, [0, 1, 10, 11, 20, 30, 31])
  const last = await readLastRecords({ cluster, admin, topics: [name], count: 3, isReadCommitted: true })
  assert.deepEqual(
    last.records.map(({ value }) => numberOf(value)),
    [0, 1, 20],
    'gaps of transactions are no records'
  )
  await assert.rejects(getRecord({ cluster, admin, at: { topic: name, partition: 0, offset: 2n } }), {
    code: 'ERR_OPS_NOT_FOUND',
    message: /compaction has removed it, or it is the marker of a transaction/
  })
  await transactional.abortTransaction()
})

test('new records are followed until the signal; a partition that was cleared goes on with what there is', async t => {
  const { name, appender, cluster, admin } = await world(t, 1)
  await appender.append(...numbered(name, 5))
  const stop = new AbortController()
  const records: ReadRecord[] = []
  const troubles: string[] = []
  const watch = new Watch()
  const [range] = await resolveRanges(admin, { topics: [name], isFollowing: true, from: { at: 'offset', offset: 3n } })
  assert.ok(range !== undefined)
  const reader = new RecordReader({
    cluster,
    ranges: [range],
    onRecord: (cursor, at) => {
      records.push(keptRecord(recordAt(cursor, at)))
      watch.changed()
      return true
    },
    onTrouble: text => void troubles.push(text),
    signal: stop.signal
  })
  const run = reader.run()
  await watch.until(() => records.length === 2)
  await appender.append(...numbered(name, 1, 5))
  await watch.until(() => records.length === 3)
  assert.deepEqual([reader.share, records.map(({ offset }) => offset)], [undefined, [3n, 4n, 5n]])
  stop.abort()
  assert.equal(await run, 'aborted')

  await admin.deleteRecords([{ topic: name, partition: 0, beforeOffset: 4n }])
  const late: number[] = []
  const end = new RecordReader({
    cluster,
    ranges: [{ ...range, from: 0n, to: 6n }],
    onRecord: cursor => {
      late.push(numberOf(cursor.value()))
      return true
    },
    onTrouble: text => void troubles.push(text)
  })
  assert.equal(await end.run(), 'all')
  assert.deepEqual([late, troubles], [[4, 5], [`${name}-0: records 0 to 3 were deleted meanwhile`]])
})

test('records are counted with their bytes and times, and one is had by its place', async t => {
  const { name, appender, cluster, admin } = await world(t, 2)
  await appender.append(...numbered(name, 100))
  const ranges = await resolveRanges(admin, { topics: [name] })
  const counting = countRecords({ cluster, ranges })
  await counting.reader.run()
  const counts = counting.counts()
  assert.equal(
    counts.reduce((sum, { records }) => sum + records, 0),
    100
  )
  assert.equal(Math.min(...counts.map(({ oldestMs = 0 }) => oldestMs)), BASE_MS)
  assert.equal(Math.max(...counts.map(({ newestMs = 0 }) => newestMs)), BASE_MS + 99_000)
  const filtered = countRecords({ cluster, ranges, matcher: compileQuery({ text: [{ in: 'key', equals: 'k0' }] }) })
  await filtered.reader.run()
  assert.equal(
    filtered.counts().reduce((sum, { records }) => sum + records, 0),
    10
  )
  const at = { topic: name, partition: 1, offset: 3n }
  const record = await getRecord({ cluster, admin, at })
  assert.deepEqual([record.topic, record.partition, record.offset], [name, 1, 3n])
  await assert.rejects(getRecord({ cluster, admin, at: { ...at, offset: 1000n } }), {
    code: 'ERR_OPS_NOT_FOUND',
    message: /it has 0 to \d+/
  })
})

test('a topic that is deleted under a reader is an error, not a wait for ever', async t => {
  const { name, appender, cluster, admin } = await world(t, 1)
  await appender.append(...numbered(name, 1))
  const [range] = await resolveRanges(admin, { topics: [name] })
  assert.ok(range !== undefined)
  await admin.deleteTopics([name])
  const reader = new RecordReader({ cluster, ranges: [range], onRecord: () => true, silenceMs: 200 })
  await assert.rejects(reader.run(), { code: 'ERR_OPS_SILENCE', message: /although there are some/ })
})
