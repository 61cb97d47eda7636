/**
 * Appends records one by one at a steady rate until its input ends. A value tells when it was handed over, by the
 * machine's monotonic clock, which all processes share. Arguments: bootstrap, topic, rate.
 */

import { Appender, Cluster } from '../../src/client/index.ts'
import { readArguments } from '../support/arguments.ts'

const argument = readArguments()
const topic = argument('topic')
const rate = Number(argument('rate'))
const cluster = await Cluster.connect({ bootstrapServers: [argument('bootstrap')], clientId: 'bench-publish' })
const appender = new Appender({ cluster, lingerMs: 0 })
const listener = { delivered: (): void => undefined, failed: (error: Error): never => fail(error) }
const padding = 'x'.repeat(140)
const startMs = performance.now()
let count = 0

function fail(error: Error): never {
  throw error
}

function tick(): void {
  for (const due = ((performance.now() - startMs) / 1000) * rate; count < due; count += 1) {
    const nanos = process.hrtime.bigint()
    const value = Buffer.from(`{"nanos":"${nanos}","count":${count},"padding":"${padding}"}`)
    appender.append({ topic, key: Buffer.from(`k-${count % 1000}`), value }, listener)
  }
}

const timer = setInterval(tick, 1)
process.stdin.resume()
process.stdin.on('end', () => {
  clearInterval(timer)
  void appender
    .flush()
    .then(() => appender.close())
    .then(() => cluster.close())
    .then(() => process.stdout.write(`${JSON.stringify({ records: count })}\n`))
})
