/**
 * A broker as a process of its own, for the benchmarks:
 * `broker-process.ts [--data-dir DIR] [--port NUMBER] [NAME=VALUE …]`. Prints its address as one line of JSON and ends
 * with its standard input.
 */

import { parseArgs } from 'node:util'

import { startBroker } from '../src/broker/index.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'data-dir': { type: 'string' }, port: { type: 'string', default: '0' } }
})
const dataDir = values['data-dir']
const config = Object.fromEntries(positionals.map(setting => setting.split('=', 2)))
const broker = await startBroker({
  ...(dataDir !== undefined && { dataDir }),
  port: Number(values.port),
  config: { 'group.initial.rebalance.delay.ms': '0', ...config }
})
process.stdout.write(`${JSON.stringify({ bootstrapServers: broker.bootstrapServers })}\n`)
const end = (): void => void broker.close().then(() => process.exit(0))
process.once('SIGTERM', end)
process.stdin.resume()
process.stdin.on('end', end)
