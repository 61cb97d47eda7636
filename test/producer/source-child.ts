/** A process of its own that runs one source of lines, to be killed by a test. Arguments: bootstrap, topics, source. */

import { Cluster } from '../../src/client/index.ts'
import { lineSource } from '../../src/cli/roles/line-sources.ts'
import { startProducer } from '../../src/producer/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'
import { producerConfig, type Stage } from './kafka.ts'

const [bootstrapServers = '', topics = '{}', source = '{}'] = process.argv.slice(2)
const cluster = await Cluster.connect({ bootstrapServers: [bootstrapServers] })
// Slow enough to be killed in the middle.
const rate = { recordsPerSecond: 20_000, burstMs: 10 }
const config = producerConfig(JSON.parse(topics) as Stage['topics'], { rate })
const producer = await startProducer({ config, cluster })
process.on('SIGTERM', () => void producer.drain())
const progress = setInterval(() => process.stdout.write(`${producer.status().totals.deliveredCount}\n`), 5)
// Written by the test as the schema gives it.
const settings = JSON.parse(source) as Parameters<typeof lineSource>[0]
const { error } = await producer.run(lineSource(settings, { logger: silentLogger, isRestart: false }))
clearInterval(progress)
await producer.drain()
await cluster.close()
if (error !== undefined) throw error
