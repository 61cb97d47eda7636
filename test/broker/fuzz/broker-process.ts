/**
 * The broker that is fuzzed, in a process of its own: `broker-process.ts DATA_DIR`.
 *
 * Prints its address as a line of JSON; after that every line that it logs at
 * level `error` is one line of its standard output, since an error in answer to
 * a client's bytes is a defect.
 */

import { startBroker } from '../../../src/broker/index.ts'
import type { Logger } from '../../../src/telemetry/index.ts'

const dataDir = process.argv[2]
if (dataDir === undefined) throw new Error('usage: broker-process.ts DATA_DIR')

const logger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: (fields, message) => console.log(JSON.stringify({ message, ...fields })),
  child: () => logger
}
const config = { 'group.initial.rebalance.delay.ms': '0', 'offsets.topic.num.partitions': '1' }
const broker = await startBroker({ dataDir, config, logger })
process.once('SIGTERM', () => void broker.close())
console.log(JSON.stringify({ bootstrapServers: broker.bootstrapServers }))
