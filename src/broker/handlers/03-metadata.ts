/**
 * Metadata, versions 0 to 13: the broker, its topics and who leads them.
 *
 * A topic that does not exist is created when both the client and
 * `auto.create.topics.enable` allow it, and answered at once as existing, which
 * spares the client the retry that Kafka makes it do. Version 0 asks for all
 * topics with an empty list, later ones with null. Ids: version 10 on.
 *
 * A topic that is named more than once is answered once, as in Kafka: it may have
 * thousands of partitions, and its name a few letters.
 *
 * A topic that the caller may not describe is hidden from the list of all, and an
 * error when asked for, whether it exists or not.
 */

import {
  metadataApi,
  type KafkaErrorName,
  kafkaErrorName,
  type MetadataRequest,
  type MetadataResponseInput,
  type MetadataResponseTopicInput,
  ZERO_UUID
} from '../../protocol/index.ts'
import { INTERNAL_TOPICS, type Topic } from '../log/index.ts'
import { OFFSETS_TOPIC } from '../offsets-topic.ts'
import { mayCreateTopic, maySeeTopic, mayTopic } from './authorization.ts'
import { operationsOnCluster, operationsOnTopic } from './authorized-operations.ts'
import type { BrokerState } from './broker-state.ts'
import { type Caller, defineHandler, errorCode } from './handler.ts'

/** The handler of Metadata. */
export const metadataHandler = defineHandler({
  api: metadataApi,
  handle: async (broker, request, caller): Promise<MetadataResponseInput> => {
    const isAll = request.topics === null || (caller.apiVersion === 0 && request.topics.length === 0)
    const topics = isAll
      ? broker.logs.topics.filter(({ name }) => maySeeTopic(broker, caller, name)).map(topic => describe(broker, topic))
      : await Promise.all(distinct(request.topics ?? []).map(topic => lookUp(broker, { request, caller }, topic)))
    const { host, port } = broker.endpointOf(caller.listener)
    return {
      brokers: [{ nodeId: broker.nodeId, host, port, rack: null }],
      clusterId: broker.clusterId,
      controllerId: broker.nodeId,
      topics: request.includeTopicAuthorizedOperations
        ? topics.map(topic => withOperations(broker, caller, topic))
        : topics,
      ...(request.includeClusterAuthorizedOperations
        ? { clusterAuthorizedOperations: operationsOnCluster(broker, caller) }
        : {})
    }
  },
  fail: (request, code) => ({
    topics: (request.topics ?? []).map(({ name, topicId }) => ({ name, topicId, errorCode: code }))
  })
})

function distinct<T extends { readonly name: string | null; readonly topicId: string }>(topics: readonly T[]): T[] {
  return [
    ...new Map(
      topics.map(topic => [topic.name === null ? `id ${topic.topicId}` : `name ${topic.name}`, topic])
    ).values()
  ]
}

function withOperations(
  broker: BrokerState,
  caller: Caller,
  topic: MetadataResponseTopicInput
): MetadataResponseTopicInput {
  const { name } = topic
  if (name === undefined || name === null || topic.errorCode !== undefined) return topic
  return { ...topic, topicAuthorizedOperations: operationsOnTopic(broker, caller, name) }
}

async function lookUp(
  broker: BrokerState,
  { request, caller }: { request: MetadataRequest; caller: Caller },
  { name, topicId }: { name: string | null; topicId: string }
): Promise<MetadataResponseTopicInput> {
  if (name === null) {
    const topic = topicId === ZERO_UUID ? undefined : broker.logs.topicById(topicId)
    if (topic === undefined) return { topicId, errorCode: errorCode('UNKNOWN_TOPIC_ID') }
    // An id is no secret, a name is.
    const isHidden = !mayTopic(broker, caller, { operation: 'describe', name: topic.name })
    return isHidden ? { topicId, errorCode: errorCode('TOPIC_AUTHORIZATION_FAILED') } : describe(broker, topic)
  }
  if (!mayTopic(broker, caller, { operation: 'describe', name }))
    return { name, errorCode: errorCode('TOPIC_AUTHORIZATION_FAILED') }
  const topic = broker.logs.topic(name)
  if (topic !== undefined) return describe(broker, topic)
  const failed = (error: KafkaErrorName): MetadataResponseTopicInput => ({ name, errorCode: errorCode(error) })
  const isAllowed = request.allowAutoTopicCreation && broker.settings.isOn('auto.create.topics.enable')
  if (!isAllowed) return failed('UNKNOWN_TOPIC_OR_PARTITION')
  if (!mayCreateTopic(broker, caller, name)) return failed('TOPIC_AUTHORIZATION_FAILED')
  const error = await create(broker, name)
  const created = broker.logs.topic(name)
  return created === undefined ? failed(error) : describe(broker, created)
}

/** Creates a topic; that another request was faster is no error to whoever looks it up afterwards. */
async function create(broker: BrokerState, name: string): Promise<KafkaErrorName> {
  if (!INTERNAL_TOPICS.has(name)) return kafkaErrorName((await broker.logs.createTopic({ name })).errorCode)
  // An internal topic has its own partition count and settings. There is one only.
  if (name === OFFSETS_TOPIC) await broker.offsetsTopic.ensureCreated()
  return 'UNKNOWN_TOPIC_OR_PARTITION'
}

function describe(broker: BrokerState, topic: Topic): MetadataResponseTopicInput {
  const nodes = [broker.nodeId]
  const partitions = topic.logs.map((log, partitionIndex) => ({
    partitionIndex,
    leaderId: broker.nodeId,
    leaderEpoch: log.leaderEpoch,
    replicaNodes: nodes,
    isrNodes: nodes
  }))
  return { name: topic.name, topicId: topic.id, isInternal: INTERNAL_TOPICS.has(topic.name), partitions }
}
