/**
 * The broker that is killed: `broker-crash-process.ts DATA_DIR PORT SETTINGS_JSON`.
 *
 * Prints one line when clients can connect, and afterwards one line of JSON for
 * everything that it logs at level `error`: after a crash of the process alone
 * there is nothing wrong with the disk, so there must be none.
 */

import { startBroker } from '../../src/broker/index.ts'
import type { Logger } from '../../src/telemetry/index.ts'

const [, , dataDir, port, settings] = process.argv
if (dataDir === undefined || port === undefined || settings === undefined) {
  throw new Error('usage: broker-crash-process.ts DATA_DIR PORT SETTINGS_JSON')
}
const logger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: (fields, message) => console.log(JSON.stringify({ message, ...fields })),
  child: () => logger
}
const config = JSON.parse(settings) as Record<string, string> // Given by broker-crash-world.ts.
const broker = await startBroker({ dataDir, port: Number(port), config, logger })
process.once('SIGTERM', () => void broker.close().then(() => process.exit(0)))
console.log('ready')
