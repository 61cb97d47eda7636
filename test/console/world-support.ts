/** Looks that tests make up: what a scan and a report of a cluster look like, as small or as large as needed. */

import type { GroupMemberDescription } from '../../src/client/index.ts'
import { groupLagOf } from '../../src/ops/lag/group-lag.ts'
import type {
  Arrivals,
  ClusterScan,
  GroupLag,
  LagLook,
  PartitionLag,
  ScannedGroup,
  ScannedTopic
} from '../../src/ops/index.ts'
import type { Looker } from '../../src/console/world/world.ts'

/** A member that owns partitions of `orders`. */
export function member(memberId: string, partitions: readonly number[]): GroupMemberDescription {
  const assignment = partitions.map(partition => ({ topic: 'orders', partition }))
  return { memberId, groupInstanceId: null, clientId: 'app', clientHost: '/10.0.0.1', assignment }
}

/** A group of a scan. */
export function scannedGroup(change: Partial<ScannedGroup> = {}): ScannedGroup {
  const names = { groupId: 'billing', state: 'Stable', protocolType: 'consumer', assignor: 'range' }
  return { ...names, coordinatorId: 1, members: [], offsets: [], ...change }
}

/** A topic of a scan whose partitions end where it is said. */
export function scannedTopic(topic: string, ends: readonly bigint[] = [0n]): ScannedTopic {
  const partitions = ends.map((highWatermark, partition) => ({
    topic,
    partition,
    leaderId: 1,
    replicas: [1],
    inSyncReplicas: [1],
    leaderEpoch: 0,
    logStartOffset: 0n,
    highWatermark,
    lastStableOffset: highWatermark
  }))
  return { topic, topicId: `id-${topic}`, isInternal: false, partitions }
}

/** A partition of a group: nothing unread, unless said otherwise. */
export function partitionLag(change: Partial<PartitionLag> = {}): PartitionLag {
  return {
    topic: 'orders',
    partition: 0,
    committed: 100n,
    logStartOffset: 0n,
    endOffset: 100n,
    isKnown: true,
    lagRecords: 0n,
    lostRecords: 0n,
    heldBackRecords: 0n,
    lagSeconds: 0,
    lagTimeSource: 'none',
    status: 'OK',
    complete: 1,
    arrivalRate: 200,
    serviceRate: 200,
    trend: 0,
    drainSeconds: 0,
    headroomSeconds: undefined,
    headroomLimit: 'none',
    isHeadroomEstimated: false,
    retentionUsed: 0,
    owner: '',
    flags: [],
    lookedAtMs: 0,
    ...change
  }
}

/** A group of a report. */
export function groupLag(groupId: string, partitions: readonly PartitionLag[], problem?: string): GroupLag {
  return groupLagOf({ groupId, state: 'Stable', memberCount: 1, problem }, partitions)
}

/** What a look is made up from. */
export interface MadeUp {
  readonly takenAtMs: number
  readonly topics?: readonly ScannedTopic[]
  readonly groups?: readonly ScannedGroup[]
  readonly lags?: readonly GroupLag[]
  readonly durationMs?: number
  readonly isPartial?: true
}

/** A look. */
export function lookOf({ takenAtMs, topics = [], groups = [], lags = [], durationMs = 5, isPartial }: MadeUp): LagLook {
  const scan: ClusterScan = {
    clusterId: 'cluster',
    brokers: [{ nodeId: 1, host: '127.0.0.1', port: 9092, rack: null }],
    controllerId: 1,
    takenAtMs,
    durationMs,
    topics: new Map(topics.map(each => [each.topic, each])),
    groups,
    problems: []
  }
  const partial = isPartial === undefined ? {} : { isPartial }
  return { scan, report: { clusterId: 'cluster', takenAtMs, durationMs, groups: lags, problems: [], ...partial } }
}

/** Looks one after the other: the next one, or an error, is what `look` returns. */
export class MadeUpLooker implements Looker {
  lookCount = 0
  beginCount = 0
  readonly #look: () => LagLook | Promise<LagLook>
  readonly #arrivals: (topic: string) => readonly Arrivals[]

  constructor(look: () => LagLook | Promise<LagLook>, arrivals: (topic: string) => readonly Arrivals[] = () => []) {
    this.#look = look
    this.#arrivals = arrivals
  }

  async lookAndScan(): Promise<LagLook> {
    this.lookCount += 1
    return await this.#look()
  }

  arrivalsOf(topic: string): readonly Arrivals[] {
    return this.#arrivals(topic)
  }

  beginAnew(): void {
    this.beginCount += 1
  }
}
