/** A broker as a process of its own that says what it logs: `logging-broker-process.ts DATA_DIR`. Address first. */

import { startBroker } from '../../src/broker/index.ts'
import { createLogger } from '../../src/telemetry/index.ts'

const dataDir = process.argv[2]
if (dataDir === undefined) throw new Error('usage: logging-broker-process.ts DATA_DIR')
const logger = createLogger({ destination: { write: line => void process.stderr.write(line) } })
const broker = await startBroker({ dataDir, logger, config: { 'log.flush.offset.checkpoint.interval.ms': '200' } })
process.once('SIGTERM', () => void broker.close())
console.log(JSON.stringify({ bootstrapServers: broker.bootstrapServers }))
