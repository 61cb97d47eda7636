/** Plans the deletion of old records: everything of some partitions below an offset or a time. */

import { partitionKeyOf } from '../../client/index.ts'
import { kafkaErrorName } from '../../protocol/index.ts'
import type { Change, ChangeEffect } from '../change/change.ts'
import { type RecordBound, resolveRanges } from '../records/record-range.ts'
import { scanCluster } from '../scan/scan-cluster.ts'
import type { ClusterScan } from '../scan/scan-types.ts'
import type { TopicsOpen } from './look-at-topics.ts'

/** What is deleted. */
export interface DeleteRecordsRequest {
  readonly topic: string
  /** Only these partitions. Default: all. */
  readonly partitions?: readonly number[]
  /** First record that stays. */
  readonly before: RecordBound
}

/**
 * Plans it.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND`, `ERR_OPS_REFUSED`.
 */
export async function planDeleteRecords(open: TopicsOpen, request: DeleteRecordsRequest): Promise<Change> {
  const { cluster, admin } = open
  const { topic, partitions, before } = request
  const where = { topics: [topic], ...(partitions === undefined ? {} : { partitions }) }
  const ranges = (await resolveRanges(admin, { ...where, to: before })).filter(({ from, to = 0n }) => to > from)
  const scan = await scanCluster(cluster, { topics: [topic], withMembers: false })
  const [described] = await admin.describeConfigs([{ type: 'topic', name: topic }])
  const policy = described?.entries.find(({ name }) => name === 'cleanup.policy')?.value ?? 'delete'
  const total = ranges.reduce((sum, { from, to = 0n }) => sum + to - from, 0n)
  const effects = ranges.map(({ partition, from, to = 0n }): ChangeEffect => {
    return { what: `${topic}-${partition}`, before: `from ${from}`, after: `from ${to}`, records: from - to }
  })
  return {
    plan: {
      kind: 'topics-delete-records',
      confirmWord: topic,
      summary: `Up to ${total} records of ${topic} are deleted.`,
      effects,
      warnings: unreadWarnings(scan, ranges),
      blockers: policy.includes('delete')
        ? []
        : [`${topic} has cleanup.policy=${policy}: Kafka deletes records of topics with "delete" only`],
      undo: { kind: 'impossible', reason: 'deleted records are gone' }
    },
    snapshot: undefined,
    apply: async () => {
      const requests = ranges.map(({ partition, to = 0n }) => ({ topic, partition, beforeOffset: to }))
      const deleted = await admin.deleteRecords(requests)
      const failures = deleted
        .filter(({ errorCode }) => errorCode !== 0)
        .map(each => `${topic}-${each.partition}: ${kafkaErrorName(each.errorCode)}`)
      const done = deleted.length - failures.length
      const summary = `Records of ${done} of ${ranges.length} partitions were deleted.`
      return { isComplete: failures.length === 0, summary, failures }
    }
  }
}

/** Groups that have not read all of what goes. */
function unreadWarnings(
  scan: ClusterScan,
  ranges: readonly { topic: string; partition: number; from: bigint; to: bigint | undefined }[]
): string[] {
  const ends = new Map(ranges.map(range => [partitionKeyOf(range), range]))
  return scan.groups.flatMap(({ groupId, offsets }) => {
    let unread = 0n
    for (const offset of offsets) {
      const range = ends.get(partitionKeyOf(offset))
      if (range?.to === undefined || offset.committed < 0n || offset.committed >= range.to) continue
      unread += range.to - (offset.committed > range.from ? offset.committed : range.from)
    }
    return unread > 0n ? [`group ${groupId} has not read ${unread} of them`] : []
  })
}
