/** The report of experiments as Markdown: for a review, a game day's protocol, a ticket. Pure. */

import type { ChaosReport, LagPoint } from './judge.ts'

/** Where and with what it was run. */
export interface ChaosContext {
  /** `embedded broker`, or the addresses of a cluster. */
  readonly cluster: string
  /** Epoch milliseconds. */
  readonly startedAtMs: number
  readonly version: string
}

/** One document with a summary and a section for each experiment. */
export function chaosMarkdown(reports: readonly ChaosReport[], context: ChaosContext): string {
  const { cluster, startedAtMs, version } = context
  const held = reports.filter(each => each.verdict === 'holds').length
  const skipped = reports.filter(each => each.verdict === 'skipped').length
  const run = reports.length - skipped
  const besides = skipped === 0 ? '' : `, ${skipped} skipped`
  return [
    '# Rehearsed failures',
    '',
    `${held} of ${run} experiments hold${besides}. Cluster: ${cluster}. ` +
      `Started ${new Date(startedAtMs).toISOString()}. Comporta ${version}.`,
    '',
    '| experiment | verdict | recovered | longest pause | lag at most | rebalances | duplicates | dead letters |',
    '| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...reports.map(summaryRow),
    '',
    ...reports.flatMap(section)
  ].join('\n')
}

function summaryRow(report: ChaosReport): string {
  const { experiment, verdict, recoveredMs, longestPause, lagMax, rebalances } = report
  const cells = [
    experiment,
    `**${verdict}**`,
    milliseconds(recoveredMs),
    milliseconds(longestPause?.ms),
    lagMax,
    rebalances,
    `${report.duplicates ?? '–'} (≤ ${report.duplicatesMax})`,
    report.deadLetters ?? '–'
  ]
  return `| ${cells.join(' | ')} |`
}

function section(report: ChaosReport): string[] {
  const { experiment, summary, hypothesis, verdict, reasons, timeline, lagCurve, longestPause } = report
  const lines = [`## ${experiment}: ${verdict}`, '', summary, '', `Hypothesis: ${hypothesis}`, '']
  if (reasons.length > 0) lines.push(...reasons.map(reason => `* ${oneLine(reason)}`), '')
  if (verdict === 'skipped') return lines
  const pause = longestPause === undefined ? 'none' : `${longestPause.ms} ms (${longestPause.partition})`
  lines.push(
    `Load ${report.ratePerSecond} events/s. Before: ${rateOf(report.before)}. After: ${rateOf(report.after)}. ` +
      `Longest pause of a partition: ${pause}.`,
    '',
    '| ms | what |',
    '| ---: | --- |',
    ...timeline.map(({ atMs, text }) => `| ${atMs} | ${oneLine(text).replaceAll('|', '\\|')} |`),
    ''
  )
  if (lagCurve.length > 1) lines.push('Lag:', '', '```', ...sparkline(lagCurve), '```', '')
  const { audit } = report
  if (audit !== undefined) {
    lines.push(
      `Audit: ${audit.produced} events due, ${audit.delivered} of ${audit.deliveriesDue} deliveries, ` +
        `${audit.lost.count} lost, ${audit.outOfOrder.count} out of order, ${audit.duplicates} duplicates, ` +
        `${audit.deadLettered} dead letters, ${audit.wrongDeadLetters.count} of them wrong.`,
      ''
    )
  }
  return lines
}

function rateOf(state: ChaosReport['before']): string {
  return state === undefined ? '–' : `${Math.round(state.deliveredPerSecond)} deliveries/s, lag ≤ ${state.lagMax}`
}

function milliseconds(ms: number | undefined): string {
  return ms === undefined ? '–' : `${ms} ms`
}

function oneLine(text: string): string {
  return text.split('\n')[0] ?? ''
}

const WIDTH = 80
const LEVELS = ' ▁▂▃▄▅▆▇█'

/** A curve in one line of text: the largest lag of each stretch of time; `×` where Kafka did not answer. */
export function sparkline(curve: readonly LagPoint[]): string[] {
  const endMs = curve.at(-1)?.atMs ?? 0
  const columns: (number | null)[] = []
  for (const { atMs, lag } of curve) {
    const column = Math.min(WIDTH - 1, Math.floor((atMs / Math.max(1, endMs)) * WIDTH))
    const before = columns[column]
    columns[column] = lag === null || before === null ? null : Math.max(before ?? 0, lag)
  }
  const largest = curve.reduce((most, { lag }) => Math.max(most, lag ?? 0), 0)
  let last: number | null = 0
  const marks = Array.from({ length: WIDTH }, (_, index) => {
    const value = columns[index]
    // A stretch without a look is as the one before.
    if (value !== undefined) last = value
    if (last === null) return '×'
    return LEVELS[Math.ceil((last / Math.max(1, largest)) * (LEVELS.length - 1))] ?? ' '
  })
  return [
    marks.join('').trimEnd(),
    `0 s${`${(endMs / 1000).toFixed(1)} s`.padStart(WIDTH - 3)}  (largest: ${largest} records)`
  ]
}
