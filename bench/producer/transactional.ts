/**
 * Ingest in transactions beside ingest without: the same file, the same Kafka, one process, records of 200 bytes.
 *
 * `node bench/producer/transactional.ts [--records 1000000] [--runs 3] [--partitions 12]`, on an embedded broker of its
 * own, or on `KAFKA_BOOTSTRAP` (`node scripts/with-kafka.ts -- node bench/producer/transactional.ts`).
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Cluster } from '../../src/client/index.ts'
import { producerConfig } from '../../src/config/index.ts'
import { fileSource, startProducer } from '../../src/producer/index.ts'

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '1000000' },
    runs: { type: 'string', default: '3' },
    partitions: { type: 'string', default: '12' }
  }
})
const [records, runs, partitionCount] = [values.records, values.runs, values.partitions].map(Number) as [
  number,
  number,
  number
]

const given = process.env['KAFKA_BOOTSTRAP'] ?? ''
const broker = given === '' ? await startBroker() : undefined
const cluster = await Cluster.connect({ bootstrapServers: (broker?.bootstrapServers ?? given).split(',') })
const folder = mkdtempSync(join(tmpdir(), 'comporta-bench-'))
const path = join(folder, 'events.ndjson')
const filler = 'x'.repeat(140)
const lines = Array.from({ length: records }, (_, n) => `{"n":${n},"truck_id":"T-${n % 1000}","fill":"${filler}"}\n`)
writeFileSync(path, lines.join(''))

async function ingest(name: string, recordsMax: number | undefined): Promise<number> {
  const topics = [name, `${name}-dead`, `${name}-state`]
  await new Admin(cluster).createTopics(topics.map(topic => ({ topic, partitionCount, replicationFactor: -1 })))
  const transaction = { id: name, stateTopic: `${name}-state`, recordsMax: recordsMax ?? 1 }
  const config = producerConfig({
    route: { topic: name },
    key: { strategy: 'field', field: 'truck_id' },
    deadLetterTopic: `${name}-dead`,
    ...(recordsMax === undefined ? {} : { delivery: { transaction } })
  })
  const producer = await startProducer({ config, cluster })
  const startMs = performance.now()
  const { error } = await producer.run(fileSource(path))
  const seconds = (performance.now() - startMs) / 1000
  await producer.drain()
  if (error !== undefined) throw error
  return records / seconds
}

const cases: readonly (readonly [string, number | undefined])[] = [
  ['without transactions', undefined],
  ['1,000 a transaction', 1000],
  ['10,000 a transaction', 10_000],
  ['100,000 a transaction', 100_000]
]
const results = new Map<string, number[]>(cases.map(([name]) => [name, []]))
for (let run = 0; run < runs; run += 1) {
  for (const [index, [name, recordsMax]] of cases.entries()) {
    results.get(name)?.push(await ingest(`bench-${process.pid}-${run}-${index}`, recordsMax))
  }
}
console.log(
  `Node ${process.version}, ${availableParallelism()} × ${cpus()[0]?.model ?? ''}, ${records} records of ~190 B`
)
for (const [name, rates] of results) {
  const sorted = rates.toSorted((left, right) => left - right).map(rate => Math.round(rate).toLocaleString('en'))
  console.log(`${name.padEnd(24)} ${sorted.join('  ')} records/s`)
}
await cluster.close()
await broker?.close()
rmSync(folder, { recursive: true })
