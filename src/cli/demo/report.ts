/** The report of a run: for people as text, for programs as JSON. */

import type { AuditReport, LatencyHistogram, Violation } from '../../ops/index.ts'
import type { PhaseLatencies } from './collect.ts'
import { thousands } from './progress.ts'

/** Percentiles in milliseconds. */
export interface LatencySummary {
  readonly count: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

/** Everything that a run has shown. */
export interface DemoReport {
  readonly holds: boolean
  readonly cluster: string
  readonly seconds: number
  /** Events a second; undefined for a phase that did not take place. */
  readonly rates: {
    readonly paced: number | undefined
    readonly flatOut: number | undefined
    readonly delivered: number
  }
  readonly latenciesMs: { readonly paced: LatencySummary; readonly flatOut: LatencySummary }
  readonly batches: number
  readonly retries: number
  readonly killed: readonly string[]
  readonly audit: AuditReport
}

/** Percentiles of a phase. */
export function summarize(histogram: LatencyHistogram): LatencySummary {
  const at = (share: number): number => Math.round(histogram.percentileMs(share))
  return { count: histogram.count, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: Math.round(histogram.maxMs) }
}

/** Both phases. */
export function summarizeBoth(latencies: PhaseLatencies): DemoReport['latenciesMs'] {
  return { paced: summarize(latencies.paced), flatOut: summarize(latencies.flatOut) }
}

/** The report as text. */
export function formatReport(report: DemoReport): string {
  const { audit, rates } = report
  const rate = (value: number | undefined): string => (value === undefined ? 'none' : `${thousands(value)} events/s`)
  const rows: [string, string][] = [
    ['cluster', report.cluster],
    ['produced', `${thousands(audit.produced)} events in ${report.seconds.toFixed(1)} s`],
    ['rate, paced', rate(rates.paced)],
    ['rate, flat out', rate(rates.flatOut)],
    ['delivered', `${thousands(audit.delivered)} of ${thousands(audit.deliveriesDue)} due (${rate(rates.delivered)})`],
    ['latency, paced', formatLatency(report.latenciesMs.paced)],
    ['latency, flat out', formatLatency(report.latenciesMs.flatOut)],
    ['batches', `${thousands(report.batches)}, retried ${thousands(report.retries)}`],
    ['killed', report.killed.length === 0 ? 'nothing' : `${report.killed.join(', ')} (SIGKILL)`],
    ['dead letters', formatReasons(audit)]
  ]
  const verdicts: [string, Violation, string][] = [
    ['nothing lost', audit.lost, 'lost'],
    ['order kept per key', audit.outOfOrder, 'out of order'],
    ['nothing unexpected', audit.unexpected, 'unexpected'],
    ['dead letters are the bad events, with reasons', audit.wrongDeadLetters, 'wrongly dead lettered']
  ]
  return [
    '',
    ...rows.map(([name, value]) => `  ${name.padEnd(18)} ${value}`),
    '',
    ...verdicts.map(([name, violation, what]) => formatVerdict(name, violation, what)),
    `  ${duplicatesMark(report)} duplicates: ${thousands(audit.duplicates)}${duplicatesReason(report)}`,
    '',
    report.holds ? '  The audit holds.' : '  THE AUDIT DOES NOT HOLD.',
    ''
  ].join('\n')
}

function formatLatency(latency: LatencySummary): string {
  if (latency.count === 0) return 'none'
  return `p50 ${latency.p50} ms, p95 ${latency.p95} ms, p99 ${latency.p99} ms, max ${latency.max} ms`
}

function formatReasons(audit: AuditReport): string {
  const reasons = Object.entries(audit.deadLettersByReason).map(([reason, count]) => `${thousands(count)} × ${reason}`)
  return `${thousands(audit.deadLettered)}${reasons.length === 0 ? '' : ` (${reasons.join('; ')})`}`
}

function formatVerdict(name: string, violation: Violation, what: string): string {
  if (violation.count === 0) return `  ✓ ${name}`
  return `  ✗ ${name}: ${thousands(violation.count)} ${what}, for example ${violation.examples.join(', ')}`
}

function duplicatesMark(report: DemoReport): string {
  return report.audit.duplicates === 0 || report.killed.length > 0 ? '✓' : '✗'
}

function duplicatesReason(report: DemoReport): string {
  if (report.killed.length === 0 || report.audit.duplicates === 0) return ''
  return ' (in flight when a process was killed, delivered again)'
}
