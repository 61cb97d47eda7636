/**
 * Produce, versions 3 to 13 (advertised from 0, see ApiVersions).
 *
 * Every partition's batch is handed to its log before the first await, so the
 * appends of one connection keep the order of its requests even when they
 * overlap. With acks 1 and all the answer follows the write (one replica: both
 * mean the same); with acks 0 there is no answer, and an error closes the
 * connection, which is the only way to tell such a client. Record bytes are not
 * copied: the log writes the very part of the frame that holds them.
 */

import {
  type KafkaErrorName,
  produceApi,
  type ProduceRequest,
  type ProduceResponseInput,
  type ProduceResponsePartitionProduceResponseInput,
  type ProduceResponseTopicProduceResponseInput,
  ZERO_UUID
} from '../../protocol/index.ts'
import { PipelineError } from '../../core/index.ts'
import { INTERNAL_TOPICS, type PartitionLog, type Topic } from '../log/index.ts'
import type { BrokerState } from './broker-state.ts'
import { defineHandler, errorCode, errorMessage } from './handler.ts'

/** `acks=all`. */
const ACKS_ALL = -1

type RequestTopic = ProduceRequest['topicData'][number]
type RequestPartition = RequestTopic['partitionData'][number]
type PartitionAnswer = ProduceResponsePartitionProduceResponseInput

/** The handler of Produce. */
export const produceHandler = defineHandler({
  api: produceApi,
  advertisedMin: 0,
  isOverlappable: true,
  handle: async (broker, request): Promise<ProduceResponseInput | undefined> => {
    const refusal = requestError(request)
    if (request.acks === 0) {
      await appendUnanswered(broker, request, refusal)
      return undefined
    }
    if (refusal !== undefined) return failAll(request, errorCode(refusal))
    const responses = await Promise.all(request.topicData.map(topic => appendTopic(broker, topic, request.acks)))
    return { responses }
  },
  fail: failAll
})

function requestError(request: ProduceRequest): KafkaErrorName | undefined {
  if (request.acks !== 0 && request.acks !== 1 && request.acks !== ACKS_ALL) return 'INVALID_REQUIRED_ACKS'
  // Transactions are not supported and InitProducerId refuses them, so only a client that ignores that gets here.
  return request.transactionalId === null ? undefined : 'INVALID_REQUEST'
}

function failAll(request: ProduceRequest, code: number): ProduceResponseInput {
  return {
    responses: request.topicData.map(({ name, topicId, partitionData }) => ({
      name,
      topicId,
      partitionResponses: partitionData.map(({ index }) => ({ index, errorCode: code, baseOffset: -1n }))
    }))
  }
}

async function appendUnanswered(
  broker: BrokerState,
  request: ProduceRequest,
  refusal: KafkaErrorName | undefined
): Promise<void> {
  const answers =
    refusal === undefined ? await Promise.all(request.topicData.map(topic => appendTopic(broker, topic, 0))) : []
  const failed = answers.flatMap(answer => answer.partitionResponses ?? []).find(each => (each.errorCode ?? 0) !== 0)
  if (refusal === undefined && failed === undefined) return
  const reason = failed?.errorMessage ?? refusal ?? 'unknown'
  throw new PipelineError('ERR_BROKER_REQUEST_REFUSED', `a produce request with acks=0 failed: ${reason}`)
}

async function appendTopic(
  broker: BrokerState,
  { name, topicId, partitionData }: RequestTopic,
  acks: number
): Promise<ProduceResponseTopicProduceResponseInput> {
  const isById = topicId !== ZERO_UUID
  const topic = isById ? broker.logs.topicById(topicId) : broker.logs.topic(name)
  const unknown = topic === undefined && isById ? 'UNKNOWN_TOPIC_ID' : 'UNKNOWN_TOPIC_OR_PARTITION'
  const isShortOfReplicas = acks === ACKS_ALL && topic !== undefined && replicasWanted(broker, topic) > 1
  const appends = partitionData.map(async (partition): Promise<PartitionAnswer> => {
    const log = topic?.logs[partition.index]
    if (topic === undefined || log === undefined) return refusedPartition(partition.index, unknown)
    if (INTERNAL_TOPICS.has(topic.name)) return refusedPartition(partition.index, 'INVALID_TOPIC_EXCEPTION')
    if (isShortOfReplicas) return refusedPartition(partition.index, 'NOT_ENOUGH_REPLICAS')
    return appendPartition(broker, log, partition)
  })
  return { name, topicId, partitionResponses: await Promise.all(appends) }
}

/** `min.insync.replicas`: with more than the one replica there is, acks=all cannot be kept. */
function replicasWanted(broker: BrokerState, topic: Topic): number {
  const name = 'min.insync.replicas'
  return Number(topic.configs[name] ?? broker.settings.given[name] ?? 1)
}

async function appendPartition(
  broker: BrokerState,
  log: PartitionLog,
  { index, records }: RequestPartition
): Promise<PartitionAnswer> {
  if (records === null) return refusedPartition(index, 'INVALID_RECORD')
  const result = await log.append(records)
  if ('errorMessage' in result) {
    const { errorCode: code, errorMessage: message, logStartOffset } = result
    const recordErrors = result.recordErrors.map(each => ({
      batchIndex: each.batchIndex,
      batchIndexErrorMessage: each.message
    }))
    return { index, errorCode: code, baseOffset: -1n, logStartOffset, recordErrors, errorMessage: message }
  }
  if (!result.isDuplicate) broker.signals.appended(log, records.length)
  const { baseOffset, logAppendTimeMs, logStartOffset } = result
  return { index, baseOffset, logAppendTimeMs, logStartOffset }
}

function refusedPartition(index: number, error: KafkaErrorName): PartitionAnswer {
  return { index, errorCode: errorCode(error), baseOffset: -1n, errorMessage: errorMessage(error) }
}
