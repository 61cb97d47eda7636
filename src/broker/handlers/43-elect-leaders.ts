/**
 * ElectLeaders, versions 0 to 2: the one replica leads already, so no election
 * is needed; for all partitions (null) the answer is empty, as in Kafka.
 */

import { electLeadersApi, type KafkaErrorName } from '../../protocol/index.ts'
import { defineHandler, errorCode, errorMessage } from './handler.ts'

/** The handler of ElectLeaders. */
export const electLeadersHandler = defineHandler({
  api: electLeadersApi,
  clusterOperation: 'alter',
  handle: (broker, request) => ({
    replicaElectionResults: (request.topicPartitions ?? []).map(({ topic, partitions }) => ({
      topic,
      partitionResult: partitions.map(partitionId => {
        const isKnown = broker.logs.log(topic, partitionId) !== undefined
        const error: KafkaErrorName = isKnown ? 'ELECTION_NOT_NEEDED' : 'UNKNOWN_TOPIC_OR_PARTITION'
        return { partitionId, errorCode: errorCode(error), errorMessage: errorMessage(error) }
      })
    }))
  }),
  fail: (request, code, apiVersion) => ({
    // Version 0 has no place for it.
    errorCode: apiVersion >= 1 ? code : 0,
    replicaElectionResults: (request.topicPartitions ?? []).map(({ topic, partitions }) => ({
      topic,
      partitionResult: partitions.map(partitionId => ({ partitionId, errorCode: code }))
    }))
  })
})
