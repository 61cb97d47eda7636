/**
 * The HTTP sink of the rolling restart: looks for every record, and notes when each batch came and how old its oldest
 * record was. `GET /` answers all of it.
 */

import { DeliveryCheck, type DeliveryReport } from '../support/delivery-check.ts'
import { serveLean } from '../support/lean-http.ts'

/** One batch: when it came, and when its first record was made; epoch milliseconds. */
export type Arrival = readonly [timeMs: number, firstRecordMs: number]

/** What the sink answers. */
export interface RollingReport extends DeliveryReport {
  /** By partition. */
  readonly arrivals: readonly (readonly Arrival[])[]
}

const check = new DeliveryCheck()
const arrivals: Arrival[][] = []

const { url } = await serveLean({
  isBodyKept: () => true,
  answer: ({ method, path }, body) => {
    if (method === 'GET') {
      const report: RollingReport = { ...check.report(), arrivals: path === '/arrivals' ? arrivals : [] }
      return { text: JSON.stringify(report), delayMs: 0 }
    }
    const timeMs = performance.timeOrigin + performance.now()
    const { partition, timestamps } = check.take(body)
    arrivals[partition] ??= []
    arrivals[partition].push([timeMs, timestamps[0] ?? 0])
    return { text: '{}', delayMs: 0 }
  }
})

process.stdout.write(`${JSON.stringify({ url })}\n`)
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
