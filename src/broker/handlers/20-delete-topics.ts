/**
 * DeleteTopics, versions 1 to 6, by name or (version 6) by id. Offsets that
 * groups committed for the topic go with it, and fetches that wait for it end.
 *
 * A caller who may not describe a topic that it named by id is not told its name.
 * Unlike in Kafka, `__consumer_offsets` cannot be deleted: the groups of a
 * running broker live in it.
 */

import {
  deleteTopicsApi,
  type DeleteTopicsResponseDeletableTopicResultInput,
  type KafkaErrorName,
  kafkaErrorName,
  ZERO_UUID
} from '../../protocol/index.ts'
import { INTERNAL_TOPICS } from '../log/index.ts'
import { CLUSTER } from '../security/acls/index.ts'
import type { Mutations } from '../security/quotas/index.ts'
import { maySeeTopic, mayTopic } from './authorization.ts'
import type { BrokerState } from './broker-state.ts'
import { type Caller, defineHandler, errorCode, errorMessage } from './handler.ts'

/** From here on a client that changes too much is refused, not only slowed down (KIP-599). */
const STRICT_QUOTA_VERSION = 5

interface NamedTopic {
  readonly name: string | null
  readonly topicId: string
}

/** The handler of DeleteTopics. */
export const deleteTopicsHandler = defineHandler({
  api: deleteTopicsApi,
  handle: async (broker, request, caller) => {
    const responses: DeleteTopicsResponseDeletableTopicResultInput[] = []
    const mutations = broker.quotas.mutationsOf(caller, caller.apiVersion >= STRICT_QUOTA_VERSION)
    const { topics, refused } = distinct(broker, caller, namedTopics(request, caller.apiVersion))
    for (const { named, message } of refused)
      responses.push({ ...named, errorCode: errorCode('INVALID_REQUEST'), errorMessage: message })
    for (const named of topics) responses.push(await deleteTopic(broker, { caller, mutations }, named))
    return { responses, throttleTimeMs: mutations.throttleMs }
  },
  fail: (request, code) => ({
    responses: [...request.topics, ...request.topicNames.map(name => ({ name, topicId: ZERO_UUID }))].map(named => ({
      ...named,
      errorCode: code
    }))
  })
})

function namedTopics(request: { topics: NamedTopic[]; topicNames: string[] }, apiVersion: number): NamedTopic[] {
  return apiVersion >= 6 ? request.topics : request.topicNames.map(name => ({ name, topicId: ZERO_UUID }))
}

/** A topic that is named twice is refused, once, and stays; so is one that is named in no way, or in both. */
function distinct(
  broker: BrokerState,
  caller: Caller,
  all: readonly NamedTopic[]
): { topics: NamedTopic[]; refused: { named: NamedTopic; message: string }[] } {
  const refused: { named: NamedTopic; message: string }[] = []
  const byKey = new Map<string, NamedTopic[]>()
  for (const named of all) {
    const { name, topicId } = named
    if (name !== null && topicId !== ZERO_UUID) {
      refused.push({ named, message: 'You may not specify both topic name and topic id.' })
    } else if (name === null && topicId === ZERO_UUID) {
      refused.push({ named, message: 'Neither topic name nor id were specified.' })
    } else {
      const key = name === null ? `id ${topicId}` : `name ${name}`
      const same = byKey.get(key)
      if (same === undefined) byKey.set(key, [named])
      else same.push(named)
    }
  }
  const topics: NamedTopic[] = []
  for (const same of byKey.values()) {
    const [named] = same
    if (named === undefined) continue
    const { name } = named
    // Which id a name has is not told to whoever may not describe it.
    const id = name === null || !maySeeTopic(broker, caller, name) ? undefined : broker.logs.topic(name)?.id
    if (same.length > 1) refused.push({ named, message: `Duplicate topic ${name === null ? 'id' : 'name'}.` })
    else if (id !== undefined && name !== null && byKey.delete(`id ${id}`)) {
      const message = 'The provided topic name maps to an ID that was already supplied.'
      refused.push({ named: { name, topicId: id }, message })
    } else topics.push(named)
  }
  const refusedIds = new Set(refused.map(({ named: { topicId } }) => topicId))
  return { topics: topics.filter(({ topicId }) => topicId === ZERO_UUID || !refusedIds.has(topicId)), refused }
}

async function deleteTopic(
  broker: BrokerState,
  { caller, mutations }: { caller: Caller; mutations: Mutations },
  { name, topicId }: NamedTopic
): Promise<DeleteTopicsResponseDeletableTopicResultInput> {
  const failed = (error: KafkaErrorName): DeleteTopicsResponseDeletableTopicResultInput => ({
    name,
    topicId,
    errorCode: errorCode(error),
    errorMessage: errorMessage(error)
  })
  if (!broker.settings.isOn('delete.topic.enable')) return failed('TOPIC_DELETION_DISABLED')
  const topic = name === null ? broker.logs.topicById(topicId) : broker.logs.topic(name)
  const topicName = topic?.name ?? name
  if (topicName === null) return failed('UNKNOWN_TOPIC_ID')
  const rights = rightsTo(broker, caller, topicName)
  if (!rights.mayDescribe) return failed('TOPIC_AUTHORIZATION_FAILED')
  if (topic === undefined) return failed('UNKNOWN_TOPIC_OR_PARTITION')
  if (!rights.mayDelete) return { ...failed('TOPIC_AUTHORIZATION_FAILED'), name: topicName }
  if (INTERNAL_TOPICS.has(topic.name)) return failed('INVALID_TOPIC_EXCEPTION')
  if (!mutations.pay(topic.logs.length)) return failed('THROTTLING_QUOTA_EXCEEDED')
  const logs = [...topic.logs]
  let forgetting: Promise<void> | undefined
  const deleted = await broker.logs.deleteTopic(topic.name, () => {
    forgetting = broker.groups.forgetTopic(topic.name)
  })
  if (deleted.topic === undefined) return failed(kafkaErrorName(deleted.errorCode))
  for (const log of logs) broker.signals.changed(log)
  await forgetting
  return { name: topic.name, topicId: topic.id }
}

/** Whoever may delete in the cluster may delete any topic. */
function rightsTo(broker: BrokerState, caller: Caller, name: string): { mayDescribe: boolean; mayDelete: boolean } {
  if (broker.authorizer.wouldAllow(caller, 'delete', CLUSTER)) return { mayDescribe: true, mayDelete: true }
  const mayDescribe = mayTopic(broker, caller, { operation: 'describe', name })
  return { mayDescribe, mayDelete: mayTopic(broker, caller, { operation: 'delete', name }) }
}
