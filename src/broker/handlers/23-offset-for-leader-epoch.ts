/**
 * OffsetForLeaderEpoch, versions 2 to 4: where an epoch of the leader ended, so
 * that a client can tell that records it read were lost (KIP-320).
 */

import { type KafkaErrorName, offsetForLeaderEpochApi } from '../../protocol/index.ts'
import { CLUSTER } from '../security/acls/index.ts'
import { leaderEpochError } from './01-fetch.ts'
import { mayTopic } from './authorization.ts'
import { defineHandler, errorCode } from './handler.ts'

/** The handler of OffsetForLeaderEpoch. */
export const offsetForLeaderEpochHandler = defineHandler({
  api: offsetForLeaderEpochApi,
  handle: (broker, request, caller) => ({
    topics: request.topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition, currentLeaderEpoch, leaderEpoch }) => {
        const failed = (error: KafkaErrorName): { partition: number; errorCode: number } => ({
          partition,
          errorCode: errorCode(error)
        })
        const mayDescribe =
          broker.authorizer.wouldAllow(caller, 'clusterAction', CLUSTER) ||
          mayTopic(broker, caller, { operation: 'describe', name: topic })
        if (!mayDescribe) return failed('TOPIC_AUTHORIZATION_FAILED')
        const log = broker.logs.topic(topic)?.logs[partition]
        if (log === undefined) return failed('UNKNOWN_TOPIC_OR_PARTITION')
        const epochError = leaderEpochError(log, currentLeaderEpoch)
        if (epochError !== undefined) return failed(epochError)
        const end = log.endOffsetOf(leaderEpoch)
        return { partition, leaderEpoch: end.epoch, endOffset: end.endOffset }
      })
    }))
  })
})
