/** DescribeProducers, version 0: who writes to partitions, and since when transactions are open. Source: KIP-664. */

import {
  describeProducersApi,
  type DescribeProducersResponsePartitionResponseInput,
  type KafkaErrorName
} from '../../protocol/index.ts'
import { topicNameProblem } from '../log/index.ts'
import { mayTopic } from './authorization.ts'
import type { BrokerState } from './broker-state.ts'
import { defineHandler, errorCode, errorMessage } from './handler.ts'

/** The handler of DescribeProducers. */
export const describeProducersHandler = defineHandler({
  api: describeProducersApi,
  handle: (broker, request, caller) => ({
    topics: request.topics.map(({ name, partitionIndexes }) => {
      const isAllowed = mayTopic(broker, caller, { operation: 'read', name })
      const describe = (partition: number): DescribeProducersResponsePartitionResponseInput =>
        isAllowed ? describePartition(broker, name, partition) : refused(partition, 'TOPIC_AUTHORIZATION_FAILED')
      return { name, partitions: partitionIndexes.map(describe) }
    })
  }),
  fail: (request, code) => ({
    topics: request.topics.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map(partitionIndex => ({ partitionIndex, errorCode: code }))
    }))
  })
})

function describePartition(
  broker: BrokerState,
  topic: string,
  partition: number
): DescribeProducersResponsePartitionResponseInput {
  if (topicNameProblem(topic) !== undefined) return refused(partition, 'INVALID_TOPIC_EXCEPTION')
  const log = broker.logs.log(topic, partition)
  if (log === undefined) return refused(partition, 'UNKNOWN_TOPIC_OR_PARTITION')
  const activeProducers = log.describeProducers().map(producer => ({
    producerId: producer.producerId,
    producerEpoch: producer.producerEpoch,
    lastSequence: producer.lastSequence,
    lastTimestamp: producer.lastTimestampMs,
    coordinatorEpoch: producer.coordinatorEpoch,
    currentTxnStartOffset: producer.transactionFirstOffset
  }))
  return { partitionIndex: partition, errorMessage: null, activeProducers }
}

function refused(partitionIndex: number, error: KafkaErrorName): DescribeProducersResponsePartitionResponseInput {
  return { partitionIndex, errorCode: errorCode(error), errorMessage: errorMessage(error) }
}
