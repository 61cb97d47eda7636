/** How partitions and offsets are named on a command line. Pure. */

import type { TopicPartition } from '../../client/index.ts'
import { PipelineError } from '../../core/index.ts'

/** A topic, and which of its partitions. */
export interface TopicScope {
  readonly topic: string
  /** `undefined` = all. */
  readonly partitions: readonly number[] | undefined
}

const scopePattern = /^([A-Za-z0-9._-]{1,249})(?::(\d{1,9}(?:,\d{1,9})*))?$/
const positionPattern = /^([A-Za-z0-9._-]{1,249})-(\d{1,9})@(\d{1,19})$/

/**
 * Reads `topic` or `topic:0,1,2`, as Kafka's tool takes it.
 *
 * @throws PipelineError `ERR_OPS_INVALID`.
 */
export function readTopicScope(text: string): TopicScope {
  const [, topic, partitions] = scopePattern.exec(text) ?? []
  if (topic === undefined) throw invalid(`"${text}" is no topic, nor one with partitions like mt-c400:0,1,2`)
  return { topic, partitions: partitions === undefined ? undefined : [...new Set(partitions.split(',').map(Number))] }
}

/**
 * Reads `topic-partition@offset`: one record, or a position.
 *
 * @throws PipelineError `ERR_OPS_INVALID`.
 */
export function readPosition(text: string): TopicPartition & { readonly offset: bigint } {
  const [, topic, partition = '', offset = ''] = positionPattern.exec(text) ?? []
  if (topic === undefined) throw invalid(`"${text}" is no position like mt-c400-3@1234 (topic, partition, offset)`)
  return { topic, partition: Number(partition), offset: BigInt(offset) }
}

function invalid(message: string): PipelineError {
  return new PipelineError('ERR_OPS_INVALID', message)
}
