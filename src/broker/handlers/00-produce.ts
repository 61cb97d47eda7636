/**
 * Produce, versions 3 to 13 (advertised from 0, see ApiVersions).
 *
 * Every partition's batch is handed to its log before the first await, so the
 * appends of one connection keep the order of its requests even when they
 * overlap. Transactional batches may have to wait for their coordinator, which
 * keeps the order of each producer. With acks 1 and all the answer follows the
 * write (one replica: both mean the same); with acks 0 there is no answer, and
 * an error closes the connection, which is the only way to tell such a client.
 * Record bytes are not copied: the log writes the very part of the frame that
 * holds them.
 */

import {
  BATCH_AT,
  BATCH_HEADER_BYTES,
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
import type { ProduceRefusal } from '../metrics.ts'
import { authorizationError, mayTopic } from './authorization.ts'
import type { BrokerState } from './broker-state.ts'
import { type Caller, defineHandler, errorCode, errorMessage, type Refusal } from './handler.ts'
import { type CheckedTransaction, checkTransaction, hasTransactionalBatch } from './produce-transaction.ts'

/** First version that may hold batches compressed by zstd. */
const ZSTD_VERSION = 7
const COMPRESSION_MASK = 0x07
const ZSTD = 4

/** `acks=all`. */
const ACKS_ALL = -1

type RequestTopic = ProduceRequest['topicData'][number]
type RequestPartition = RequestTopic['partitionData'][number]
type PartitionAnswer = ProduceResponsePartitionProduceResponseInput

/** A topic of the request, looked up once. */
interface FoundTopic {
  readonly request: RequestTopic
  readonly topic: Topic | undefined
  /** Why none of its partitions takes records. */
  readonly error: KafkaErrorName | undefined
  /** Whether the version of the request knows zstd. */
  readonly knowsZstd: boolean
}

/** The handler of Produce. */
export const produceHandler = defineHandler({
  api: produceApi,
  advertisedMin: 0,
  isOverlappable: true,
  handle: async (broker, request, caller): Promise<ProduceResponseInput | undefined> => {
    const refusal = requestError(broker, request, caller)
    if (request.acks === 0) {
      await appendUnanswered(broker, { request, caller }, refusal)
      caller.connection.mute(broker.quotas.produced(caller, caller.requestBytes))
      return undefined
    }
    if (refusal !== undefined) return failAll(request, errorCode(refusal))
    const answers = await appendAll(broker, request, caller)
    const response = typeof answers === 'string' ? failAll(request, errorCode(answers)) : { responses: answers }
    return { ...response, throttleTimeMs: broker.quotas.produced(caller, caller.requestBytes) }
  },
  fail: failAll
})

function requestError(broker: BrokerState, request: ProduceRequest, caller: Caller): KafkaErrorName | undefined {
  if (request.acks !== 0 && request.acks !== 1 && request.acks !== ACKS_ALL) return 'INVALID_REQUIRED_ACKS'
  if (!hasTransactionalBatch(request)) return undefined
  const { transactionalId } = request
  if (transactionalId === null) return 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED'
  const need = { operation: 'write', type: 'transactionalId', name: transactionalId } as const
  return authorizationError(broker, caller, need)
}

/** Appends everything; without transactional batches it is with the logs before this first waits. */
async function appendAll(
  broker: BrokerState,
  request: ProduceRequest,
  caller: Caller
): Promise<ProduceResponseTopicProduceResponseInput[] | KafkaErrorName> {
  const found = request.topicData.map(topic => findTopic(broker, topic, { acks: request.acks, caller }))
  let transaction: CheckedTransaction | undefined
  if (request.transactionalId !== null) {
    const batches = found.flatMap(({ topic, error, request: { partitionData } }) =>
      partitionData.flatMap(({ index, records }) => {
        const log = error === undefined ? topic?.logs[index] : undefined
        return log === undefined || records === null ? [] : [{ log, records }]
      })
    )
    const { apiVersion } = caller
    const checked = await checkTransaction(broker, { transactionalId: request.transactionalId, apiVersion }, batches)
    if (typeof checked === 'string') return checked
    transaction = checked
  }
  const answers = found.map(topic => appendTopic(broker, topic, transaction))
  transaction?.release()
  return Promise.all(answers)
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
  { request, caller }: { request: ProduceRequest; caller: Caller },
  refusal: KafkaErrorName | undefined
): Promise<void> {
  const answers = refusal ?? (await appendAll(broker, request, caller))
  const topics = typeof answers === 'string' ? [] : answers
  const failed = topics.flatMap(answer => answer.partitionResponses ?? []).find(each => (each.errorCode ?? 0) !== 0)
  if (typeof answers !== 'string' && failed === undefined) return
  const reason = failed?.errorMessage ?? (typeof answers === 'string' ? answers : 'unknown')
  throw new PipelineError('ERR_BROKER_REQUEST_REFUSED', `a produce request with acks=0 failed: ${reason}`)
}

function findTopic(
  broker: BrokerState,
  request: RequestTopic,
  { acks, caller }: { acks: number; caller: Caller }
): FoundTopic {
  const isById = request.topicId !== ZERO_UUID
  const topic = isById ? broker.logs.topicById(request.topicId) : broker.logs.topic(request.name)
  const error = topicError(broker, { request, topic, isById, caller })
  const isShortOfReplicas = acks === ACKS_ALL && topic !== undefined && replicasWanted(broker, topic) > 1
  const knowsZstd = caller.apiVersion >= ZSTD_VERSION
  return { request, topic, knowsZstd, error: error ?? (isShortOfReplicas ? 'NOT_ENOUGH_REPLICAS' : undefined) }
}

function topicError(
  broker: BrokerState,
  context: { request: RequestTopic; topic: Topic | undefined; isById: boolean; caller: Caller }
): KafkaErrorName | undefined {
  const { request, topic, isById, caller } = context
  if (topic === undefined && isById) return 'UNKNOWN_TOPIC_ID'
  const name = topic?.name ?? request.name
  if (!mayTopic(broker, caller, { operation: 'write', name })) return 'TOPIC_AUTHORIZATION_FAILED'
  if (topic === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
  return INTERNAL_TOPICS.has(topic.name) ? 'INVALID_TOPIC_EXCEPTION' : undefined
}

async function appendTopic(
  broker: BrokerState,
  { request: { name, topicId, partitionData }, topic, error, knowsZstd }: FoundTopic,
  transaction: CheckedTransaction | undefined
): Promise<ProduceResponseTopicProduceResponseInput> {
  const appends = partitionData.map(async (partition): Promise<PartitionAnswer> => {
    const log = topic?.logs[partition.index]
    if (error !== undefined) return refusedPartition(partition.index, error)
    if (log === undefined) return refusedPartition(partition.index, 'UNKNOWN_TOPIC_OR_PARTITION')
    if (!knowsZstd && isZstd(partition.records)) {
      return refusedPartition(partition.index, 'UNSUPPORTED_COMPRESSION_TYPE')
    }
    const refusal = transaction?.refused.get(log)
    if (refusal !== undefined) return refusedPartition(partition.index, refusal.error, refusal.message)
    return appendPartition(broker, { log, transaction }, partition)
  })
  const partitionResponses = await Promise.all(appends)
  // Topics that do not exist are not counted: their names are whatever clients make up.
  if (topic !== undefined) {
    const needsKeys = topic.logs[0]?.config.isCompacted === true
    broker.metrics.produced(
      topic.name,
      partitionResponses.flatMap(answer => refusalOf(answer, needsKeys))
    )
  }
  return { name, topicId, partitionResponses }
}

/** What Kafka counts of a refused batch. */
function refusalOf({ errorCode: code = 0, recordErrors = [] }: PartitionAnswer, needsKeys: boolean): ProduceRefusal[] {
  if (code === 0) return []
  if (code === errorCode('CORRUPT_MESSAGE')) return ['invalidCrc']
  return [needsKeys && recordErrors.length > 0 ? 'noKeyInCompactedTopic' : 'other']
}

/**
 * `min.insync.replicas`: with more than the one replica there is, acks=all cannot be kept. A broker that accepts any
 * replication factor has said what one copy is worth.
 */
function replicasWanted(broker: BrokerState, topic: Topic): number {
  if (broker.acceptsReplicationFactor) return 1
  const name = 'min.insync.replicas'
  return Number(topic.configs[name] ?? broker.settings.given[name] ?? 1)
}

function isZstd(records: Buffer | null): boolean {
  if (records === null || records.length < BATCH_HEADER_BYTES) return false
  // Not by name: an unknown compression is for the log to refuse.
  return (records.readInt16BE(BATCH_AT.attributes) & COMPRESSION_MASK) === ZSTD
}

async function appendPartition(
  broker: BrokerState,
  { log, transaction }: { log: PartitionLog; transaction: CheckedTransaction | undefined },
  { index, records }: RequestPartition
): Promise<PartitionAnswer> {
  if (records === null) return refusedPartition(index, 'INVALID_RECORD')
  const proof = transaction?.proofs.get(log)
  const result = await log.append(records, proof === undefined ? {} : { transaction: proof })
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

function refusedPartition(
  index: number,
  error: KafkaErrorName,
  message: Refusal['message'] = errorMessage(error)
): PartitionAnswer {
  return { index, errorCode: errorCode(error), baseOffset: -1n, errorMessage: message }
}
