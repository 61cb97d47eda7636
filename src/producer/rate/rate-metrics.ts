/** The rate limits as metrics. Read when metrics are collected. */

import { type Meter, observeAll, type Observing } from '../../telemetry/index.ts'
import type { Limit, RateGate } from './rate-gate.ts'

/**
 * Has the meter read the limits of a producer.
 *
 * @returns Ends it.
 */
export function observeRate(meter: Meter, gate: RateGate): () => void {
  if (gate.limits.length === 0) return () => undefined
  const each =
    (read: (limit: Limit, attributes: { limit: string }) => [number, Record<string, string>][]): Observing =>
    result => {
      for (const limit of gate.limits) {
        for (const [value, attributes] of read(limit, { limit: limit.topic ?? 'all' }))
          result.observe(value, attributes)
      }
    }
  return observeAll(meter, [
    { gauge: 'comporta.producer.rate.share', read: result => result.observe(gate.share) },
    {
      gauge: 'comporta.producer.rate.tokens',
      read: each(({ paced }, attributes) => {
        const { records, bytes } = paced.tokens()
        const pairs: [number, Record<string, string>][] = [
          [records, { ...attributes, unit: 'records' }],
          [bytes, { ...attributes, unit: 'bytes' }]
        ]
        return pairs.filter(([value]) => Number.isFinite(value))
      })
    },
    {
      gauge: 'comporta.producer.rate.waiting',
      read: each(({ paced }, attributes) => [[paced.line.waiterCount, attributes]])
    },
    { counter: 'comporta.producer.rate.waits', read: each(({ paced }, attributes) => [[paced.waitCount, attributes]]) }
  ])
}
