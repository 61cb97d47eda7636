/** Fills the topic of the drain benchmark with events of ~200 bytes. Arguments: bootstrap, topic, records, keys. */

import { type AppendRecord, Appender, Cluster } from '../../src/client/index.ts'
import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { readArguments } from '../support/arguments.ts'

const argument = readArguments()
const topic = argument('topic')
const recordCount = Number(argument('records'))
const keyCount = Number(argument('keys'))
const random = new SeededRandom(7)
const cluster = await Cluster.connect({ bootstrapServers: [argument('bootstrap')], clientId: 'bench-fill' })
const appender = new Appender({ cluster, lingerMs: 5 })
let failedCount = 0
const listener = {
  delivered: (): void => undefined,
  failed: (_error: unknown, records: readonly unknown[]): void => void (failedCount += records.length)
}
for (let index = 0; index < recordCount; index += 1) {
  const truck = `T-${String(randomInt(random, keyCount)).padStart(5, '0')}`
  const event = {
    event_id: `e-${index}`,
    truck_id: truck,
    codigo: 400 + randomInt(random, 20),
    ts: 1_700_000_000_000 + index,
    lat: -23.5 - random.next() / 10,
    lon: -46.6 - random.next() / 10,
    speed_kmh: randomInt(random, 110),
    fuel_ratio: random.next(),
    door: 'closed'
  }
  const record: AppendRecord = { topic, key: Buffer.from(truck), value: Buffer.from(JSON.stringify(event)) }
  while (!appender.append(record, listener)) await appender.room()
}
await appender.flush()
await appender.close()
await cluster.close()
if (failedCount > 0) throw new Error(`${failedCount} records were not delivered`)
process.stdout.write(`${JSON.stringify({ records: recordCount })}\n`)
