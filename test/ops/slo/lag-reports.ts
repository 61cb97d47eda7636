/** Lag reports for tests: healthy unless said otherwise. */

import type { GroupLag, LagReport, PartitionLag } from '../../../src/ops/lag/lag-types.ts'

/** A partition that is read up to its end. */
export function partitionLag(change: Partial<PartitionLag> = {}): PartitionLag {
  return {
    topic: 'orders',
    partition: 0,
    committed: 1000n,
    logStartOffset: 0n,
    endOffset: 1000n,
    isKnown: true,
    lagRecords: 0n,
    lostRecords: 0n,
    heldBackRecords: 0n,
    lagSeconds: 0,
    lagTimeSource: 'none',
    status: 'OK',
    complete: 1,
    arrivalRate: 10,
    serviceRate: 10,
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

/** A group with one member and one partition. */
export function groupLag(change: Partial<GroupLag> = {}): GroupLag {
  return {
    groupId: 'billing',
    state: 'Stable',
    memberCount: 1,
    status: 'OK',
    lagRecords: 0n,
    unknownCount: 0,
    lagSeconds: 0,
    lagTimeSource: 'none',
    arrivalRate: 10,
    serviceRate: 10,
    trend: 0,
    drainSeconds: 0,
    headroomSeconds: undefined,
    headroomLimit: 'none',
    retentionUsed: 0,
    complete: 1,
    worst: { topic: 'orders', partition: 0 },
    flags: [],
    partitions: [partitionLag()],
    ...change
  }
}

/** One look with these groups. */
export function lagReport(takenAtMs: number, ...groups: GroupLag[]): LagReport {
  return { clusterId: 'test', takenAtMs, durationMs: 1, groups, problems: [] }
}

/** A group whose oldest unread record is so old. */
export function behind(lagSeconds: number): GroupLag {
  const partition = partitionLag({ lagSeconds, lagRecords: lagSeconds > 0 ? 5n : 0n, lagTimeSource: 'append' })
  return groupLag({ lagSeconds, lagRecords: partition.lagRecords, partitions: [partition] })
}
