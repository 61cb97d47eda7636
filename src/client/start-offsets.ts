/** Where newly assigned partitions go on: at the committed offset, or where the reset policy says. */

import { backoffMs, PipelineError, sleep } from '../core/index.ts'
import type { Cluster } from './cluster.ts'
import type { CommittedOffset, GroupRequests } from './group-requests.ts'
import type { AssignedPartition, AutoOffsetReset, TopicPartition } from './group-types.ts'
import { asPipelineError, KAFKA, kafkaError, throwKafkaError } from './kafka-error.ts'
import { listOffsets, type OffsetQuestion } from './list-offsets.ts'

/** What decides where to start. */
export interface StartOffsetsOptions {
  readonly cluster: Cluster
  readonly requests: GroupRequests
  readonly autoOffsetReset: AutoOffsetReset
  /** Partition counts when the member started: what was added since always starts at earliest. */
  readonly initialCounts: ReadonlyMap<string, number>
  /** Ends the retries. */
  readonly signal: AbortSignal
}

/** A start, and whether it was committed before. */
export interface StartOffset extends AssignedPartition {
  readonly isCommitted: boolean
}

/**
 * Finds the starts, retrying what can be retried until the signal ends it.
 *
 * @throws PipelineError `ERR_CLIENT_OFFSET_OUT_OF_RANGE` if nothing is committed and the policy is `none`,
 *   `ERR_CORE_ABORTED`, or an error that cannot be retried.
 */
export async function findStartOffsets(
  partitions: readonly TopicPartition[],
  options: StartOffsetsOptions
): Promise<StartOffset[]> {
  for (let failures = 1; ; failures++) {
    if (options.signal.aborted) throw new PipelineError('ERR_CORE_ABORTED', 'the partitions are no longer wanted')
    try {
      return await tryFind(partitions, options)
    } catch (cause) {
      const error = asPipelineError(cause, 'looking for start offsets')
      if (!error.retriable) throw error
      const waitMs = backoffMs({ initialMs: 50, maxMs: 1_000 }, failures, options.cluster.random)
      await sleep(options.cluster.clock, waitMs, options.signal)
    }
  }
}

async function tryFind(partitions: readonly TopicPartition[], options: StartOffsetsOptions): Promise<StartOffset[]> {
  const { errorCode, offsets } = await options.requests.fetchOffsets(partitions)
  throwKafkaError(errorCode, 'OffsetFetch')
  const committed = (partition: TopicPartition): CommittedOffset | undefined => {
    const found = offsets.get(`${partition.topic}/${partition.partition}`)
    return found === undefined || found.offset < 0n ? undefined : found
  }
  const questions = partitions
    .filter(partition => committed(partition) === undefined)
    .map(partition => ask(partition, options))
  const listed = new Map<string, bigint>()
  for (const { topic, partition, offset, errorCode: code } of await listOffsets(options.cluster, questions, options)) {
    if (code !== KAFKA.NONE) throw kafkaError(code, `ListOffsets of ${topic}-${partition}`)
    listed.set(`${topic}/${partition}`, offset)
  }
  return partitions.map(({ topic, partition }) => {
    const found = committed({ topic, partition })
    const offset = found?.offset ?? listed.get(`${topic}/${partition}`) ?? 0n
    return { topic, partition, offset, metadata: found?.metadata ?? '', isCommitted: found !== undefined }
  })
}

function ask({ topic, partition }: TopicPartition, options: StartOffsetsOptions): OffsetQuestion {
  if (options.autoOffsetReset === 'none') {
    throw new PipelineError(
      'ERR_CLIENT_OFFSET_OUT_OF_RANGE',
      `the group has no committed offset for ${topic}-${partition} and autoOffsetReset is "none"`
    )
  }
  // Records of a partition that was added after the start were never seen by anybody: "latest" would skip them.
  const isNew = partition >= (options.initialCounts.get(topic) ?? 0)
  return { topic, partition, at: options.autoOffsetReset === 'latest' && !isNew ? 'latest' : 'earliest' }
}
