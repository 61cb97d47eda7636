/**
 * A broker as a process of its own, to be killed: `broker-process.ts DATA_DIR
 * [PORT]`. Prints its address.
 */

import { startBroker } from '../../src/broker/index.ts'

const [, , dataDir, port = '0'] = process.argv
if (dataDir === undefined) throw new Error('usage: broker-process.ts DATA_DIR [PORT]')
const config = { 'group.initial.rebalance.delay.ms': '0' }
const broker = await startBroker({ dataDir, port: Number(port), config })
process.once('SIGTERM', () => void broker.close())
console.log(JSON.stringify({ bootstrapServers: broker.bootstrapServers }))
