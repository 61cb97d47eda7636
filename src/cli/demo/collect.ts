/** From the ledgers of a run to its verdict and its latencies. */

import { Audit, type AuditReport, type DeadLetter, LatencyHistogram, LEDGER_KIND, readLedger } from '../../ops/index.ts'

/** Files of a run. */
export interface RunLedgers {
  readonly produced: readonly string[]
  readonly delivered: readonly string[]
}

/** Latencies from an event's birth to its service, by phase. */
export interface PhaseLatencies {
  readonly paced: LatencyHistogram
  readonly flatOut: LatencyHistogram
}

/** Judges a run. Events made before `flatOutFromMs` belong to the paced phase. */
export function judge(
  ledgers: RunLedgers,
  deadLetters: readonly DeadLetter[],
  flatOutFromMs: number
): { audit: AuditReport; latencies: PhaseLatencies } {
  const audit = new Audit()
  const bornMs = new Map<number, Float64Array>()
  for (const path of ledgers.produced) {
    readLedger(path, entry => {
      if (entry.kind !== LEDGER_KIND.produced) return
      audit.produced(entry)
      const times = timesFor(bornMs, entry.producer, entry.event)
      times[entry.event] = entry.timeMs
    })
  }
  const latencies: PhaseLatencies = { paced: new LatencyHistogram(), flatOut: new LatencyHistogram() }
  for (const path of ledgers.delivered) {
    readLedger(path, entry => {
      audit.delivered(entry)
      const born = bornMs.get(entry.producer)?.[entry.event] ?? entry.timeMs
      const histogram = born < flatOutFromMs ? latencies.paced : latencies.flatOut
      histogram.add(entry.timeMs - born)
    })
  }
  for (const letter of deadLetters) audit.deadLettered(letter)
  return { audit: audit.report(), latencies }
}

function timesFor(bornMs: Map<number, Float64Array>, producer: number, event: number): Float64Array {
  const times = bornMs.get(producer)
  if (times !== undefined && event < times.length) return times
  const larger = new Float64Array(Math.max(1 << 16, 2 ** Math.ceil(Math.log2(event + 1))))
  if (times !== undefined) larger.set(times)
  bornMs.set(producer, larger)
  return larger
}
