/** Asks a broker for metadata and gives it in the client's own shape, whatever the version. */

import { metadataApi, type MetadataResponse } from '../protocol/index.ts'
import type { ClusterMetadata, PartitionMetadata, TopicMetadata } from './cluster-options.ts'
import type { Connection } from './connection.ts'
import { throwKafkaError } from './kafka-error.ts'

/**
 * Reads the metadata of the given topics; `undefined` = all, an empty list = brokers only. Creates no topic.
 *
 * @throws PipelineError of the connection.
 */
export async function readMetadata(connection: Connection, topics?: readonly string[]): Promise<ClusterMetadata> {
  const version = connection.versionOf(metadataApi)
  const answer = await connection.send(
    metadataApi,
    {
      topics: topics === undefined ? null : topics.map(name => ({ name })),
      // Before version 4 a broker decides by itself whether to create the topic.
      ...(version >= 4 ? { allowAutoTopicCreation: false } : {})
    },
    { version }
  )
  throwKafkaError(answer.errorCode, `Metadata from ${connection.peer}`)
  return {
    clusterId: answer.clusterId,
    controllerId: answer.controllerId,
    brokers: answer.brokers.map(({ nodeId, host, port, rack }) => ({ nodeId, host, port, rack })),
    topics: answer.topics.map(topicOf)
  }
}

function topicOf(topic: MetadataResponse['topics'][number]): TopicMetadata {
  const partitions: PartitionMetadata[] = topic.partitions
    .map(partition => ({
      partition: partition.partitionIndex,
      leaderId: partition.leaderId,
      leaderEpoch: partition.leaderEpoch,
      replicas: partition.replicaNodes,
      inSyncReplicas: partition.isrNodes,
      errorCode: partition.errorCode
    }))
    .sort((left, right) => left.partition - right.partition)
  return {
    topic: topic.name ?? '',
    topicId: topic.topicId,
    isInternal: topic.isInternal,
    partitions,
    errorCode: topic.errorCode
  }
}
