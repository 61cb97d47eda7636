/**
 * DescribeQuorum, versions 0 to 2: the quorum of one node that leads itself.
 *
 * There is no metadata log; its place in the answer is taken by the count of
 * feature changes, so that tools which compare offsets see a quorum without lag.
 * As in Kafka, a request must name `__cluster_metadata-0` and nothing else.
 * Source: KIP-836, KIP-853.
 */

import { describeQuorumApi, ZERO_UUID } from '../../protocol/index.ts'
import { defineHandler, errorCode, errorMessage } from './handler.ts'

const METADATA_TOPIC = '__cluster_metadata'

/** The handler of DescribeQuorum. */
export const describeQuorumHandler = defineHandler({
  api: describeQuorumApi,
  clusterOperation: 'describe',
  handle: (broker, { topics }, { listener, apiVersion }) => {
    const [topic] = topics
    const isAsked =
      topics.length === 1 &&
      topic?.topicName === METADATA_TOPIC &&
      topic.partitions.length === 1 &&
      topic.partitions[0]?.partitionIndex === 0
    if (!isAsked) {
      const error = 'UNKNOWN_TOPIC_OR_PARTITION'
      return {
        topics: topics.map(({ topicName, partitions }) => ({
          topicName,
          partitions: partitions.map(({ partitionIndex }) => ({
            partitionIndex,
            errorCode: errorCode(error),
            errorMessage: errorMessage(error)
          }))
        }))
      }
    }
    const { nodeId } = broker
    const endpoint = broker.endpointOf(listener)
    const nowMs = BigInt(broker.clock.now())
    const logEndOffset = broker.features.epoch
    const voter = {
      replicaId: nodeId,
      replicaDirectoryId: ZERO_UUID,
      logEndOffset,
      lastFetchTimestamp: nowMs,
      lastCaughtUpTimestamp: nowMs
    }
    const partition = {
      partitionIndex: 0,
      leaderId: nodeId,
      leaderEpoch: 1,
      highWatermark: logEndOffset,
      currentVoters: [voter],
      observers: []
    }
    return {
      topics: [{ topicName: METADATA_TOPIC, partitions: [partition] }],
      // Before version 2 there is no place for them.
      nodes:
        apiVersion < 2 ? [] : [{ nodeId, listeners: [{ name: listener, host: endpoint.host, port: endpoint.port }] }]
    }
  },
  fail: (_request, code) => ({ errorCode: code })
})
