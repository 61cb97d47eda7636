/**
 * Kafka's own log dump tool reads what compaction leaves: batches with gaps,
 * empty ones, delete horizons, markers, and all indexes of the new segments.
 */

import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { VirtualClock } from '../../src/core/index.ts'
import { LogManager, type PartitionLog } from '../../src/broker/log/index.ts'
import { type CompressionName, isControl, RecordBatchBuilder, RecordCursor } from '../../src/protocol/index.ts'
import { KAFKA_TOOLS, runKafkaTool } from '../support/kafka-jvm.ts'

const START_MS = 1_700_000_000_000
const COMPRESSIONS: readonly CompressionName[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const ROUNDS = 2000
const KEY_COUNT = 400

interface Compacted {
  readonly folder: string
  /** Offset, key and whether it has a value, of every record that is left; markers too, without a key. */
  readonly left: readonly { readonly offset: number; readonly key: string; readonly isTombstone: boolean }[]
}

/** A closed partition that was compacted twice, with everything that a batch can have. */
async function compactedPartition(t: TestContext): Promise<Compacted> {
  const dataDir = await mkdtemp(join(tmpdir(), 'comporta-dump-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const clock = new VirtualClock(START_MS)
  const manager = await LogManager.open({ dataDir, clock })
  const configs = { 'cleanup.policy': 'compact', 'segment.bytes': '1048576', 'min.cleanable.dirty.ratio': '0' }
  await manager.createTopic({ name: 'dump', configs })
  const log = manager.log('dump', 0)
  assert.ok(log)
  for (let round = 0; round < ROUNDS; round++) await writeRound(log, round)
  assert.ok((await manager.cleaner.cleanAll()) > 0)
  for (let round = ROUNDS; round < ROUNDS * 1.5; round++) await writeRound(log, round)
  assert.ok((await manager.cleaner.cleanAll()) > 0)
  const left = await recordsOf(log)
  await manager.close()
  return { folder: join(dataDir, 'dump-0'), left }
}

/** One plain batch, one of an idempotent producer, and now and then a transaction. */
async function writeRound(log: PartitionLog, round: number): Promise<void> {
  const compression = COMPRESSIONS[round % COMPRESSIONS.length] ?? 'none'
  const append = async (stamp: Parameters<RecordBatchBuilder['build']>[0], seed: number): Promise<void> => {
    const builder = new RecordBatchBuilder({ compression })
    for (let record = 0; record < 5; record++) {
      const key = Buffer.from(`key-${(seed * 31 + record * 7) % KEY_COUNT}`)
      const value =
        (seed + record) % 9 === 0
          ? null
          : Buffer.from(hash('sha512', `${round}/${record}/${seed}`, 'hex').padEnd(300, 'ab'))
      builder.tryAppend(START_MS + round * 10 + record, key, value, [{ key: 'h', value: Buffer.from('x') }])
    }
    const proof = stamp?.isTransactional === true ? { transaction: { isVerified: true } } : {}
    const result = await log.append(Buffer.from(builder.build(stamp)), proof)
    assert.equal(result.errorCode, 0)
  }
  await append({}, round)
  await append({ producerId: 1000n, producerEpoch: 0, baseSequence: round * 5 }, round + 3)
  if (round % 7 !== 0) return
  const producer = { producerId: BigInt(2000 + (round % 3)), producerEpoch: round }
  await append({ ...producer, baseSequence: 0, isTransactional: true }, round + 11)
  const marked = await log.appendMarker({ ...producer, coordinatorEpoch: 0, isCommit: round % 2 === 0 })
  assert.equal(marked.errorCode, 0)
}

async function recordsOf(log: PartitionLog): Promise<Compacted['left']> {
  const left: { offset: number; key: string; isTombstone: boolean }[] = []
  const cursor = new RecordCursor()
  for (let next = log.logStartOffset; next < log.highWatermark;) {
    cursor.reset((await log.read(next, 1 << 20)).records)
    while (cursor.nextBatch()) {
      const isMarker = isControl(cursor.header.attributes)
      while (cursor.nextRecord()) {
        const key = isMarker ? '' : String(cursor.key())
        left.push({ offset: Number(cursor.offset()), key, isTombstone: !isMarker && cursor.value() === null })
      }
      next = cursor.baseOffset + BigInt(cursor.header.lastOffsetDelta) + 1n
    }
  }
  return left
}

async function dump(folder: string, suffix: string, flags: readonly string[] = []): Promise<string> {
  const names = (await readdir(folder)).filter(name => name.endsWith(suffix)).toSorted()
  assert.ok(names.length > 0, suffix)
  const files = names.map(name => join(folder, name)).join(',')
  const result = await runKafkaTool(KAFKA_TOOLS['kafka-dump-log'], ['--files', files, ...flags])
  return result.stdout + result.stderr
}

test("Kafka's dump tool reads compacted segments record by record, and all their indexes", async t => {
  const { folder, left } = await compactedPartition(t)

  const records = await dump(folder, '.log', ['--deep-iteration'])
  const batches = records.match(/^baseOffset: \d+ .*$/gm) ?? []
  assert.ok(batches.length > 0)
  assert.ok(batches.every(line => line.includes('isvalid: true')))
  const offsets = [...records.matchAll(/^\| offset: (\d+) .*$/gm)].map(match => Number(match[1]))
  assert.deepEqual(
    offsets,
    left.map(({ offset }) => offset)
  )
  assert.ok(
    batches.some(line => /count: [1-4] /.test(line)),
    'batches of which a part is left'
  )
  assert.ok(
    batches.some(line => /isControl: false deleteHorizonMs: OptionalLong\[17000/.test(line)),
    'tombstones have a delete horizon'
  )
  assert.ok(batches.some(line => /isControl: true/.test(line)))

  for (const suffix of ['.index', '.timeindex']) {
    const entries = await dump(folder, suffix)
    assert.match(entries, /offset: \d+/)
    assert.doesNotMatch(entries, /mismatch|out of order|Found timestamp|non-consecutive/i)
  }
  const verified = await dump(folder, '.index', ['--verify-index-only'])
  assert.doesNotMatch(verified, /mismatch|exception/i)
  const sanity = await dump(folder, 'index', ['--index-sanity-check'])
  assert.match(sanity, /passed sanity check/)
  assert.doesNotMatch(sanity, /corrupt|exception/i)
})

test("Kafka's dump tool reads the index of aborted transactions beside compacted segments", async t => {
  const { folder } = await compactedPartition(t)
  const names = (await readdir(folder)).filter(name => name.endsWith('.txnindex'))
  assert.ok(names.length > 0, 'the active segment has aborted transactions')

  const output = await dump(folder, '.txnindex')

  assert.match(output, /version: 0 producerId: 200\d firstOffset: \d+ lastOffset: \d+ lastStableOffset: \d+/)
  assert.doesNotMatch(output, /exception/i)
})
