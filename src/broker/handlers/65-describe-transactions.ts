/** DescribeTransactions, version 0: the state of transactional ids. Source: KIP-664. */

import {
  describeTransactionsApi,
  type DescribeTransactionsResponseTransactionStateInput,
  type KafkaErrorName
} from '../../protocol/index.ts'
import { authorizationError, maySeeTopic } from './authorization.ts'
import type { BrokerState } from './broker-state.ts'
import { type Caller, defineHandler, errorCode } from './handler.ts'

/** The handler of DescribeTransactions. */
export const describeTransactionsHandler = defineHandler({
  api: describeTransactionsApi,
  handle: (broker, request, caller) => ({
    transactionStates: request.transactionalIds.map(id => describe(broker, caller, id))
  }),
  fail: (request, code) => ({
    transactionStates: request.transactionalIds.map(transactionalId => ({ transactionalId, errorCode: code }))
  })
})

function describe(
  broker: BrokerState,
  caller: Caller,
  transactionalId: string
): DescribeTransactionsResponseTransactionStateInput {
  const refused = (error: KafkaErrorName): DescribeTransactionsResponseTransactionStateInput => ({
    transactionalId,
    errorCode: errorCode(error)
  })
  const need = { operation: 'describe', type: 'transactionalId', name: transactionalId } as const
  const refusal = authorizationError(broker, caller, need)
  if (refusal !== undefined) return refused(refusal)
  if (transactionalId === '') return refused('INVALID_REQUEST')
  const found = broker.transactions.find(transactionalId)
  if (found === undefined) return refused('TRANSACTIONAL_ID_NOT_FOUND')
  const seen = [...found.partitions].filter(([topic]) => maySeeTopic(broker, caller, topic))
  return {
    transactionalId,
    transactionState: found.state,
    transactionTimeoutMs: found.timeoutMs,
    transactionStartTimeMs: BigInt(found.startMs),
    producerId: found.producerId,
    producerEpoch: found.producerEpoch,
    topics: seen.map(([topic, partitions]) => ({ topic, partitions: [...partitions] }))
  }
}
