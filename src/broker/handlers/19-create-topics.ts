/**
 * CreateTopics, versions 2 to 7. Each topic has its own result; version 5 on,
 * the result shows the settings the topic has, version 7 on its id.
 *
 * Replication factor -1 and 1 are possible on one node, and so are manual
 * assignments that name this node alone. A larger factor is taken only if the
 * broker was told to: the topic has one copy then, and its results say so. Whoever may create a topic but not
 * describe its settings is told neither them nor how the topic is laid out.
 * Source: KIP-4, KIP-464, KIP-525.
 */

import {
  createTopicsApi,
  type CreateTopicsRequestCreatableTopic,
  type CreateTopicsResponseCreatableTopicResultInput
} from '../../protocol/index.ts'
import type { NewTopic } from '../log/index.ts'
import { mayCreateTopic } from './authorization.ts'
import type { Mutations } from '../security/quotas/index.ts'
import type { BrokerState } from './broker-state.ts'
import { CONFIG_SOURCES, topicConfigRows } from './config-rows.ts'
import { type Caller, defineHandler, errorCode, type Refusal, THROTTLED } from './handler.ts'
import { repeated } from './repeated.ts'

/** Most partitions in one request. Source: Kafka `ReplicationControlManager.MAX_PARTITIONS_PER_BATCH`. */
const PARTITIONS_PER_REQUEST_MAX = 10_000
const TOO_MANY_PARTITIONS: Refusal = {
  error: 'POLICY_VIOLATION',
  message: 'Excessively large number of partitions per request.'
}
const DUPLICATE: Refusal = { error: 'INVALID_REQUEST', message: 'Duplicate topic name.' }
/** From here on a client that changes too much is refused, not only slowed down (KIP-599). */
const STRICT_QUOTA_VERSION = 6
const NOT_ALLOWED: Refusal = { error: 'TOPIC_AUTHORIZATION_FAILED', message: 'Authorization failed.' }

/** The handler of CreateTopics. */
export const createTopicsHandler = defineHandler({
  api: createTopicsApi,
  handle: async (broker, request, caller) => {
    const isTwice = repeated(request.topics.map(topic => topic.name))
    const partitionCount = request.topics.reduce(
      (sum, topic) => sum + Math.max(1, topic.numPartitions, topic.assignments.length),
      0
    )
    const { validateOnly } = request
    const mutations = broker.quotas.mutationsOf(caller, caller.apiVersion >= STRICT_QUOTA_VERSION)
    const topics: CreateTopicsResponseCreatableTopicResultInput[] = []
    for (const topic of request.topics) {
      if (partitionCount > PARTITIONS_PER_REQUEST_MAX) topics.push(refused(topic.name, TOO_MANY_PARTITIONS))
      else if (isTwice.has(topic.name)) topics.push(refused(topic.name, DUPLICATE))
      else if (!mayCreateTopic(broker, caller, topic.name)) topics.push(refused(topic.name, NOT_ALLOWED))
      else topics.push(hideLayout(broker, caller, await create(broker, topic, { validateOnly, mutations })))
    }
    return { topics, throttleTimeMs: mutations.throttleMs }
  },
  fail: (request, code) => ({ topics: request.topics.map(({ name }) => ({ name, errorCode: code })) })
})

function hideLayout(
  broker: BrokerState,
  caller: Caller,
  result: CreateTopicsResponseCreatableTopicResultInput
): CreateTopicsResponseCreatableTopicResultInput {
  const { name = '', topicId, errorCode: code = 0 } = result
  if (code !== 0 || broker.authorizer.wouldAllow(caller, 'describeConfigs', { type: 'topic', name })) return result
  return { name, topicId, topicConfigErrorCode: errorCode('TOPIC_AUTHORIZATION_FAILED') }
}

async function create(
  broker: BrokerState,
  topic: CreateTopicsRequestCreatableTopic,
  { validateOnly, mutations }: { validateOnly: boolean; mutations: Mutations }
): Promise<CreateTopicsResponseCreatableTopicResultInput> {
  const wanted = newTopicOf(broker, topic)
  if ('error' in wanted) return refused(topic.name, wanted)
  const { name, partitionCount, configs } = wanted
  const problem = broker.logs.newTopicProblem(wanted)
  if (problem !== undefined) return { name, ...problem, configs: [] }
  if (!mutations.pay(partitionCount)) return refused(name, THROTTLED)
  const shown = {
    name,
    numPartitions: partitionCount,
    replicationFactor: 1,
    configs: topicConfigRows(broker, configs).map(row => ({
      name: row.name,
      value: row.value,
      readOnly: false,
      configSource: CONFIG_SOURCES[row.source],
      isSensitive: false
    }))
  }
  if (validateOnly) return shown
  const created = await broker.logs.createTopic(wanted)
  if (created.topic !== undefined && topic.replicationFactor > 1) warnOfOneCopy(broker, topic)
  if (created.topic !== undefined) return { ...shown, topicId: created.topic.id }
  return { name, errorCode: created.errorCode, errorMessage: created.errorMessage, configs: [] }
}

function warnOfOneCopy({ logger }: BrokerState, { name, replicationFactor }: CreateTopicsRequestCreatableTopic): void {
  const text = 'this broker is alone: the topic has one copy, whatever its replication factor'
  logger.warn({ topic: name, replicationFactor }, text)
}

function newTopicOf(broker: BrokerState, topic: CreateTopicsRequestCreatableTopic): Required<NewTopic> | Refusal {
  const { name, numPartitions, replicationFactor, assignments } = topic
  const entries: [string, string][] = []
  for (const { name: key, value } of topic.configs) {
    if (value === null)
      return { error: 'INVALID_CONFIG', message: `Null value not supported for topic configs: ${key}` }
    entries.push([key, value])
  }
  // Not by assignment: that would lose the name `__proto__` instead of refusing it.
  const configs = Object.fromEntries(entries)
  if (assignments.length > 0) {
    if (numPartitions !== -1 || replicationFactor !== -1) {
      const message = 'A manual partition assignment was specified, but numPartitions or replicationFactor was not -1.'
      return { error: 'INVALID_REQUEST', message }
    }
    const isPossible = assignments.every(
      ({ partitionIndex, brokerIds }) =>
        partitionIndex >= 0 &&
        partitionIndex < assignments.length &&
        brokerIds.length === 1 &&
        brokerIds[0] === broker.nodeId
    )
    const isDistinct = new Set(assignments.map(each => each.partitionIndex)).size === assignments.length
    if (!isPossible || !isDistinct) {
      const message = `A manual assignment must name partitions 0 to n-1, each on broker ${broker.nodeId} alone.`
      return { error: 'INVALID_REPLICA_ASSIGNMENT', message }
    }
    return { name, partitionCount: assignments.length, configs }
  }
  const isTooMany = replicationFactor > 1 && !broker.acceptsReplicationFactor
  if (isTooMany || (replicationFactor <= 0 && replicationFactor !== -1)) {
    const message =
      replicationFactor <= 0
        ? 'Replication factor must be larger than 0.'
        : `Unable to replicate the partition ${replicationFactor} time(s): only 1 broker(s) are registered.`
    return { error: 'INVALID_REPLICATION_FACTOR', message }
  }
  const partitionCount = numPartitions === -1 ? broker.settings.number('num.partitions') : numPartitions
  if (partitionCount <= 0)
    return { error: 'INVALID_PARTITIONS', message: 'Number of partitions must be larger than 0.' }
  return { name, partitionCount, configs }
}

function refused(name: string, { error, message }: Refusal): CreateTopicsResponseCreatableTopicResultInput {
  return { name, errorCode: errorCode(error), errorMessage: message, configs: [] }
}
