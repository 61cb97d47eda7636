/** An embedded broker to be killed: `embedded-process.ts DATA_DIR ADVERTISED_PORT SESSION_MS`. Prints its port. */

import { startBroker } from '../../src/broker/index.ts'

const [, , dataDir, advertisedPort, sessionMs] = process.argv
if (dataDir === undefined || advertisedPort === undefined || sessionMs === undefined) {
  throw new Error('usage: embedded-process.ts DATA_DIR ADVERTISED_PORT SESSION_MS')
}
const config = {
  'group.initial.rebalance.delay.ms': '0',
  'group.min.session.timeout.ms': '1000',
  'group.consumer.min.session.timeout.ms': '1000',
  'group.consumer.session.timeout.ms': sessionMs,
  'group.consumer.min.heartbeat.interval.ms': '50',
  'group.consumer.heartbeat.interval.ms': '200'
}
const broker = await startBroker({ dataDir, advertisedPort: Number(advertisedPort), config })
process.once('SIGTERM', () => void broker.close().then(() => process.exit(0)))
console.log(broker.port)
