/** Publishes one file in transactions, to be killed by a test. Arguments: bootstrap, path, topics as JSON. */

import { Cluster } from '../../src/client/index.ts'
import { fileSource, startProducer } from '../../src/producer/index.ts'
import { producerConfig, type Stage } from './kafka.ts'

interface Topics {
  readonly events: Stage['topics']
  readonly state: string
}

const [bootstrapServers = '', path = '', text = '{}'] = process.argv.slice(2)
const topics = JSON.parse(text) as Topics
const cluster = await Cluster.connect({ bootstrapServers: [bootstrapServers] })
const transaction = { id: topics.state, recordsMax: 500, ageMs: 50, timeoutMs: 5000, stateTopic: topics.state }
const delivery = { lingerMs: 1, batchBytes: 16_384, bufferBytes: 8_388_608, timeoutMs: 30_000, transaction }
const config = producerConfig(topics.events, { delivery })
const producer = await startProducer({ config, cluster })
const progress = setInterval(() => process.stdout.write(`${producer.status().totals.deliveredCount}\n`), 5)
const { error } = await producer.run(fileSource(path))
clearInterval(progress)
await producer.drain()
await cluster.close()
if (error !== undefined) throw error
