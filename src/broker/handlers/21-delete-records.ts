/**
 * DeleteRecords, versions 0 to 2: moves the log start offset forward; -1 means
 * the high watermark. A topic that is only compacted refuses it, as in Kafka.
 */

import {
  deleteRecordsApi,
  type DeleteRecordsResponsePartitionResultInput,
  type KafkaErrorName
} from '../../protocol/index.ts'
import { INTERNAL_TOPICS } from '../log/index.ts'
import { mayTopic } from './authorization.ts'
import type { BrokerState } from './broker-state.ts'
import { type Caller, defineHandler, errorCode } from './handler.ts'

/** The handler of DeleteRecords. */
export const deleteRecordsHandler = defineHandler({
  api: deleteRecordsApi,
  handle: async (broker, request, caller) => ({
    topics: await Promise.all(
      request.topics.map(async ({ name, partitions }) => ({
        name,
        partitions: await Promise.all(partitions.map(each => deleteRecords(broker, { caller, topicName: name }, each)))
      }))
    )
  }),
  fail: (request, code) => ({
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, lowWatermark: -1n, errorCode: code }))
    }))
  })
})

async function deleteRecords(
  broker: BrokerState,
  { caller, topicName }: { caller: Caller; topicName: string },
  { partitionIndex, offset }: { partitionIndex: number; offset: bigint }
): Promise<DeleteRecordsResponsePartitionResultInput> {
  const failed = (error: KafkaErrorName): DeleteRecordsResponsePartitionResultInput => ({
    partitionIndex,
    lowWatermark: -1n,
    errorCode: errorCode(error)
  })
  if (!mayTopic(broker, caller, { operation: 'delete', name: topicName })) return failed('TOPIC_AUTHORIZATION_FAILED')
  const topic = broker.logs.topic(topicName)
  const log = topic?.logs[partitionIndex]
  if (topic === undefined || log === undefined) return failed('UNKNOWN_TOPIC_OR_PARTITION')
  if (INTERNAL_TOPICS.has(topic.name)) return failed('INVALID_TOPIC_EXCEPTION')
  if (!log.config.isDeleted) return failed('POLICY_VIOLATION')
  const result = await log.deleteRecords(offset)
  broker.signals.changed(log)
  return { partitionIndex, lowWatermark: result.lowWatermark, errorCode: result.errorCode }
}
