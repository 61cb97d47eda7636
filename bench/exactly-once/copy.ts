/**
 * What exactly once costs: a topic copied to another one by a topic target, at least once and exactly once.
 *
 *     npm run bench:exactly-once -- [--records 300000] [--runs 3] [--batch 500] [--concurrency 12]
 *         [--bootstrap host:port]
 *
 * 12 partitions each, records of ~200 bytes, no module (a plain copy). Runs alternate, each with a group and an output
 * of its own. The time is that from the start of the dispatcher to the last committed offset. Without `--bootstrap` an
 * embedded broker in a process of its own is used; `node scripts/with-kafka.ts -- npm run bench:exactly-once -- \
 * --bootstrap {brokers}` runs it on Apache Kafka.
 */

import { randomBytes } from 'node:crypto'
import path from 'node:path'
import { parseArgs } from 'node:util'

import { Admin, Cluster } from '../../src/client/index.ts'
import { dispatcherConfig } from '../../src/config/index.ts'
import { sleep, systemClock } from '../../src/core/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import { TopicTarget } from '../../src/targets/index.ts'
import { writeArguments } from '../support/arguments.ts'
import { startNode } from '../support/children.ts'
import { machine, median, spread } from '../support/figures.ts'

const PARTITIONS = 12
const { values: options } = parseArgs({
  options: {
    records: { type: 'string', default: '300000' },
    runs: { type: 'string', default: '3' },
    batch: { type: 'string', default: '500' },
    concurrency: { type: 'string', default: String(PARTITIONS) },
    bootstrap: { type: 'string' }
  }
})
const recordCount = Number(options.records)
const folder = path.join(import.meta.dirname, '../drain')
const broker =
  options.bootstrap === undefined
    ? startNode<{ bootstrapServers: string }>(path.join(folder, 'broker.ts'), [])
    : undefined
const bootstrap = options.bootstrap ?? (await broker?.line)?.bootstrapServers ?? ''
const cluster = await Cluster.connect({ bootstrapServers: bootstrap.split(','), clientId: 'bench' })
const admin = new Admin(cluster)
const name = (prefix: string): string => `${prefix}-${randomBytes(4).toString('hex')}`
const input = name('copy-input')
const deadLetterTopic = name('copy-dead')
await admin.createTopics([
  { topic: input, partitionCount: PARTITIONS },
  { topic: deadLetterTopic, partitionCount: 1 }
])
const filled = startNode<unknown>(
  path.join(folder, 'fill.ts'),
  writeArguments({ bootstrap, topic: input, records: recordCount, keys: 5000 })
)
await filled.line
await filled.ended

/** One copy; records per second. */
async function run(isExactlyOnce: boolean): Promise<number> {
  const output = name('copy-output')
  await admin.createTopics([{ topic: output, partitionCount: PARTITIONS }])
  const target = new TopicTarget({ name: 'copy', cluster, route: { topic: output }, isExactlyOnce })
  const config = dispatcherConfig({
    groupId: name('copy'),
    topics: [input],
    deadLetterTopic,
    batch: { recordsMax: Number(options.batch), ageMs: 50 },
    concurrency: Number(options.concurrency),
    target: { type: 'topic', topic: output, exactlyOnce: isExactlyOnce }
  })
  const startMs = systemClock.monotonicMs()
  const dispatcher = await startDispatcher({ config, cluster, target })
  const isDone = (): boolean => {
    const { partitions } = dispatcher.status()
    const committed = partitions.reduce((sum, { committed: offset }) => sum + Number(offset ?? 0n), 0)
    return partitions.length === PARTITIONS && committed >= recordCount
  }
  while (!isDone()) await sleep(systemClock, 2)
  const seconds = (systemClock.monotonicMs() - startMs) / 1000
  await dispatcher.drain()
  await target.close()
  return recordCount / seconds
}

const kinds = { 'at least once': false, 'exactly once': true }
const figures = new Map<string, number[]>(Object.keys(kinds).map(kind => [kind, []]))
for (let index = 0; index < Number(options.runs); index += 1) {
  for (const [kind, isExactlyOnce] of Object.entries(kinds)) figures.get(kind)?.push(await run(isExactlyOnce))
}
const lines = [...figures].map(([kind, found]) => `${kind.padEnd(14)} ${spread(found)} records/s`)
const ratio = median(figures.get('exactly once') ?? []) / median(figures.get('at least once') ?? [])
const what = `${recordCount} records, batches of ${options.batch}, concurrency ${options.concurrency}`
process.stdout.write(`${machine()}\n${what}\n${lines.join('\n')}\nratio ${ratio.toFixed(2)}\n`)
await cluster.close()
broker?.stop()
await broker?.ended
