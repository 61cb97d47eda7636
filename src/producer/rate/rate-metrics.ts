/** The rate limits as metrics. Read when metrics are collected. */

import type { Meter, ObservableGauge } from '../../telemetry/index.ts'
import type { Limit, RateGate } from './rate-gate.ts'

type Reader = Parameters<ObservableGauge['addCallback']>[0]

/**
 * Has the meter read the limits of a producer.
 *
 * @returns Ends it.
 */
export function observeRate(meter: Meter, gate: RateGate): () => void {
  if (gate.limits.length === 0) return () => undefined
  const share = meter.createObservableGauge('comporta.producer.rate.share', {
    description: 'Share of the rate that this instance has, from 0 to 1; 1 where the rate is not shared.'
  })
  const tokens = meter.createObservableGauge('comporta.producer.rate.tokens', {
    description: 'Records or bytes that a limit would let through at once; below 0 while they are owed.'
  })
  const waiting = meter.createObservableGauge('comporta.producer.rate.waiting', {
    description: 'Chunks that wait at a limit.'
  })
  const waits = meter.createObservableCounter('comporta.producer.rate.waits', {
    description: 'How often a chunk had to wait at a limit.'
  })
  const each =
    (read: (limit: Limit, attributes: { limit: string }) => [number, Record<string, string>][]): Reader =>
    result => {
      for (const limit of gate.limits) {
        for (const [value, attributes] of read(limit, { limit: limit.topic ?? 'all' }))
          result.observe(value, attributes)
      }
    }
  const readShare: Reader = result => result.observe(gate.share)
  const readTokens = each(({ paced }, attributes) => {
    const { records, bytes } = paced.tokens()
    const pairs: [number, Record<string, string>][] = [
      [records, { ...attributes, unit: 'records' }],
      [bytes, { ...attributes, unit: 'bytes' }]
    ]
    return pairs.filter(([value]) => Number.isFinite(value))
  })
  const readWaiting = each(({ paced }, attributes) => [[paced.line.waiterCount, attributes]])
  const readWaits = each(({ paced }, attributes) => [[paced.waitCount, attributes]])
  share.addCallback(readShare)
  tokens.addCallback(readTokens)
  waiting.addCallback(readWaiting)
  waits.addCallback(readWaits)
  return () => {
    share.removeCallback(readShare)
    tokens.removeCallback(readTokens)
    waiting.removeCallback(readWaiting)
    waits.removeCallback(readWaits)
  }
}
