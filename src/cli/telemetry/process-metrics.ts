/**
 * The process as metrics, by OpenTelemetry's names for processes and Node.js. Read when metrics are looked at; only the
 * delay of the event loop is sampled in between, every 20 ms.
 *
 * Source: semantic conventions, "Process metrics", "Node.js runtime metrics", "V8 JS runtime metrics".
 */

import { monitorEventLoopDelay, performance } from 'node:perf_hooks'

import { type Meter, observeAll } from '../../telemetry/index.ts'

const SAMPLE_MS = 20
const NANOSECONDS = 1e9
/** A look this short after another shares its span of time: several exporters may look. In milliseconds. */
const SPAN_MIN_MS = 5000

/**
 * Has a meter read the process.
 *
 * @returns Ends it.
 */
export function observeProcess(meter: Meter): () => void {
  const delay = monitorEventLoopDelay({ resolution: SAMPLE_MS })
  delay.enable()
  let before = performance.eventLoopUtilization()
  let last = { atMs: performance.now(), utilization: 0, p99: 0, max: 0 }
  const loop = (): typeof last => {
    const atMs = performance.now()
    if (atMs - last.atMs < SPAN_MIN_MS && last.p99 > 0) return last
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, before)
    // The histogram measures the distance of ticks: what is above the distance asked for is delay.
    const seconds = (nanoseconds: number): number =>
      Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds / NANOSECONDS - SAMPLE_MS / 1000) : 0
    last = { atMs, utilization, p99: seconds(delay.percentile(99)), max: seconds(delay.max) }
    before = now
    delay.reset()
    return last
  }
  const end = observeAll(meter, [
    {
      counter: 'process.cpu.time',
      read: result => {
        const { user, system } = process.cpuUsage()
        result.observe(user / 1e6, { 'cpu.mode': 'user' })
        result.observe(system / 1e6, { 'cpu.mode': 'system' })
      }
    },
    { gauge: 'process.memory.usage', read: result => result.observe(process.memoryUsage.rss()) },
    { gauge: 'process.uptime', read: result => result.observe(process.uptime()) },
    { gauge: 'v8js.memory.heap.used', read: result => result.observe(process.memoryUsage().heapUsed) },
    { gauge: 'v8js.memory.external', read: result => result.observe(process.memoryUsage().external) },
    { gauge: 'nodejs.eventloop.utilization', read: result => result.observe(loop().utilization) },
    { gauge: 'nodejs.eventloop.delay.p99', read: result => result.observe(loop().p99) },
    { gauge: 'nodejs.eventloop.delay.max', read: result => result.observe(loop().max) }
  ])
  return () => {
    end()
    delay.disable()
  }
}
