/**
 * Kafka's own log dump tool reads what our log writes: batches, both indexes,
 * the producer snapshot. With `--deep-iteration` it opens every record, with
 * `--index-sanity-check` it checks the index files as a broker does at its start.
 */

import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { VirtualClock } from '../../src/core/index.ts'
import { LogManager, type PartitionLog } from '../../src/broker/log/index.ts'
import { type CompressionName, RecordBatchBuilder } from '../../src/protocol/index.ts'
import { KAFKA_TOOLS, runKafkaTool } from '../support/kafka-jvm.ts'

const START_MS = 1_700_000_000_000
const COMPRESSIONS: readonly CompressionName[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const BATCH_COUNT = 3000
const RECORDS_PER_BATCH = 5

/** A closed partition with several segments, all compressions, times in and out of order, two producers. */
async function writtenPartition(t: TestContext): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'comporta-dump-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const manager = await LogManager.open({ dataDir, clock: new VirtualClock(START_MS) })
  await manager.createTopic({ name: 'dump', configs: { 'segment.bytes': '1048576' } })
  const log = manager.log('dump', 0)
  assert.ok(log)
  for (let index = 0; index < BATCH_COUNT; index++) await appendBatch(log, index)
  await manager.close()
  return join(dataDir, 'dump-0')
}

async function appendBatch(log: PartitionLog, index: number): Promise<void> {
  const builder = new RecordBatchBuilder({ compression: COMPRESSIONS[index % COMPRESSIONS.length] ?? 'none' })
  for (let record = 0; record < RECORDS_PER_BATCH; record++) {
    const timestampMs = START_MS + index * 10 - (index % 7) * 25 + record
    const value = Buffer.from(`${index}-${record}-`.padEnd(150 + ((index * 37) % 400), 'abc'))
    builder.tryAppend(timestampMs, Buffer.from(`key-${index % 50}`), value, [{ key: 'h', value: Buffer.from('x') }])
  }
  const producer = index % 2
  const baseSequence = Math.floor(index / 2) * RECORDS_PER_BATCH
  const stamp = { producerId: BigInt(1000 + producer), producerEpoch: 0, baseSequence }
  const result = await log.append(Buffer.from(builder.build(stamp)))
  assert.equal(result.errorCode, 0)
}

async function dump(folder: string, suffix: string, flags: readonly string[] = []): Promise<string> {
  const names = (await readdir(folder)).filter(name => name.endsWith(suffix)).toSorted()
  assert.ok(names.length > 0, suffix)
  const files = names.map(name => join(folder, name)).join(',')
  const result = await runKafkaTool(KAFKA_TOOLS['kafka-dump-log'], ['--files', files, ...flags])
  return result.stdout + result.stderr
}

test("Kafka's dump tool opens every record of our segments and finds every batch valid", async t => {
  const folder = await writtenPartition(t)

  const output = await dump(folder, '.log', ['--deep-iteration'])

  const batches = output.match(/^baseOffset: \d+ .*$/gm) ?? []
  const records = [...output.matchAll(/^\| offset: (\d+) .*$/gm)].map(match => Number(match[1]))
  assert.equal(batches.length, BATCH_COUNT)
  assert.ok(batches.every(line => line.includes('isvalid: true')))
  assert.ok((output.match(/^Log starting offset: /gm) ?? []).length >= 2, 'several segments')
  assert.deepEqual(
    records,
    Array.from({ length: BATCH_COUNT * RECORDS_PER_BATCH }, (_, offset) => offset)
  )
  for (const name of ['NONE', 'GZIP', 'SNAPPY', 'LZ4', 'ZSTD']) {
    assert.ok(
      batches.some(line => line.toUpperCase().includes(`COMPRESSCODEC: ${name}`)),
      name
    )
  }
})

test("Kafka's dump tool finds our offset and time indexes right, entry by entry", async t => {
  const folder = await writtenPartition(t)

  const offsets = await dump(folder, '.index')
  const times = await dump(folder, '.timeindex')
  const sanity = await dump(folder, 'index', ['--index-sanity-check'])

  assert.match(offsets, /offset: \d+ position: \d+/)
  assert.match(times, /timestamp: \d+ offset: \d+/)
  for (const output of [offsets, times]) {
    assert.doesNotMatch(output, /mismatch|Mismatch|out of order|Found timestamp|non-consecutive/i)
  }
  assert.match(sanity, /passed sanity check/)
  assert.doesNotMatch(sanity, /corrupt|exception/i)
})

test("Kafka's dump tool prints our producer snapshot", async t => {
  const folder = await writtenPartition(t)
  const latest =
    (await readdir(folder))
      .filter(name => name.endsWith('.snapshot'))
      .toSorted()
      .at(-1) ?? ''

  const output = await dump(folder, latest)

  const lastOffset = BATCH_COUNT * RECORDS_PER_BATCH - 1
  const lastSequence = (BATCH_COUNT / 2) * RECORDS_PER_BATCH - 1
  assert.match(
    output,
    new RegExp(`producerId: 1001 producerEpoch: 0 .*lastSequence: ${lastSequence} lastOffset: ${lastOffset}`)
  )
  assert.match(output, /producerId: 1000 producerEpoch: 0/)
})
