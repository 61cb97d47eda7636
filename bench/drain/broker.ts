/** The embedded broker of the drain benchmark, in its own process. Prints its address, ends with its parent. */

import { startBroker } from '../../src/broker/index.ts'

const broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
process.stdout.write(`${JSON.stringify({ bootstrapServers: broker.bootstrapServers })}\n`)
process.stdin.resume()
process.stdin.on('end', () => void broker.close().then(() => process.exit(0)))
