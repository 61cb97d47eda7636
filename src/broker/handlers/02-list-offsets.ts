/**
 * ListOffsets, versions 1 to 11: the offset at a time, or at a named place.
 *
 *   -1 latest · -2 earliest · -3 largest timestamp (7) · -4 earliest local (8)
 *   -5 latest tiered (9) · -6 earliest pending upload (11)
 *
 * Nothing is tiered here: -4 is the earliest, -5 and -6 are none (-1). Readers of
 * committed records are told nothing of what lies at or above the last stable
 * offset: that is their latest, and records by time that lie there are none.
 */

import {
  type KafkaErrorName,
  listOffsetsApi,
  type ListOffsetsRequestPartition,
  type ListOffsetsResponsePartitionResponseInput
} from '../../protocol/index.ts'
import { messageOf } from '../../core/index.ts'
import type { PartitionLog } from '../log/index.ts'
import type { BrokerState } from './broker-state.ts'
import { leaderEpochError } from './01-fetch.ts'
import { mayTopic } from './authorization.ts'
import { type Caller, defineHandler, errorCode } from './handler.ts'
import { repeated } from './repeated.ts'

const READ_COMMITTED = 1
const CONSUMER_REPLICA_ID = -1

const LATEST = -1n
const EARLIEST = -2n
const MAX_TIMESTAMP = -3n
const EARLIEST_LOCAL = -4n
const LATEST_TIERED = -5n
const EARLIEST_PENDING_UPLOAD = -6n

/** Since which version a named place may be asked for. */
const PLACE_VERSIONS = new Map([
  [LATEST, 1],
  [EARLIEST, 1],
  [MAX_TIMESTAMP, 7],
  [EARLIEST_LOCAL, 8],
  [LATEST_TIERED, 9],
  [EARLIEST_PENDING_UPLOAD, 11]
])

/** The handler of ListOffsets. */
export const listOffsetsHandler = defineHandler({
  api: listOffsetsApi,
  handle: async (broker, request, caller) => {
    // As in Kafka: who calls itself a replica is told of everything.
    const isReadCommitted = request.replicaId === CONSUMER_REPLICA_ID && request.isolationLevel === READ_COMMITTED
    const isTwice = repeated(
      request.topics.flatMap(({ name, partitions }) => partitions.map(each => keyOf(name, each)))
    )
    const topics = await Promise.all(
      request.topics.map(async ({ name, partitions }) => ({
        name,
        partitions: await Promise.all(
          partitions.map(each => lookUp(broker, { topic: name, caller, isReadCommitted, isTwice }, each))
        )
      }))
    )
    return { topics }
  },
  fail: (request, code) => ({
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: code }))
    }))
  })
})

function keyOf(topic: string, { partitionIndex }: ListOffsetsRequestPartition): string {
  return `${partitionIndex} ${topic}`
}

async function lookUp(
  broker: BrokerState,
  context: { topic: string; caller: Caller; isReadCommitted: boolean; isTwice: ReadonlySet<string> },
  partition: ListOffsetsRequestPartition
): Promise<ListOffsetsResponsePartitionResponseInput> {
  const { topic, caller, isReadCommitted, isTwice } = context
  const { partitionIndex, currentLeaderEpoch, timestamp } = partition
  const { apiVersion } = caller
  const failed = (error: KafkaErrorName): ListOffsetsResponsePartitionResponseInput => ({
    partitionIndex,
    errorCode: errorCode(error)
  })
  if (!mayTopic(broker, caller, { operation: 'describe', name: topic })) return failed('TOPIC_AUTHORIZATION_FAILED')
  // As in Kafka: a partition may be asked about once.
  if (isTwice.has(keyOf(topic, partition))) return failed('INVALID_REQUEST')
  const log = broker.logs.topic(topic)?.logs[partitionIndex]
  if (log === undefined) return failed('UNKNOWN_TOPIC_OR_PARTITION')
  const epochError = leaderEpochError(log, currentLeaderEpoch)
  if (epochError !== undefined) return failed(epochError)
  if (timestamp < 0n && (PLACE_VERSIONS.get(timestamp) ?? Number.POSITIVE_INFINITY) > apiVersion) {
    return failed('UNSUPPORTED_VERSION')
  }
  const found = await findOrLog(broker, log, { timestamp, isReadCommitted })
  if (found === undefined) return failed('KAFKA_STORAGE_ERROR')
  const leaderEpoch = apiVersion >= 4 ? found.leaderEpoch : -1
  return { partitionIndex, offset: found.offset, timestamp: found.timestampMs, leaderEpoch }
}

interface Found {
  readonly offset: bigint
  readonly timestampMs: bigint
  readonly leaderEpoch: number
}

const NONE: Found = { offset: -1n, timestampMs: -1n, leaderEpoch: -1 }

/** What is looked up. */
interface Place {
  readonly timestamp: bigint
  readonly isReadCommitted: boolean
}

/** `undefined` if the disk failed. */
async function findOrLog(broker: BrokerState, log: PartitionLog, place: Place): Promise<Found | undefined> {
  try {
    return await find(log, place)
  } catch (error) {
    const fields = { topic: log.topic, partition: log.partition, error: messageOf(error) }
    broker.logger.error(fields, 'offsets of a partition could not be looked up')
    return undefined
  }
}

async function find(log: PartitionLog, { timestamp, isReadCommitted }: Place): Promise<Found> {
  const end = isReadCommitted ? log.lastStableOffset : log.highWatermark
  switch (timestamp) {
    case LATEST:
      return { offset: end, timestampMs: -1n, leaderEpoch: log.leaderEpoch }
    case EARLIEST:
    case EARLIEST_LOCAL: {
      const offset = log.logStartOffset
      return { offset, timestampMs: -1n, leaderEpoch: log.leaderEpochAt(offset) }
    }
    case LATEST_TIERED:
    case EARLIEST_PENDING_UPLOAD:
      return NONE
    default: {
      const found = await (timestamp === MAX_TIMESTAMP ? log.maxTimestampOffset() : log.offsetForTimestamp(timestamp))
      return found !== undefined && found.offset < end ? found : NONE
    }
  }
}
