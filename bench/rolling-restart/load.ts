/**
 * Appends records at a steady rate until its input ends; then prints how many there were.
 * Arguments: bootstrap, topic, rate, keys.
 */

import { Appender, Cluster } from '../../src/client/index.ts'
import { readArguments } from '../support/arguments.ts'

const TICK_MS = 4

const argument = readArguments()
const topic = argument('topic')
const rate = Number(argument('rate'))
const keyCount = Number(argument('keys'))
const cluster = await Cluster.connect({ bootstrapServers: [argument('bootstrap')], clientId: 'bench-load' })
const appender = new Appender({ cluster, lingerMs: 1 })
let failedCount = 0
const listener = {
  delivered: (): void => undefined,
  failed: (_error: unknown, records: readonly unknown[]): void => void (failedCount += records.length)
}
const padding = 'x'.repeat(120)
const startMs = performance.now()
let count = 0

function tick(): void {
  for (const due = ((performance.now() - startMs) / 1000) * rate; count < due; count += 1) {
    const value = Buffer.from(JSON.stringify({ event: count, madeMs: Date.now(), padding }))
    // A full appender means that the broker does not keep up: the rest is made at the next tick.
    if (!appender.append({ topic, key: Buffer.from(`k-${count % keyCount}`), value }, listener)) return
  }
}

const timer = setInterval(tick, TICK_MS)
process.stdin.resume()
process.stdin.on('end', () => {
  clearInterval(timer)
  void appender
    .flush()
    .then(() => appender.close())
    .then(() => cluster.close())
    .then(() => process.stdout.write(`${JSON.stringify({ records: count, failed: failedCount })}\n`))
})
