/** A simulation for people: timeline, curve of the lag, figures, comparison; and its series as CSV. */

import type { Calibration, ComparedRun, SimulationResult, SimulationSummary } from '../../ops/index.ts'
import { count, duration, perSecond } from './format.ts'
import { tableOf } from './table.ts'

const BARS = '▁▂▃▄▅▆▇█'
/** Moments that are shown of a long timeline. */
const MOMENTS_MAX = 60

/** Timeline, curve and figures. */
export function resultText(result: SimulationResult, { columns }: { readonly columns: number }): string {
  const { name, mode, steps, summary, timeline, series, startsAt } = result
  const when = (seconds: number): string => timeText(seconds, startsAt)
  const shown = timeline.slice(0, MOMENTS_MAX)
  const moments = shown.map(({ atS, text }) => `  ${when(atS).padStart(8)}  ${text}\n`)
  const left = timeline.length - shown.length
  const curves = [
    { title: 'lag', values: series.lag, most: `${count(summary.peakLag)} records` },
    { title: 'oldest', values: series.lagSeconds, most: duration(summary.peakLagSeconds) },
    { title: 'instances', values: series.instances, most: count(summary.instancesPeak) }
  ].map(({ title, values, most }) => `  ${title.padEnd(9)} ${sparkline(values, columns - 36)} max ${most}\n`)
  const kind = mode === 'exact' ? 'exact: every batch' : 'fluid: flows'
  return [
    `${name} (${kind}, ${count(steps)} steps, seed ${result.seed})\n\n`,
    ...moments,
    ...(left > 0 ? [`  … and ${left} more; --json has them all\n`] : []),
    '\n',
    ...curves,
    '\n',
    figures(summary, when)
  ].join('')
}

function figures(summary: SimulationSummary, when: (seconds: number) => string): string {
  const unless = (isShown: boolean, row: readonly [string, string]): (readonly [string, string])[] =>
    isShown ? [row] : []
  const rows: readonly (readonly [string, string])[] = [
    ['records', `${count(summary.produced)} came, ${count(summary.consumed)} done, ${count(summary.lagAtEnd)} left`],
    ...unless(summary.lost > 0, ['lost', `${count(summary.lost)} deleted by retention before they were read`]),
    ...unless(summary.skipped > 0, ['skipped', `${count(summary.skipped)} by a reset of offsets`]),
    ...unless(summary.heldByProducer > 0, ['held back', `${count(summary.heldByProducer)} by the producer’s limit`]),
    ['peak lag', `${count(summary.peakLag)} at ${when(summary.peakLagAtS)}`],
    ['oldest', `${duration(summary.peakLagSeconds)} at ${when(summary.peakLagSecondsAtS)}`],
    ['normal', summary.normalAtS === undefined ? notNormal(summary) : `again at ${when(summary.normalAtS)}`],
    [
      'delay',
      `mean ${duration(summary.delayMeanS)}, 99 % below ${duration(summary.delayP99S)}, ` +
        `longest ${duration(summary.delayMaxS)}`
    ],
    [
      'service',
      `${perSecond(summary.consumed / summary.durationS)}, ${summary.recordsPerBatch.toFixed(1)} records per batch`
    ],
    [
      'cost',
      `${count(summary.invocations)} invocations, ${count(summary.gbSeconds)} GB-s, ` +
        `${count(summary.instanceSeconds / 3600)} instance hours`
    ],
    ...unless(summary.failedInvocations > 0, ['failed', `${count(summary.failedInvocations)} invocations`]),
    ...unless(summary.throttles > 0, ['throttled', `${count(summary.throttles)} times`]),
    [
      'rebalances',
      `${count(summary.rebalances)}, ${duration(summary.rebalanceSeconds)} together; ` +
        `${count(summary.duplicates)} records twice`
    ],
    [
      'memory',
      `${count(summary.memoryPeakBytes / 1e6)} MB at most` +
        (summary.outOfMemory > 0 ? `; out of memory ${count(summary.outOfMemory)} times` : '')
    ],
    ...unless(summary.cancelledBatches > 0, ['cancelled', `${count(summary.cancelledBatches)} batches for their time`])
  ]
  return rows.map(([name, text]) => `  ${name.padEnd(11)}${text}\n`).join('')
}

function notNormal({ lagAtEnd, peakLagSeconds }: SimulationSummary): string {
  return lagAtEnd > 0 && peakLagSeconds > 60 ? 'not again by the end' : 'all the time'
}

/** A row for each run. */
export function comparisonText(runs: readonly ComparedRun[], startsAt: string | undefined): string {
  return tableOf<ComparedRun>(
    [
      { title: 'what if', text: run => run.name },
      { title: 'peak lag', text: ({ summary }) => count(summary.peakLag), align: 'right' },
      { title: 'oldest', text: ({ summary }) => duration(summary.peakLagSeconds), align: 'right' },
      { title: 'normal', text: ({ summary }) => normalText(summary, startsAt), align: 'right' },
      { title: 'left', text: ({ summary }) => count(summary.lagAtEnd), align: 'right' },
      { title: 'lost', text: ({ summary }) => count(summary.lost + summary.skipped), align: 'right' },
      { title: 'instances', text: ({ summary }) => count(summary.instancesPeak), align: 'right' },
      { title: 'invocations', text: ({ summary }) => count(summary.invocations), align: 'right' },
      { title: 'GB-s', text: ({ summary }) => count(summary.gbSeconds), align: 'right' },
      { title: 'memory', text: ({ summary }) => memoryText(summary), align: 'right' }
    ],
    runs
  )
}

function normalText(summary: SimulationSummary, startsAt: string | undefined): string {
  if (summary.normalAtS !== undefined) return timeText(summary.normalAtS, startsAt)
  return notNormal(summary) === 'all the time' ? 'always' : 'never'
}

function memoryText({ outOfMemory, memoryPeakBytes }: SimulationSummary): string {
  return outOfMemory > 0 ? 'too little' : `${count(memoryPeakBytes / 1e6)} MB`
}

/** What was fitted, a line for each. */
export function calibrationLines(calibration: Calibration): string {
  const { rebalanceMs } = calibration
  const rows: readonly (readonly [string, string])[] = [
    ['invocations', count(calibration.sampleCount)],
    ['target.baseMs', calibration.baseMs.toFixed(3)],
    ['target.perRecordUs', calibration.perRecordUs.toFixed(3)],
    ['spread', `${(calibration.spreadRatio * 100).toFixed(1)} % of the mean`],
    ['group.overheadMs', calibration.overheadMs.toFixed(3)],
    [
      'group.cpu',
      `${calibration.cpuPerBatchMs.toFixed(3)} ms a batch, ${calibration.cpuPerRecordUs.toFixed(3)} µs a record`
    ],
    ['rebalance', rebalanceMs === undefined ? 'not measured' : `${rebalanceMs.toFixed(0)} ms`]
  ]
  const hint = calibration.isSizeVaried
    ? ''
    : 'All batches had about the same size: base and per record could not be told apart.\n'
  return `${rows.map(([name, text]) => `${name.padEnd(20)}${text}\n`).join('')}${hint}`
}

/** The series, a line for each point. */
export function csvOf({ series }: SimulationResult): string {
  const names = Object.keys(series) as (keyof typeof series)[]
  const lines = series.timesS.map((_, index) =>
    names.map(name => Number((series[name][index] ?? 0).toFixed(3))).join(',')
  )
  return `${names.join(',')}\n${lines.join('\n')}\n`
}

/** A time of the day where the scenario has one, else the time from the start. */
function timeText(seconds: number, startsAt: string | undefined): string {
  if (startsAt === undefined) return duration(seconds)
  const [hours = 0, minutes = 0, rest = 0] = startsAt.split(':').map(Number)
  const total = Math.round(hours * 3600 + minutes * 60 + rest + seconds)
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${two(Math.floor(total / 3600) % 24)}:${two(Math.floor(total / 60) % 60)}:${two(total % 60)}`
}

/** A curve in one line: each column is the highest of its part. */
function sparkline(values: readonly number[], columns: number): string {
  const width = Math.max(10, Math.min(columns, values.length))
  const most = values.reduce((highest, value) => Math.max(highest, value), 0)
  return Array.from({ length: width }, (_, column) => {
    const part = values.slice(
      Math.floor((column * values.length) / width),
      Math.max(Math.floor((column * values.length) / width) + 1, Math.floor(((column + 1) * values.length) / width))
    )
    const highest = part.reduce((top, value) => Math.max(top, value), 0)
    return BARS[most > 0 ? Math.min(BARS.length - 1, Math.floor((highest / most) * (BARS.length - 1) + 0.5)) : 0] ?? ''
  }).join('')
}
