/** CreatePartitions, versions 0 to 3: adds partitions to topics, each with its own result. Source: KIP-195. */

import {
  createPartitionsApi,
  type CreatePartitionsRequestTopic,
  type KafkaErrorName,
  kafkaErrorName
} from '../../protocol/index.ts'
import { INTERNAL_TOPICS } from '../log/index.ts'
import type { Mutations } from '../security/quotas/index.ts'
import { mayTopic } from './authorization.ts'
import type { BrokerState } from './broker-state.ts'
import { defineHandler, errorCode, type Refusal, THROTTLED } from './handler.ts'
import { repeated } from './repeated.ts'

const PARTITIONS_PER_REQUEST_MAX = 10_000
/** From here on a client that changes too much is refused, not only slowed down (KIP-599). */
const STRICT_QUOTA_VERSION = 3

/** The handler of CreatePartitions. */
export const createPartitionsHandler = defineHandler({
  api: createPartitionsApi,
  handle: async (broker, request, caller) => {
    const isTwice = repeated(request.topics.map(topic => topic.name))
    const { validateOnly } = request
    const mutations = broker.quotas.mutationsOf(caller, caller.apiVersion >= STRICT_QUOTA_VERSION)
    const results = []
    for (const topic of request.topics) {
      const refusal = isTwice.has(topic.name)
        ? refuse('INVALID_REQUEST', 'Duplicate topic name.')
        : !mayTopic(broker, caller, { operation: 'alter', name: topic.name })
          ? refuse('TOPIC_AUTHORIZATION_FAILED', 'The topic authorization is failed.')
          : await addPartitions(broker, topic, { validateOnly, mutations })
      const { error, message } = refusal ?? { error: 'NONE', message: null }
      results.push({ name: topic.name, errorCode: errorCode(error), errorMessage: message })
    }
    return { results, throttleTimeMs: mutations.throttleMs }
  },
  fail: (request, code) => ({ results: request.topics.map(({ name }) => ({ name, errorCode: code })) })
})

async function addPartitions(
  broker: BrokerState,
  { name, count, assignments }: CreatePartitionsRequestTopic,
  { validateOnly, mutations }: { validateOnly: boolean; mutations: Mutations }
): Promise<Refusal | undefined> {
  const topic = broker.logs.topic(name)
  if (topic === undefined) return refuse('UNKNOWN_TOPIC_OR_PARTITION', `Topic ${name} does not exist.`)
  const current = topic.logs.length
  if (count === current) return refuse('INVALID_PARTITIONS', `Topic already has ${current} partition(s).`)
  if (count < current) {
    const message = `The topic ${name} currently has ${current} partition(s); ${count} would not be an increase.`
    return refuse('INVALID_PARTITIONS', message)
  }
  if (count - current > PARTITIONS_PER_REQUEST_MAX)
    return refuse('POLICY_VIOLATION', 'Too many partitions in one request.')
  if (INTERNAL_TOPICS.has(topic.name))
    return refuse('INVALID_TOPIC_EXCEPTION', `The partition count of ${name} decides where groups are.`)
  if (assignments !== null) {
    if (assignments.length !== count - current) {
      const message = `${count - current} partition(s) need as many assignments, not ${assignments.length}.`
      return refuse('INVALID_REPLICA_ASSIGNMENT', message)
    }
    const isHere = assignments.every(({ brokerIds }) => brokerIds.length === 1 && brokerIds[0] === broker.nodeId)
    if (!isHere)
      return refuse('INVALID_REPLICA_ASSIGNMENT', `Every partition must be on broker ${broker.nodeId} alone.`)
  }
  if (!mutations.pay(count - current)) return THROTTLED
  if (validateOnly) return undefined
  const grown = await broker.logs.createPartitions(name, count)
  return grown.topic === undefined ? refuse(kafkaErrorName(grown.errorCode), grown.errorMessage) : undefined
}

function refuse(error: KafkaErrorName, message: string): Refusal {
  return { error, message }
}
