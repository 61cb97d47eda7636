/** Lag for people: a line for each group or partition within 120 characters, and what its remarks mean. */

import { printableText } from '../../core/index.ts'
import {
  explainFlags,
  explainReason,
  type GroupLag,
  healthOf,
  type LagReport,
  type LagThresholds,
  type PartitionLag
} from '../../ops/index.ts'
import { count, duration } from './format.ts'
import { type Column, tableOf } from './table.ts'

/** What is printed. */
export interface LagTextOptions {
  readonly thresholds: LagThresholds
  /** Whether each partition has a line. */
  readonly withPartitions: boolean
}

const widthMax = 120
const nameWidthMin = 12

/** A look, in a few lines. */
export function lagText(report: LagReport, options: LagTextOptions): string {
  const groups = byAge(report.groups)
  if (groups.length === 0) return 'no consumer group has committed anything\n'
  const parts = [fitted(groupColumns(options.thresholds), groups)]
  if (options.withPartitions) for (const group of groups) parts.push(`\n${partitionText(group)}`)
  const remarks = groups.flatMap(remarksOf)
  if (remarks.length > 0) parts.push(`\n${remarks.join('')}`)
  const legend = legendOf(groups)
  if (legend !== '') parts.push(`\n${legend}\n`)
  for (const problem of report.problems) parts.push(`\nnote: ${printableText(problem)}\n`)
  return parts.join('')
}

/** The oldest first; what is unread since nobody knows when before all others, and what cannot be read last. */
function byAge(groups: readonly GroupLag[]): GroupLag[] {
  const rank = ({ lagSeconds, lagRecords, problem }: GroupLag): number => {
    if (problem !== undefined) return -1
    return lagSeconds ?? (lagRecords > 0n ? Number.MAX_VALUE : 0)
  }
  return [...groups].sort(
    (left, right) => rank(right) - rank(left) || Number(right.lagRecords - left.lagRecords) || byName(left, right)
  )
}

function byName(left: GroupLag, right: GroupLag): number {
  return left.groupId < right.groupId ? -1 : 1
}

function groupColumns(thresholds: LagThresholds): Column<GroupLag>[] {
  return [
    { title: 'GROUP', text: each => each.groupId },
    { title: 'MEMBERS', text: each => (each.memberCount > 0 ? count(each.memberCount) : each.state), align: 'right' },
    { title: 'LAG', text: lagCell, align: 'right' },
    { title: 'BEHIND', text: behindCell, align: 'right' },
    { title: 'IN/S', text: each => rate(each.arrivalRate), align: 'right' },
    { title: 'OUT/S', text: each => rate(each.serviceRate), align: 'right' },
    { title: 'TREND/S', text: each => trend(each.trend), align: 'right' },
    { title: 'DRAINED IN', text: drainCell, align: 'right' },
    { title: 'DELETED IN', text: groupHeadroomCell, align: 'right' },
    { title: 'HEALTH', text: each => healthCell(each, thresholds) }
  ]
}

function partitionText(group: GroupLag): string {
  if (group.partitions.length === 0) return `${printableText(group.groupId)}: nothing committed\n`
  const columns: Column<PartitionLag>[] = [
    { title: printableText(group.groupId), text: each => `${each.topic}-${each.partition}` },
    { title: 'COMMITTED', text: each => (each.committed === undefined ? '–' : count(each.committed)), align: 'right' },
    { title: 'END', text: each => (each.isKnown ? count(each.endOffset) : '?'), align: 'right' },
    { title: 'LAG', text: each => (each.isKnown ? count(each.lagRecords) : '?'), align: 'right' },
    { title: 'BEHIND', text: behindCell, align: 'right' },
    { title: 'IN/S', text: each => rate(each.arrivalRate), align: 'right' },
    { title: 'OUT/S', text: each => rate(each.serviceRate), align: 'right' },
    { title: 'DELETED IN', text: headroomCell, align: 'right' },
    { title: 'STATUS', text: each => [each.status, ...each.flags.slice(0, 1)].join(' ') },
    { title: 'OWNER', text: each => shortened(each.owner, 24) }
  ]
  return fitted(columns, group.partitions)
}

/** A table whose first column gives way until the lines fit. */
function fitted<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const whole = tableOf(columns, rows)
  const longest = whole.split('\n').reduce((length, line) => Math.max(length, line.length), 0)
  const [first, ...others] = columns
  if (longest <= widthMax || first === undefined) return whole
  const nameWidth = rows.reduce((width, row) => Math.max(width, first.text(row).length), first.title.length)
  const width = Math.max(nameWidthMin, nameWidth - (longest - widthMax))
  const cut = { ...first, title: shortened(first.title, width), text: (row: Row) => shortened(first.text(row), width) }
  return tableOf([cut, ...others], rows)
}

/** Keeps the beginning and the end, which tell names apart. */
function shortened(text: string, width: number): string {
  if (text.length <= width) return text
  const tail = Math.floor((width - 1) / 3)
  return `${text.slice(0, width - 1 - tail)}…${text.slice(text.length - tail)}`
}

function lagCell({ lagRecords, unknownCount, problem }: GroupLag): string {
  if (problem !== undefined) return '?'
  return unknownCount > 0 ? `≥ ${count(lagRecords)}` : count(lagRecords)
}

function behindCell({ lagSeconds, lagTimeSource }: Pick<GroupLag, 'lagSeconds' | 'lagTimeSource'>): string {
  if (lagSeconds === undefined) return '?'
  if (lagTimeSource === 'interpolated') return `~${duration(lagSeconds)}`
  return lagTimeSource === 'extrapolated' ? `~${duration(lagSeconds)}?` : duration(lagSeconds)
}

function rate(value: number | undefined): string {
  if (value === undefined) return '–'
  return value !== 0 && value < 10 ? value.toFixed(1) : count(Math.round(value))
}

function trend(value: number | undefined): string {
  if (value === undefined) return '–'
  if (Math.abs(value) < 0.05) return '0'
  return `${value > 0 ? '↑' : '↓'} ${rate(Math.abs(value))}`
}

/** What is this young is in a batch, or at the target: its number goes up and down with the batches. */
const UNDER_WAY_SECONDS = 5

function drainCell({ drainSeconds, trend: growth, lagRecords, lagSeconds }: GroupLag): string {
  if (drainSeconds !== undefined) return duration(drainSeconds)
  if (growth === undefined || growth < 0 || lagRecords === 0n) return '–'
  return lagSeconds !== undefined && lagSeconds < UNDER_WAY_SECONDS ? 'keeps up' : 'never'
}

function groupHeadroomCell({ headroomSeconds, headroomLimit, partitions }: GroupLag): string {
  return headroomCell({
    headroomSeconds,
    headroomLimit,
    isHeadroomEstimated: partitions.some(each => each.isHeadroomEstimated)
  })
}

function headroomCell({
  headroomSeconds,
  headroomLimit,
  isHeadroomEstimated
}: Pick<PartitionLag, 'headroomSeconds' | 'headroomLimit' | 'isHeadroomEstimated'>): string {
  if (headroomSeconds !== undefined) return `${isHeadroomEstimated ? '~' : ''}${duration(headroomSeconds)}`
  return headroomLimit === 'unknown' ? '?' : '–'
}

function healthCell(group: GroupLag, thresholds: LagThresholds): string {
  const { word, reasons } = healthOf(group, thresholds)
  const [first] = reasons
  return first === undefined ? word : `${word}: ${explainReason(first)}`
}

function remarksOf(group: GroupLag): string[] {
  const lines = explainFlags(group).map(
    ({ flag, text, remedy }) => `${printableText(`${group.groupId}: ${flag}: ${text}`)}\n    remedy: ${remedy}\n`
  )
  return group.problem === undefined ? lines : [`${printableText(`${group.groupId}: ${group.problem}`)}\n`, ...lines]
}

function legendOf(groups: readonly GroupLag[]): string {
  const sources = new Set(groups.flatMap(each => each.partitions.map(({ lagTimeSource }) => lagTimeSource)))
  const notes: string[] = []
  if (groups.some(each => each.partitions.some(({ isHeadroomEstimated }) => isHeadroomEstimated))) {
    notes.push('~ in DELETED IN = sizes are estimated, or their growth is not known yet')
  }
  if (sources.has('interpolated')) notes.push('~ = interpolated between looks')
  if (sources.has('extrapolated')) notes.push('~ ? = extrapolated beyond them')
  if (groups.some(({ arrivalRate }) => arrivalRate === undefined))
    notes.push('rates need more looks: --for 10s, --watch')
  return notes.join('; ')
}
