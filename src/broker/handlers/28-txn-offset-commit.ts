/**
 * TxnOffsetCommit, versions 0 to 5: stores offsets of a group as part of a
 * transaction; they count when it is committed.
 *
 * The group's partition of `__consumer_offsets` must be in the transaction:
 * before version 5 AddOffsetsToTxn has added it, from 5 on (KIP-890) this does.
 * From version 3 on the consumer is fenced by member id and generation (KIP-447).
 */

import {
  type KafkaErrorName,
  txnOffsetCommitApi,
  type TxnOffsetCommitRequest,
  type TxnOffsetCommitRequestTopic
} from '../../protocol/index.ts'
import type { OffsetToCommit } from '../groups/index.ts'
import type { PartitionLog } from '../log/index.ts'
import { OFFSETS_TOPIC } from '../offsets-topic.ts'
import { mayTopic } from './authorization.ts'
import type { BrokerState } from './broker-state.ts'
import { type Caller, defineHandler, errorCode } from './handler.ts'

/** First version whose clients know TRANSACTION_ABORTABLE. */
const ABORTABLE_VERSION = 4
/** First version that adds the group to the transaction. */
const ADDING_VERSION = 5

/** The handler of TxnOffsetCommit. */
export const txnOffsetCommitHandler = defineHandler({
  api: txnOffsetCommitApi,
  needs: ({ transactionalId, groupId }) => [
    { operation: 'write', type: 'transactionalId', name: transactionalId },
    { operation: 'read', type: 'group', name: groupId }
  ],
  handle: async (broker, request, caller) => {
    const offsets: OffsetToCommit[] = []
    const checked = request.topics.map(topic => checkTopic(broker, { topic, caller, offsets }))
    const error = offsets.length === 0 ? 'NONE' : await commitOffsets(broker, { request, caller }, offsets)
    const topics = request.topics.map(({ name, partitions }, topicIndex) => ({
      name,
      partitions: partitions.map(({ partitionIndex }, index) => {
        const own = checked[topicIndex]?.[index] ?? 'NONE'
        return { partitionIndex, errorCode: errorCode(own === 'NONE' ? error : own) }
      })
    }))
    return { topics }
  },
  fail: (request, code) => ({
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: code }))
    }))
  })
})

/** Errors of a topic's partitions one by one; what may be stored is added to `offsets`. */
function checkTopic(
  broker: BrokerState,
  context: { topic: TxnOffsetCommitRequestTopic; caller: Caller; offsets: OffsetToCommit[] }
): KafkaErrorName[] {
  const { topic, caller, offsets } = context
  const { name } = topic
  if (!mayTopic(broker, caller, { operation: 'read', name })) {
    return topic.partitions.map(() => 'TOPIC_AUTHORIZATION_FAILED')
  }
  const metadataBytesMax = broker.settings.number('offset.metadata.max.bytes')
  const commitTimestampMs = broker.clock.now()
  return topic.partitions.map(partition => {
    if (broker.logs.log(name, partition.partitionIndex) === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
    const metadata = partition.committedMetadata ?? ''
    if (Buffer.byteLength(metadata) > metadataBytesMax) return 'OFFSET_METADATA_TOO_LARGE'
    const { committedOffset: offset, committedLeaderEpoch: leaderEpoch } = partition
    const committed = { offset, leaderEpoch, metadata, commitTimestampMs, expireTimestampMs: undefined }
    offsets.push({ topic: name, partition: partition.partitionIndex, committed })
    return 'NONE'
  })
}

async function commitOffsets(
  broker: BrokerState,
  { request, caller }: { request: TxnOffsetCommitRequest; caller: Caller },
  offsets: readonly OffsetToCommit[]
): Promise<KafkaErrorName> {
  const { groupId, memberId, groupInstanceId, generationId, producerId, producerEpoch } = request
  if (groupId === '') return 'INVALID_GROUP_ID'
  if (!(await broker.offsetsTopic.ensureCreated())) return 'COORDINATOR_NOT_AVAILABLE'
  const log = broker.logs.log(OFFSETS_TOPIC, broker.groups.partitionOf(groupId))
  if (log === undefined) return 'COORDINATOR_NOT_AVAILABLE'
  const verification = log.beginVerification({ producerId, producerEpoch, baseSequence: -1 }, false)
  try {
    const error = await transactionError(broker, log, { request, apiVersion: caller.apiVersion })
    if (error !== undefined) return error
    const who = {
      identity: { memberId, groupInstanceId, generation: generationId },
      producer: { producerId, producerEpoch },
      isVoid: () => verification.isVoid
    }
    return await broker.groups.commitTransactionalOffsets(groupId, who, offsets)
  } finally {
    verification.end()
  }
}

/** Why the transaction takes no offsets of the group; `undefined` if it does. */
async function transactionError(
  broker: BrokerState,
  log: PartitionLog,
  { request, apiVersion }: { readonly request: TxnOffsetCommitRequest; readonly apiVersion: number }
): Promise<KafkaErrorName | undefined> {
  const { transactionalId, producerId, producerEpoch } = request
  const known = log.producers.get(producerId)
  if (known !== undefined && producerEpoch < known.producerEpoch) return 'INVALID_PRODUCER_EPOCH'
  if (log.openTransaction(producerId)?.producerEpoch === producerEpoch) return undefined
  const [error = 'NONE'] = await broker.transactions.verifyOrAdd({
    transactionalId,
    producerId,
    producerEpoch,
    partitions: [{ topic: OFFSETS_TOPIC, partition: log.partition }],
    mayAdd: apiVersion >= ADDING_VERSION
  })
  if (error === 'NONE') return undefined
  if (error === 'PRODUCER_FENCED') return 'INVALID_PRODUCER_EPOCH'
  return error === 'TRANSACTION_ABORTABLE' && apiVersion < ABORTABLE_VERSION ? 'INVALID_TXN_STATE' : error
}
