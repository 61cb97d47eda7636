/**
 * AddPartitionsToTxn, versions 0 to 5: partitions that a transaction is about to
 * write to. All of a transaction's partitions are added, or none.
 *
 * Versions below 4 are for clients and hold one transaction. Versions 4 and 5 are
 * for brokers, which verify or add the partitions of several producers at once;
 * they need ClusterAction. Source: KIP-98, KIP-890.
 */

import {
  addPartitionsToTxnApi,
  type AddPartitionsToTxnRequest,
  type AddPartitionsToTxnRequestTopic,
  type AddPartitionsToTxnResponseInput,
  type AddPartitionsToTxnResponseTopicResultInput,
  type KafkaErrorName
} from '../../protocol/index.ts'
import { INTERNAL_TOPICS } from '../log/index.ts'
import { CLUSTER } from '../security/acls/index.ts'
import { clientTransactionVersion, type ProducerIdentity, type TopicPartition } from '../transactions/index.ts'
import { authorizationError, mayTopic } from './authorization.ts'
import type { BrokerState } from './broker-state.ts'
import { type Caller, defineHandler, errorCode, knownError } from './handler.ts'

const BROKERS_VERSION = 4
const FENCED_VERSION = 2

interface AddedTransaction extends ProducerIdentity {
  readonly transactionalId: string
  readonly topics: readonly AddPartitionsToTxnRequestTopic[]
  readonly verifyOnly: boolean
}

/** The handler of AddPartitionsToTxn. */
export const addPartitionsToTxnHandler = defineHandler({
  api: addPartitionsToTxnApi,
  handle: async (broker, request, caller): Promise<AddPartitionsToTxnResponseInput> => {
    if (caller.apiVersion < BROKERS_VERSION) {
      return { resultsByTopicV3AndBelow: await addOne(broker, singleOf(request), caller) }
    }
    if (!broker.authorizer.isAllowed(caller, 'clusterAction', CLUSTER)) {
      return { errorCode: errorCode('CLUSTER_AUTHORIZATION_FAILED') }
    }
    const results = request.transactions.map(async transaction => ({
      transactionalId: transaction.transactionalId,
      topicResults: await addOne(broker, transaction, caller)
    }))
    return { resultsByTransaction: await Promise.all(results) }
  },
  // Each form has its own place for the error, and refuses the other's.
  fail: (request, code) =>
    request.transactions.length > 0
      ? { errorCode: code }
      : { resultsByTopicV3AndBelow: resultsOf(request.v3AndBelowTopics, () => code) }
})

function singleOf(request: AddPartitionsToTxnRequest): AddedTransaction {
  return {
    transactionalId: request.v3AndBelowTransactionalId,
    producerId: request.v3AndBelowProducerId,
    producerEpoch: request.v3AndBelowProducerEpoch,
    topics: request.v3AndBelowTopics,
    verifyOnly: false
  }
}

async function addOne(
  broker: BrokerState,
  transaction: AddedTransaction,
  caller: Caller
): Promise<AddPartitionsToTxnResponseTopicResultInput[]> {
  const { transactionalId, topics, verifyOnly, producerId, producerEpoch } = transaction
  const all = (error: KafkaErrorName): AddPartitionsToTxnResponseTopicResultInput[] =>
    resultsOf(topics, () => errorCode(knownError(error, caller, FENCED_VERSION)))
  if (caller.apiVersion < BROKERS_VERSION) {
    const need = { operation: 'write', type: 'transactionalId', name: transactionalId } as const
    const refusal = authorizationError(broker, caller, need)
    if (refusal !== undefined) return all(refusal)
  }
  const partitionError = (topic: string, partition: number): KafkaErrorName | undefined =>
    accessError(broker, caller, topic) ?? existenceError(broker, topic, partition)
  const partitions = topics.flatMap(topic => topic.partitions.map(partition => ({ topic: topic.name, partition })))
  if (partitions.some(({ topic, partition }) => partitionError(topic, partition) !== undefined)) {
    return resultsOf(topics, (topic, partition) =>
      errorCode(partitionError(topic, partition) ?? 'OPERATION_NOT_ATTEMPTED')
    )
  }
  const request = { transactionalId, producerId, producerEpoch, partitions }
  if (verifyOnly) return verified(topics, partitions, broker.transactions.verifyPartitions(request))
  const clientVersion = clientTransactionVersion(caller.apiVersion >= BROKERS_VERSION)
  return all(await broker.transactions.addPartitions({ ...request, clientVersion }))
}

function accessError(broker: BrokerState, caller: Caller, topic: string): KafkaErrorName | undefined {
  if (caller.apiVersion >= BROKERS_VERSION) return undefined
  const isAllowed = !INTERNAL_TOPICS.has(topic) && mayTopic(broker, caller, { operation: 'write', name: topic })
  return isAllowed ? undefined : 'TOPIC_AUTHORIZATION_FAILED'
}

function existenceError(broker: BrokerState, topic: string, partition: number): KafkaErrorName | undefined {
  return broker.logs.log(topic, partition) === undefined ? 'UNKNOWN_TOPIC_OR_PARTITION' : undefined
}

function verified(
  topics: readonly AddPartitionsToTxnRequestTopic[],
  partitions: readonly TopicPartition[],
  errors: readonly KafkaErrorName[]
): AddPartitionsToTxnResponseTopicResultInput[] {
  const byName = new Map(
    partitions.map(({ topic, partition }, index) => [`${topic}/${partition}`, errors[index] ?? 'NONE'])
  )
  return resultsOf(topics, (topic, partition) => errorCode(byName.get(`${topic}/${partition}`) ?? 'NONE'))
}

function resultsOf(
  topics: readonly AddPartitionsToTxnRequestTopic[],
  codeOf: (topic: string, partition: number) => number
): AddPartitionsToTxnResponseTopicResultInput[] {
  return topics.map(({ name, partitions }) => ({
    name,
    resultsByPartition: partitions.map(partitionIndex => ({
      partitionIndex,
      partitionErrorCode: codeOf(name, partitionIndex)
    }))
  }))
}
