/** Puts a report together: what is there, was measured and costs, and the answers to the review's questions. */

import type { GroupLag, LagReport } from '../lag/lag-types.ts'
import type { ChartSeries } from '../plot/line-chart.ts'
import { adrBlocks } from './adr.ts'
import { type Block, heading, list, paragraph, table } from './blocks.ts'
import { c4Container, c4Context } from './c4.ts'
import { reviewAnswers } from './questions.ts'
import type { ReportFacts } from './report-facts.ts'
import { counted } from '../words/counted.ts'

/** Parts of a report that can be asked for on their own. */
export const REPORT_PARTS = ['summary', 'questions', 'lag', 'cost', 'experiments', 'findings', 'adr', 'c4'] as const
/** One of them. */
export type ReportPart = (typeof REPORT_PARTS)[number]

/** Whether a name is that of a part. */
export function isReportPart(name: string): name is ReportPart {
  return REPORT_PARTS.some(part => part === name)
}

/** Lines in a chart: more cannot be told apart. */
const linesMax = 6

/** The parts, in their order. */
export function buildReport(facts: ReportFacts, parts: readonly ReportPart[] = REPORT_PARTS): Block[] {
  const name = facts.pipeline?.name ?? facts.scan?.clusterId ?? 'Kafka'
  const builders: Readonly<Record<ReportPart, (facts: ReportFacts) => Block[]>> = {
    summary: summaryBlocks,
    questions: questionBlocks,
    lag: lagBlocks,
    cost: costBlocks,
    experiments: experimentBlocks,
    findings: findingBlocks,
    adr: adrBlocks,
    c4: c4Blocks
  }
  const body = REPORT_PARTS.filter(part => parts.includes(part)).flatMap(part => builders[part](facts))
  const when = new Date(facts.writtenAtMs).toISOString().replace('T', ' ').slice(0, 19)
  const gaps = facts.gaps.length === 0 ? [] : [heading(2, 'What could not be had'), list(facts.gaps)]
  return [
    heading(1, `Review: ${name}`),
    paragraph(`Written by comporta ${facts.version} on ${when} UTC.`),
    ...body,
    ...gaps
  ]
}

function summaryBlocks({ scan, looks, findings, cost }: ReportFacts): Block[] {
  const errors = (findings ?? []).filter(({ severity }) => severity === 'error').length
  const warnings = (findings ?? []).filter(({ severity }) => severity === 'warn').length
  const partitions = [...(scan?.topics.values() ?? [])].reduce((sum, topic) => sum + topic.partitions.length, 0)
  const rows: [string, string][] = []
  if (scan !== undefined) {
    rows.push([
      'Cluster',
      `${scan.clusterId}: ${counted(scan.brokers.length, 'broker')}, ${counted(scan.topics.size, 'topic')}`
    ])
    rows.push(['Partitions', partitions.toLocaleString('en-US')])
  }
  for (const group of looks.at(-1)?.groups ?? []) rows.push([`Group ${group.groupId}`, groupText(group)])
  if (findings !== undefined) rows.push(['Doctor', `${errors} errors, ${warnings} warnings`])
  if (cost !== undefined) {
    rows.push([
      'Cost',
      `${cost.report.monthly.toFixed(2)} USD a month, ${cost.report.perMillion.toPrecision(2)} a million`
    ])
  }
  return rows.length === 0 ? [] : [heading(2, 'In short'), table(['What', 'How it is'], rows)]
}

function groupText(group: GroupLag): string {
  const { state, memberCount, status, lagRecords, lagSeconds, arrivalRate, serviceRate } = group
  if (group.problem !== undefined) return `could not be read: ${group.problem}`
  const age = lagSeconds === undefined ? '' : ` (${lagSeconds.toFixed(1)} s)`
  const rates =
    arrivalRate === undefined ? '' : `; ${Math.round(arrivalRate)} records/s in, ${Math.round(serviceRate ?? 0)} out`
  const members = counted(memberCount, 'member')
  return `${state}, ${members}, ${status}, ${lagRecords.toLocaleString('en-US')} behind${age}${rates}`
}

function questionBlocks(facts: ReportFacts): Block[] {
  return [
    heading(2, 'The questions of the review'),
    ...reviewAnswers(facts).flatMap(({ question, answer, source }) => [
      heading(3, question),
      paragraph(`${answer} (${source})`)
    ])
  ]
}

function lagBlocks({ looks }: ReportFacts): Block[] {
  const first = looks[0]
  const last = looks.at(-1)
  if (first === undefined || last === undefined) return []
  const rows = last.groups.flatMap(({ groupId, partitions }) =>
    partitions.map(each => [
      groupId,
      `${each.topic}-${each.partition}`,
      each.lagRecords.toLocaleString('en-US'),
      each.lagSeconds === undefined ? 'unknown' : `${each.lagSeconds.toFixed(1)} (${each.lagTimeSource})`,
      each.status,
      each.flags.join(', ')
    ])
  )
  const charts: Block[] =
    looks.length < 2
      ? []
      : [
          {
            kind: 'chart',
            name: 'lag',
            chart: {
              title: 'Lag in records',
              yLabel: 'records',
              series: seriesOf(looks, each => Number(each.lagRecords))
            }
          },
          {
            kind: 'chart',
            name: 'lag-seconds',
            chart: {
              title: 'Age of the oldest unread record',
              yLabel: 'seconds',
              series: seriesOf(looks, each => each.lagSeconds ?? Number.NaN)
            }
          },
          {
            kind: 'chart',
            name: 'rates',
            chart: { title: 'Records per second, in and out', yLabel: 'records/s', series: rateSeries(looks) }
          }
        ]
  const shown = rows.slice(0, rowsMax)
  const rest = rows.length - shown.length
  return [
    heading(2, 'Lag'),
    ...charts,
    table(['Group', 'Partition', 'Records', 'Seconds', 'Status', 'Remarks'], shown),
    ...(rest > 0 ? [paragraph(`And ${rest} partitions more: \`comporta lag --partitions\`.`)] : [])
  ]
}

const rowsMax = 60

function seriesOf(looks: readonly LagReport[], valueOf: (group: GroupLag) => number): ChartSeries[] {
  const startMs = looks[0]?.takenAtMs ?? 0
  // Those with most behind come first.
  const groups = [...(looks.at(-1)?.groups ?? [])].sort((left, right) => Number(right.lagRecords - left.lagRecords))
  return groups.slice(0, linesMax).map(({ groupId }) => ({
    name: groupId,
    xs: looks.map(({ takenAtMs }) => (takenAtMs - startMs) / 1000),
    ys: looks.map(look => {
      const found = look.groups.find(each => each.groupId === groupId)
      return found === undefined ? Number.NaN : valueOf(found)
    })
  }))
}

function rateSeries(looks: readonly LagReport[]): ChartSeries[] {
  const twice = seriesOf(looks, each => each.arrivalRate ?? Number.NaN).slice(0, linesMax / 2)
  const out = seriesOf(looks, each => each.serviceRate ?? Number.NaN)
  return twice.flatMap((series, index) => {
    const served = out[index]
    const arriving = { ...series, name: `${series.name} in` }
    return served === undefined ? [arriving] : [arriving, { ...served, name: `${served.name} out` }]
  })
}

function costBlocks({ cost }: ReportFacts): Block[] {
  if (cost === undefined) return []
  const { report, advice, alternatives } = cost
  const xs = advice.options.map(({ recordsMax }) => Math.log10(recordsMax))
  return [
    heading(2, 'Cost'),
    paragraph(
      `${report.monthly.toFixed(2)} USD a month in ${report.region} at the prices of ${report.priceDate}, ` +
        `${report.perMillion.toPrecision(2)} USD for a million records. ${report.notes.join(' ')}`
    ),
    table(
      ['Area', 'Item', 'Quantity', 'Unit', 'USD a month'],
      report.lines.map(line => [
        line.area,
        line.item,
        line.quantity.toLocaleString('en-US', { maximumFractionDigits: 1 }),
        line.unit,
        line.monthly.toFixed(2)
      ])
    ),
    heading(3, 'By cluster and invoker'),
    table(
      ['Cluster', 'Invoker', 'USD a month', 'Difference'],
      alternatives.map(each => [each.cluster, each.invoker, each.report.monthly.toFixed(2), each.difference.toFixed(2)])
    ),
    heading(3, 'Batch size'),
    {
      kind: 'chart',
      name: 'batch',
      chart: {
        title: 'What the function costs, by the size of a batch',
        isTime: false,
        xLabel: 'records of a batch, as a power of ten',
        yLabel: 'USD a month',
        series: [{ name: 'function', xs, ys: advice.options.map(({ monthly }) => monthly) }]
      }
    },
    paragraph(`${advice.reason}.`)
  ]
}

function experimentBlocks({ experiments }: ReportFacts): Block[] {
  if (experiments.length === 0) return []
  const text = (value: number | undefined): string => (value === undefined ? '' : String(Math.round(value)))
  return [
    heading(2, 'Rehearsed failures'),
    table(
      ['Experiment', 'Hypothesis', 'Verdict', 'Lost', 'Twice', 'Longest pause (ms)', 'Recovered (ms)'],
      experiments.map(each => [
        each.name,
        each.hypothesis,
        each.holds ? 'holds' : 'does not hold',
        text(each.lost),
        text(each.duplicates),
        text(each.longestPauseMs),
        text(each.recoveredMs)
      ])
    )
  ]
}

function findingBlocks({ findings }: ReportFacts): Block[] {
  if (findings === undefined) return []
  const order = ['error', 'warn', 'info', 'unknown']
  const shown = findings
    .filter(({ severity }) => order.includes(severity))
    .sort((left, right) => order.indexOf(left.severity) - order.indexOf(right.severity))
  if (shown.length === 0) return [heading(2, 'Doctor'), paragraph('All checks are well.')]
  return [
    heading(2, 'Doctor'),
    table(
      ['Severity', 'Finding', 'Reason', 'What to do'],
      shown.map(({ severity, title, reason, fix }) => [severity, title, reason, fix])
    )
  ]
}

function c4Blocks({ pipeline, scan }: ReportFacts): Block[] {
  if (pipeline === undefined) return []
  return [
    heading(2, 'C4: context'),
    { kind: 'code', language: 'mermaid', text: c4Context({ pipeline, scan }) },
    heading(2, 'C4: containers'),
    { kind: 'code', language: 'mermaid', text: c4Container({ pipeline, scan }) }
  ]
}
