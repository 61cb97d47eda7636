/** Shapes a produce request out of batches, and reads back what became of each. Pure. */

import { type ProduceRequestInput, type ProduceResponse, ZERO_UUID } from '../protocol/index.ts'
import type { AppendBatch } from './append-batch.ts'

/** First version that names topics by id (KIP-516). */
export const PRODUCE_TOPIC_ID_VERSION = 13

/** First version that makes a partition part of the transaction by writing to it (KIP-890). */
export const PRODUCE_TRANSACTION_VERSION = 12

/** A batch in its wire form. */
export interface BatchToSend {
  readonly batch: AppendBatch
  readonly bytes: Buffer
  /** Id of the topic, `ZERO_UUID` if unknown. */
  readonly topicId: string
}

/** What the broker said about one batch. */
export interface BatchVerdict {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly baseOffset: bigint
  /** Index within the batch of the records that the broker found fault with; empty if it named none. */
  readonly recordIndexes: readonly number[]
}

/** A produce request of at most one batch per partition. */
export function produceRequest(
  items: readonly BatchToSend[],
  options: {
    readonly version: number
    readonly acks: number
    readonly timeoutMs: number
    readonly transactionalId: string | null
  }
): ProduceRequestInput {
  const topics = new Map<
    string,
    { name?: string; topicId?: string; partitionData: { index: number; records: Buffer }[] }
  >()
  for (const { batch, bytes, topicId } of items) {
    let topic = topics.get(batch.topic)
    if (topic === undefined) {
      const name = options.version >= PRODUCE_TOPIC_ID_VERSION ? { topicId } : { name: batch.topic }
      topic = { ...name, partitionData: [] }
      topics.set(batch.topic, topic)
    }
    topic.partitionData.push({ index: batch.partition, records: bytes })
  }
  const { transactionalId, acks, timeoutMs } = options
  return { transactionalId, acks, timeoutMs, topicData: [...topics.values()] }
}

/** Finds the answer to one batch; `undefined` if the broker left it out. */
export function verdictOf(answer: ProduceResponse, item: BatchToSend): BatchVerdict | undefined {
  for (const topic of answer.responses) {
    const isSame = topic.name === item.batch.topic || (topic.topicId !== ZERO_UUID && topic.topicId === item.topicId)
    if (!isSame) continue
    for (const partition of topic.partitionResponses) {
      if (partition.index !== item.batch.partition) continue
      return {
        errorCode: partition.errorCode,
        errorMessage: partition.errorMessage,
        baseOffset: partition.baseOffset,
        recordIndexes: partition.recordErrors.map(error => error.batchIndex)
      }
    }
  }
  return undefined
}
