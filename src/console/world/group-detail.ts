/** One group in full: `GET /api/group?id=`. Pure. */

import type { PartitionLag, ScannedGroup } from '../../ops/index.ts'
import type { GroupDetail, MemberRow, PartitionRow } from '../api/groups.ts'
import type { Freshness, Page, Series } from '../api/common.ts'
import type { GroupSaid } from './dispatcher-facts.ts'
import type { GroupRows } from './group-rows.ts'
import type { LookIndex } from './look-index.ts'
import { memberLabel } from './member-label.ts'
import { shortNumber, shortNumbers } from './numbers.ts'
import { inOrder, orderBy, pageBy } from './order.ts'
import { askedPage, notFound } from './query.ts'
import type { SeriesName, World } from './world-types.ts'

/** Columns that the partitions of a group are sorted by. */
export const PARTITION_SORTS = [
  'partition',
  'lagSeconds',
  'lagRecords',
  'arrivalRate',
  'serviceRate',
  'drainSeconds',
  'headroomSeconds',
  'status'
] as const

type PartitionSort = (typeof PARTITION_SORTS)[number]

/** Members that are listed at most. */
const MEMBERS_MAX = 1000

/** What a detail is made from. */
export interface GroupDetailOptions {
  readonly groupId: string
  readonly index: LookIndex
  readonly freshness: Freshness
  readonly query: URLSearchParams
  readonly world: World
  readonly rows: GroupRows
  readonly said: GroupSaid
}

/** @throws PipelineError `ERR_CONSOLE_NOT_FOUND`, `ERR_CONSOLE_REQUEST` */
export function groupDetail(options: GroupDetailOptions): GroupDetail {
  const { groupId, index, freshness, query, world, rows, said } = options
  const group = index.report.groups.find(each => each.groupId === groupId)
  if (group === undefined) throw notFound(`group ${groupId}`)
  const scanned = index.scannedGroup(groupId)
  const series = (name: SeriesName): Series => {
    const { timesMs, values } = world.groupSeries(groupId, name)
    return { timesMs, values: shortNumbers(values) }
  }
  return {
    freshness,
    row: rows.row(group, index),
    reasons: rows.health(group, index).reasons,
    partitions: partitionPage(group.partitions, query, { owners: ownersOf(scanned), said }),
    members: membersOf(scanned, group.partitions),
    lagSeconds: series('lagSeconds'),
    lagRecords: series('lagRecords'),
    arrivalRate: series('arrivalRate'),
    serviceRate: series('serviceRate')
  }
}

/** Who owns what, by topic and partition; empty where members could not be seen. */
export function ownersOf(scanned: ScannedGroup | undefined): ReadonlyMap<string, string> {
  const owners = new Map<string, string>()
  for (const member of scanned?.members ?? []) {
    const label = memberLabel(member)
    for (const { topic, partition } of member.assignment) owners.set(`${topic} ${partition}`, label)
  }
  return owners
}

const STATUS_RANK: Readonly<Record<PartitionLag['status'], number>> = {
  NONE: 0,
  OK: 1,
  WARN: 2,
  REWIND: 3,
  STALL: 4,
  STOP: 5
}

const KEYS: Readonly<Record<Exclude<PartitionSort, 'partition'>, (each: PartitionLag) => number | undefined>> = {
  lagSeconds: each => each.lagSeconds,
  lagRecords: each => (each.isKnown ? Number(each.lagRecords) : undefined),
  arrivalRate: each => each.arrivalRate,
  serviceRate: each => each.serviceRate,
  drainSeconds: each => each.drainSeconds,
  headroomSeconds: each => each.headroomSeconds,
  status: each => STATUS_RANK[each.status]
}

interface RowSurroundings {
  readonly owners: ReadonlyMap<string, string>
  readonly said: GroupSaid
}

function partitionPage(
  partitions: readonly PartitionLag[],
  query: URLSearchParams,
  around: RowSurroundings
): Page<PartitionRow> {
  const asked = askedPage(query, { sorts: PARTITION_SORTS, sort: 'partition' })
  const keyOf = asked.sort === 'partition' ? undefined : KEYS[asked.sort]
  const found =
    asked.find === '' ? partitions : partitions.filter(({ topic }) => topic.toLowerCase().includes(asked.find))
  const order =
    keyOf === undefined
      ? inOrder(found.length, asked.isDescending)
      : orderBy(found.length, at => keyOf(itemAt(found, at)), asked.isDescending)
  return pageBy(order, asked, at => partitionRow(itemAt(found, at), around))
}

function itemAt(partitions: readonly PartitionLag[], at: number): PartitionLag {
  const found = partitions[at]
  if (found === undefined) throw new RangeError(`there is no partition ${at}`)
  return found
}

function partitionRow(each: PartitionLag, { owners, said }: RowSurroundings): PartitionRow {
  const { topic, partition, isKnown, lagTimeSource } = each
  const told = said.of(topic, partition)
  return {
    topic,
    partition,
    status: each.status,
    committed: each.committed?.toString() ?? null,
    endOffset: isKnown ? each.endOffset.toString() : null,
    logStartOffset: isKnown ? each.logStartOffset.toString() : null,
    lagRecords: isKnown ? each.lagRecords.toString() : null,
    lagSeconds: shortNumber(each.lagSeconds),
    isLagEstimated: lagTimeSource === 'interpolated' || lagTimeSource === 'extrapolated',
    arrivalRate: shortNumber(each.arrivalRate),
    serviceRate: shortNumber(each.serviceRate),
    drainSeconds: shortNumber(each.drainSeconds),
    headroomSeconds: shortNumber(each.headroomSeconds),
    owner: owners.get(`${topic} ${partition}`) ?? each.owner,
    flags: each.flags,
    isPaused: told?.isPaused ?? null,
    heldUpBy: told?.heldUpBy ?? null
  }
}

function membersOf(scanned: ScannedGroup | undefined, partitions: readonly PartitionLag[]): MemberRow[] {
  const lags = new Map(partitions.map(each => [`${each.topic} ${each.partition}`, each]))
  return (scanned?.members ?? []).slice(0, MEMBERS_MAX).map(member => {
    let lagRecords = 0n
    for (const { topic, partition } of member.assignment) {
      lagRecords += lags.get(`${topic} ${partition}`)?.lagRecords ?? 0n
    }
    return {
      memberId: member.memberId,
      clientId: member.groupInstanceId ?? member.clientId,
      host: member.clientHost.replace(/^\//, ''),
      partitionCount: member.assignment.length,
      lagRecords: lagRecords.toString()
    }
  })
}
