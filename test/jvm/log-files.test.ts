/** Kafka's own log dump reads the files that our broker writes: segments, offset indexes, time indexes. */

import assert from 'node:assert/strict'
import { readdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startBroker } from '../../src/broker/index.ts'
import { batchOf, createTopic, type Peer, produce } from '../conformance/support.ts'
import { uniqueName } from '../support/cluster.ts'
import { KAFKA_TOOLS, runKafkaTool } from '../support/kafka-jvm.ts'
import { RawConnection } from '../support/raw-connection.ts'

const batchCount = 60
const recordsPerBatch = 10

/** Files of one partition, after a broker with small segments took `batchCount` batches and was closed. */
async function partitionFilesForTest(t: TestContext): Promise<string[]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'comporta-log-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const config = { 'log.segment.bytes': '1048576' }
  const broker = await startBroker({ dataDir, config })
  t.after(() => broker.close())
  const cluster = { bootstrapServers: broker.bootstrapServers, isEmbedded: true, uniqueName }
  const peer: Peer = { cluster, connection: await RawConnection.open(t, cluster) }

  const topic = await createTopic(peer)
  const start = 1_700_000_000_000
  for (let batch = 0; batch < batchCount; batch++) {
    const values = Array.from(
      { length: recordsPerBatch },
      (_, index) => `record-${batch * recordsPerBatch + index}-${'x'.repeat(6_000)}`
    )
    await produce(peer, topic.name, batchOf(values, { key: `k${batch}`, timestampMs: start + batch }))
  }
  await broker.close()
  const folder = join(dataDir, `${topic.name}-0`)
  return (await readdir(folder)).toSorted((a, b) => a.localeCompare(b)).map(file => join(folder, file))
}

async function dump(files: readonly string[], ...options: string[]): Promise<string> {
  const result = await runKafkaTool(KAFKA_TOOLS['kafka-dump-log'], ['--files', files.join(','), ...options])
  // The tool starts every file at -1, so it finds a gap before each segment but the first; no other one may be there.
  const gaps = result.stderr.split('\n').filter(line => / is followed by /.test(line) && !/^ {2}-1 is /.test(line))
  assert.deepEqual(gaps, [])
  return result.stdout
}

test('every record of every segment is there, once and in order, and every checksum holds', async t => {
  const files = await partitionFilesForTest(t)
  const segments = files.filter(file => file.endsWith('.log'))
  assert.ok(segments.length > 2, `${segments.length} segments`)

  const text = await dump(segments, '--deep-iteration', '--print-data-log')

  const records = [...text.matchAll(/^\| offset: (\d+) .* payload: record-(\d+)-x+$/gm)]
  const expected = Array.from({ length: batchCount * recordsPerBatch }, (_, index) => [String(index), String(index)])
  assert.deepEqual(
    records.map(match => [match[1], match[2]]),
    expected
  )
  assert.equal(text.match(/isvalid: true/g)?.length, batchCount)
  assert.doesNotMatch(text, /isvalid: false|Found|invalid|corrupt/i)
})

test('the indexes are sane by the checks of Kafka, and hold entries', async t => {
  const files = await partitionFilesForTest(t)
  const offsetIndexes = files.filter(file => file.endsWith('.index'))
  const timeIndexes = files.filter(file => file.endsWith('.timeindex'))
  assert.ok(offsetIndexes.length > 2 && timeIndexes.length === offsetIndexes.length)

  const checked = await dump(offsetIndexes, '--index-sanity-check')
  const entries = await dump(offsetIndexes, '--verify-index-only')
  const times = await dump(timeIndexes, '--verify-index-only')

  assert.equal(checked.match(/passed sanity check/g)?.length, offsetIndexes.length)
  for (const text of [checked, entries, times]) assert.doesNotMatch(text, /mismatch|Found|corrupt|invalid/i)
  assert.match(await dump(offsetIndexes.slice(0, 1)), /^offset: \d+ position: \d+$/m)
  assert.match(await dump(timeIndexes.slice(0, 1)), /^timestamp: 17\d+ offset: \d+$/m)
})
