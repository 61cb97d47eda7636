/** Groups as rows: `GET /api/groups`. Rows are made for one page; sorting goes by numbers. */

import type { OperationsConfig } from '../../config/index.ts'
import type { GroupLag } from '../../ops/index.ts'
import { GROUP_SORTS, type GroupRow } from '../api/groups.ts'
import type { Page } from '../api/common.ts'
import { GroupJudge, sloSecondsOf } from './group-health.ts'
import { byTopic, type LookIndex } from './look-index.ts'
import { shortNumber, shortNumbers } from './numbers.ts'
import { inOrder, orderBy, pageBy } from './order.ts'
import type { PipelineNames } from './pipeline-names.ts'
import { type AskedPage, askedPage, textOf, wordsOf } from './query.ts'
import type { World } from './world-types.ts'

/** Columns. */
export type GroupSort = (typeof GROUP_SORTS)[number]

/** Words of the filter `status`. */
const STATUSES = ['OK', 'WARN', 'ERR', 'NONE'] as const
const STATUS_RANK: Readonly<Record<GroupLag['status'], number>> = { NONE: 0, OK: 1, WARN: 2, ERR: 3 }
/** Topics that are named in a row. */
const TOPICS_MAX = 20

/** What rows are made from. */
export interface GroupRowsOptions {
  readonly world: World
  readonly operations: OperationsConfig
  readonly names: PipelineNames
}

/** Whether the lag of a group is known at all: neither is that of one that cannot be read. */
export function isLagKnown({ problem, unknownCount, partitions }: GroupLag): boolean {
  return problem === undefined && (unknownCount < partitions.length || partitions.length === 0)
}

/** What a column is sorted by. */
type KeyOf = (group: GroupLag, index: LookIndex) => number | undefined

/** What of a look groups are judged by. */
type Judged = Pick<LookIndex, 'report' | 'isRestingReplay'>

/** Burrow's word; of a replay that does not run, none: it is not expected to move. */
export function statusOf({ groupId, status }: GroupLag, index: Judged): GroupLag['status'] {
  return index.isRestingReplay(groupId) ? 'NONE' : status
}

/** Makes rows. */
export class GroupRows {
  readonly #world: World
  readonly #operations: OperationsConfig
  readonly #names: PipelineNames
  readonly #judge: GroupJudge

  constructor({ world, operations, names }: GroupRowsOptions) {
    this.#world = world
    this.#operations = operations
    this.#names = names
    this.#judge = new GroupJudge(operations)
  }

  /**
   * The page that was asked for: `offset`, `limit`, `sort`, `descending`, `find`, `status`, `topic`.
   *
   * @throws PipelineError `ERR_CONSOLE_REQUEST`
   */
  page(index: LookIndex, query: URLSearchParams): Page<GroupRow> {
    const asked = askedPage(query, { sorts: GROUP_SORTS, sort: 'lagSeconds', isDescending: true })
    const statuses = wordsOf(query, 'status', STATUSES)
    const topic = textOf(query, 'topic')
    const { sort, isDescending, find } = asked
    const question = JSON.stringify(['groups', sort, isDescending, find, statuses, topic])
    const order = index.orders.of(question, () => {
      const all = index.orders.of(`groups ${sort} ${isDescending}`, () => this.#order(index, asked))
      if (find === '' && statuses.length === 0 && topic === undefined) return all
      const readers = topic === undefined ? undefined : new Set(index.readersOf(topic).map(({ group }) => group))
      return all.filter(at => {
        const group = index.report.groups[at]
        if (group === undefined || readers?.has(group) === false) return false
        if (statuses.length > 0 && !statuses.includes(statusOf(group, index))) return false
        return find === '' || group.groupId.toLowerCase().includes(find)
      })
    })
    return pageBy(order, asked, at => this.row(groupAt(index, at), index))
  }

  /** One row. */
  row(group: GroupLag, index: Judged): GroupRow {
    const { groupId } = group
    const { level } = this.health(group, index)
    return {
      groupId,
      status: statusOf(group, index),
      state: group.state,
      health: level,
      lagSeconds: group.problem === undefined ? shortNumber(group.lagSeconds) : null,
      isLagEstimated: group.lagTimeSource === 'interpolated' || group.lagTimeSource === 'extrapolated',
      sloSeconds: sloSecondsOf(this.#operations, groupId) ?? null,
      lagRecords: isLagKnown(group) ? group.lagRecords.toString() : null,
      unknownCount: group.unknownCount,
      arrivalRate: shortNumber(group.arrivalRate),
      serviceRate: shortNumber(group.serviceRate),
      trend: shortNumber(group.trend),
      drainSeconds: shortNumber(group.drainSeconds),
      memberCount: group.memberCount,
      partitionCount: group.partitions.length,
      topics: topicsOf(group),
      lastRebalanceMs: this.#world.lastRebalanceMs(groupId) ?? null,
      headroomSeconds: shortNumber(group.headroomSeconds),
      flags: flagsOf(group),
      sparkline: shortNumbers(this.#world.sparkline(groupId)),
      problem: group.problem ?? null
    }
  }

  /** The health of a group, and why. */
  health(group: GroupLag, index: Judged): ReturnType<GroupJudge['judge']> {
    const { groupId } = group
    const isOwn = this.#names.groups.has(groupId)
    const isRestingReplay = index.isRestingReplay(groupId)
    const { takenAtMs: nowMs } = index.report
    return this.#judge.judge({
      group,
      isOwn,
      silentSinceMs: this.#world.silentSinceMs(groupId),
      nowMs,
      isRestingReplay
    })
  }

  #order(index: LookIndex, { sort, isDescending }: AskedPage<GroupSort>): Uint32Array {
    const { groups } = index.report
    // A report has its groups in the order of their names.
    if (sort === 'groupId') return inOrder(groups.length, isDescending)
    const keyOf = this.#keys[sort]
    return orderBy(groups.length, at => keyOf(groupAt(index, at), index), isDescending)
  }

  readonly #keys: Readonly<Record<Exclude<GroupSort, 'groupId'>, KeyOf>> = {
    status: (group, index) => STATUS_RANK[statusOf(group, index)],
    lagSeconds: ({ lagSeconds, problem }) => (problem === undefined ? lagSeconds : undefined),
    lagRecords: group => (isLagKnown(group) ? Number(group.lagRecords) : undefined),
    arrivalRate: ({ arrivalRate }) => arrivalRate,
    serviceRate: ({ serviceRate }) => serviceRate,
    trend: ({ trend }) => trend,
    drainSeconds: ({ drainSeconds }) => drainSeconds,
    members: ({ memberCount }) => memberCount,
    lastRebalanceMs: ({ groupId }) => this.#world.lastRebalanceMs(groupId)
  }
}

/** An empty partition that nobody has committed anything for is as it should be. */
function flagsOf({ flags, partitions }: GroupLag): GroupLag['flags'] {
  const isWorthAWord = partitions.some(each => each.lagRecords > 0n && each.flags.includes('noCommit'))
  return isWorthAWord ? flags : flags.filter(flag => flag !== 'noCommit')
}

function groupAt({ report }: Pick<LookIndex, 'report'>, at: number): GroupLag {
  const group = report.groups[at]
  if (group === undefined) throw new RangeError(`there is no group ${at}`)
  return group
}

function topicsOf({ partitions }: GroupLag): string[] {
  const topics: string[] = []
  for (const [topic] of byTopic(partitions)) {
    if (topics.length === TOPICS_MAX) break
    topics.push(topic)
  }
  return topics
}
