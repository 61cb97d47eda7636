/** A broker as a process of its own, to be killed: `broker-process.ts DATA_DIR`. Prints its address. */

import { startBroker } from '../../src/broker/index.ts'

const dataDir = process.argv[2]
if (dataDir === undefined) throw new Error('usage: broker-process.ts DATA_DIR')
const broker = await startBroker({ dataDir, config: { 'group.initial.rebalance.delay.ms': '0' } })
process.once('SIGTERM', () => void broker.close())
console.log(JSON.stringify({ bootstrapServers: broker.bootstrapServers }))
