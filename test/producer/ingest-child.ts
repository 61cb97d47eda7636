/** A process of its own that publishes one file, to be killed by a test. Arguments: bootstrap, path, topics as JSON. */

import { Cluster } from '../../src/client/index.ts'
import { fileSource, startProducer } from '../../src/producer/index.ts'
import { producerConfig, type Stage } from './kafka.ts'

const [bootstrapServers = '', path = '', topics = '{}'] = process.argv.slice(2)
const cluster = await Cluster.connect({ bootstrapServers: [bootstrapServers] })
// Slow enough to be killed in the middle.
const rate = { recordsPerSecond: 20_000, burstMs: 10 }
const config = producerConfig(JSON.parse(topics) as Stage['topics'], { rate })
const producer = await startProducer({ config, cluster })
const progress = setInterval(() => process.stdout.write(`${producer.status().totals.deliveredCount}\n`), 5)
await producer.run(fileSource(path))
clearInterval(progress)
await producer.drain()
await cluster.close()
