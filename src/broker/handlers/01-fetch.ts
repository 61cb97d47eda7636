/**
 * Fetch, versions 4 to 18: whole batches from the one that contains the wanted
 * offset on, with sessions (KIP-227), topic ids (version 13) and the check of
 * the last fetched epoch (version 12, KIP-595).
 *
 * If less than `minBytes` is there, the fetch waits without touching the disk:
 * appends tell how many bytes came, and the logs are read once enough did or
 * `maxWaitMs` is over. The first partition with records answers at least one
 * whole batch, however small `maxBytes` is; the rest share what is left.
 * Record bytes go from the log's read buffer to the socket by reference.
 *
 * Readers of committed records get nothing beyond the last stable offset, and
 * are told which transactions in what they get were aborted: leaving those out
 * is theirs.
 */

import {
  fetchApi,
  type FetchRequest,
  type FetchResponseFetchableTopicResponseInput,
  type FetchResponseInput,
  type FetchResponsePartitionDataInput,
  type KafkaErrorName,
  kafkaErrorName
} from '../../protocol/index.ts'
import { messageOf, randomInt } from '../../core/index.ts'
import type { PartitionLog, ReadResult } from '../log/index.ts'
import { mayTopic } from './authorization.ts'
import type { BrokerState } from './broker-state.ts'
import type { FetchContext, FetchTarget } from './fetch-sessions.ts'
import { type Caller, defineHandler, errorCode } from './handler.ts'
import { ReadLease } from './read-lease.ts'

const TOPIC_ID_VERSION = 13
const READ_COMMITTED = 1
const NO_BYTES = Buffer.alloc(0)

/** What was found of one partition. */
interface Fetched {
  readonly target: FetchTarget
  /** Name of the topic; empty if it is known by an unknown id only. */
  readonly topic: string
  readonly log: PartitionLog | undefined
  readonly data: FetchResponsePartitionDataInput
  readonly bytes: number
  readonly hasError: boolean
}

/** One request, and what it takes to answer it. */
interface FetchCall {
  readonly request: FetchRequest
  readonly context: FetchContext
  readonly caller: Caller
  readonly lease: ReadLease
}

/** How one partition is read. */
interface ReadLimits extends Omit<FetchCall, 'context'> {
  readonly bytesMax: number
  readonly minOneBatch: boolean
}

/** The handler of Fetch. */
export const fetchHandler = defineHandler({
  api: fetchApi,
  handle: async (broker, request, caller): Promise<FetchResponseInput> => {
    const isByTopicId = caller.apiVersion >= TOPIC_ID_VERSION
    const newId = 1 + randomInt(broker.random, 0x7fff_ffff)
    const context = broker.fetchSessions.open(request, isByTopicId, { nowMs: broker.clock.now(), newId })
    if (context.error !== 'NONE') return { errorCode: errorCode(context.error) }
    const lease = new ReadLease(broker.readPool)
    caller.onSent(() => lease.release())
    const fetched = await fetchAndWait(broker, { request, context, caller, lease })
    const throttleTimeMs = broker.quotas.fetched(caller, bytesOf(fetched))
    // Too much for now: the client waits and asks again, and the session has been told nothing (KIP-219).
    if (throttleTimeMs > 0)
      return { throttleTimeMs, sessionId: request.sessionEpoch > 0 ? context.sessionId : 0, responses: [] }
    return { sessionId: context.sessionId, responses: answer(broker, context, fetched) }
  },
  fail: (_request, code) => ({ errorCode: code })
})

async function fetchAndWait(broker: BrokerState, call: FetchCall): Promise<Fetched[]> {
  const { request, caller } = call
  let fetched = await fetchAll(broker, call)
  if (isAnswerDue(fetched, request)) return fetched
  // What was appended while the others were read has woken nobody yet.
  if (fetched.some(each => hasGrown(each, request))) {
    fetched = await fetchAll(broker, call)
    if (isAnswerDue(fetched, request)) return fetched
  }
  // Grown once more: the answer is there, and whoever appended it will not wake us again.
  if (!fetched.some(each => hasGrown(each, request))) {
    const isWoken = await broker.signals.wait({
      partitions: fetched.flatMap(each => each.log ?? []),
      isReadCommitted: readsCommitted(request),
      wantedBytes: request.minBytes - bytesOf(fetched),
      waitMs: request.maxWaitMs,
      signal: caller.signal
    })
    // The time is over and nothing has come, as with most fetches of idle consumers: what was found is still so.
    if (!isWoken && !fetched.some(each => hasGrown(each, request))) return fetched
  }
  return caller.signal.aborted ? [] : fetchAll(broker, call)
}

function bytesOf(fetched: readonly Fetched[]): number {
  return fetched.reduce((sum, each) => sum + each.bytes, 0)
}

function isAnswerDue(fetched: readonly Fetched[], { minBytes, maxWaitMs }: FetchRequest): boolean {
  return maxWaitMs <= 0 || fetched.length === 0 || bytesOf(fetched) >= minBytes || fetched.some(each => each.hasError)
}

/** Whether more became readable since the partition was looked at. */
function hasGrown({ log, data }: Fetched, request: FetchRequest): boolean {
  if (log === undefined) return false
  if (readsCommitted(request)) return log.lastStableOffset !== data.lastStableOffset
  return log.highWatermark !== data.highWatermark
}

function readsCommitted({ isolationLevel }: FetchRequest): boolean {
  return isolationLevel === READ_COMMITTED
}

/** Reads all partitions in turn, as long as there is room in the answer. */
async function fetchAll(broker: BrokerState, { request, context, caller, lease }: FetchCall): Promise<Fetched[]> {
  // What was read before and does not go into the answer.
  lease.release()
  const fetched: Fetched[] = []
  const brokerBytesMax = Math.min(broker.settings.number('fetch.max.bytes'), broker.quotas.fetchBytesMax(caller))
  let bytesLeft = Math.min(request.maxBytes, brokerBytesMax)
  let isFirst = true
  for (const target of context.targets) {
    const bytesMax = Math.min(bytesLeft, target.partitionBytesMax)
    const one = await fetchPartition(broker, target, { request, caller, lease, bytesMax, minOneBatch: isFirst })
    fetched.push(one)
    if (one.bytes > 0) isFirst = false
    bytesLeft = Math.max(0, bytesLeft - one.bytes)
  }
  return fetched
}

async function fetchPartition(broker: BrokerState, target: FetchTarget, limits: ReadLimits): Promise<Fetched> {
  const isById = target.topic === ''
  const topic = isById ? broker.logs.topicById(target.topicId) : broker.logs.topic(target.topic)
  const log = topic?.logs[target.partition]
  const name = topic?.name ?? target.topic
  const failed = (error: KafkaErrorName): Fetched => {
    const data = {
      partitionIndex: target.partition,
      errorCode: errorCode(error),
      highWatermark: -1n,
      abortedTransactions: null,
      records: NO_BYTES
    }
    return { target, topic: name, log, data, bytes: 0, hasError: true }
  }
  const isNamed = topic !== undefined || !isById
  if (isNamed && !mayTopic(broker, limits.caller, { operation: 'read', name }))
    return failed('TOPIC_AUTHORIZATION_FAILED')
  if (log === undefined)
    return failed(topic === undefined && isById ? 'UNKNOWN_TOPIC_ID' : 'UNKNOWN_TOPIC_OR_PARTITION')
  const epochError = leaderEpochError(log, target.currentLeaderEpoch)
  if (epochError !== undefined) return failed(epochError)
  const { highWatermark, lastStableOffset, logStartOffset } = log
  const isReadCommitted = readsCommitted(limits.request)
  const known = {
    partitionIndex: target.partition,
    highWatermark,
    lastStableOffset,
    logStartOffset,
    abortedTransactions: isReadCommitted ? [] : null
  }
  const diverging = divergingEpoch(log, target)
  if (diverging !== undefined) {
    const data = { ...known, divergingEpoch: diverging, records: NO_BYTES }
    return { target, topic: name, log, data, bytes: 0, hasError: true }
  }
  if (target.fetchOffset < logStartOffset || target.fetchOffset > highWatermark) return failed('OFFSET_OUT_OF_RANGE')
  const end = isReadCommitted ? lastStableOffset : highWatermark
  const isReadable = target.fetchOffset < end && (limits.bytesMax > 0 || limits.minOneBatch)
  if (!isReadable) return { target, topic: name, log, data: { ...known, records: NO_BYTES }, bytes: 0, hasError: false }
  const read = await readOrStorageError(broker, log, { fromOffset: target.fetchOffset, isReadCommitted, ...limits })
  if (read.errorCode !== 0) return failed(kafkaErrorName(read.errorCode))
  const abortedTransactions = isReadCommitted ? [...read.abortedTransactions] : null
  const data = { ...known, abortedTransactions, records: read.records }
  return { target, topic: name, log, data, bytes: read.records.length, hasError: false }
}

/** A disk that fails is the broker's trouble: the client is told and may try again. */
async function readOrStorageError(
  broker: BrokerState,
  log: PartitionLog,
  {
    fromOffset,
    bytesMax,
    minOneBatch,
    isReadCommitted,
    lease
  }: ReadLimits & { fromOffset: bigint; isReadCommitted: boolean }
): Promise<Pick<ReadResult, 'errorCode' | 'records' | 'abortedTransactions'>> {
  try {
    return await log.read(fromOffset, bytesMax, { minOneBatch, isReadCommitted, buffers: lease })
  } catch (error) {
    const { topic, partition } = log
    broker.logger.error({ topic, partition, error: messageOf(error) }, 'a partition could not be read')
    return { errorCode: errorCode('KAFKA_STORAGE_ERROR'), records: NO_BYTES, abortedTransactions: [] }
  }
}

/** Why a client's idea of the leader epoch is wrong; `undefined` if it is right or it has none. */
export function leaderEpochError(log: PartitionLog, currentLeaderEpoch: number): KafkaErrorName | undefined {
  if (currentLeaderEpoch < 0 || currentLeaderEpoch === log.leaderEpoch) return undefined
  return currentLeaderEpoch < log.leaderEpoch ? 'FENCED_LEADER_EPOCH' : 'UNKNOWN_LEADER_EPOCH'
}

/** Where the client's log parts from ours, if it does. */
function divergingEpoch(log: PartitionLog, target: FetchTarget): { epoch: number; endOffset: bigint } | undefined {
  if (target.lastFetchedEpoch < 0) return undefined
  const end = log.endOffsetOf(target.lastFetchedEpoch)
  if (end.epoch < 0) return undefined
  const isDiverging = end.epoch < target.lastFetchedEpoch || end.endOffset < target.fetchOffset
  return isDiverging ? end : undefined
}

interface TopicAnswer {
  readonly topic: string
  readonly topicId: string
  readonly partitions: FetchResponsePartitionDataInput[]
  bytes: number
  hasError: boolean
}

/** The answer by topic, with only the news where the session asks for that. */
function answer(
  broker: BrokerState,
  context: FetchContext,
  fetched: readonly Fetched[]
): FetchResponseFetchableTopicResponseInput[] {
  const responses: TopicAnswer[] = []
  for (const { target, topic, data, bytes, hasError } of fetched) {
    const isTold = broker.fetchSessions.note(context, {
      target,
      hasRecords: bytes > 0,
      hasError,
      highWatermark: data.highWatermark ?? -1n,
      logStartOffset: data.logStartOffset ?? -1n
    })
    if (!isTold) continue
    const last = responses.at(-1)
    const isSameTopic = last !== undefined && last.topic === topic && last.topicId === target.topicId
    const answered = isSameTopic ? last : { topic, topicId: target.topicId, partitions: [], bytes: 0, hasError: false }
    if (!isSameTopic) responses.push(answered)
    answered.partitions.push(data)
    answered.bytes += bytes
    answered.hasError ||= hasError
  }
  for (const { topic, bytes, hasError } of responses) {
    // Topics that do not exist are not counted: their names are whatever clients make up.
    if (broker.logs.topic(topic) !== undefined) broker.metrics.fetched(topic, bytes, hasError)
  }
  return responses
}
