/**
 * ListTransactions, versions 0 to 2: transactional ids, filtered by producer id,
 * state, age (version 1) and a pattern of the id (version 2, RE2 syntax, the
 * whole id must match). Source: KIP-664, KIP-994, KIP-1152.
 */

import { listTransactionsApi, type ListTransactionsRequest } from '../../protocol/index.ts'
import { matchingTopics, topicRegexProblem } from '../groups/topic-regex.ts'
import { isState, type TransactionMetadata } from '../transactions/index.ts'
import { defineHandler, errorCode } from './handler.ts'

/** The handler of ListTransactions. */
export const listTransactionsHandler = defineHandler({
  api: listTransactionsApi,
  handle: (broker, request, caller) => {
    const pattern = request.transactionalIdPattern ?? ''
    if (pattern !== '' && topicRegexProblem(pattern) !== undefined) {
      return { errorCode: errorCode('INVALID_REGULAR_EXPRESSION') }
    }
    const nowMs = broker.clock.now()
    const listed = broker.transactions.list().filter(([, metadata]) => isWanted(metadata, request, nowMs))
    const ids = listed.map(([id]) => id)
    const named = new Set(pattern === '' ? ids : matchingTopics(pattern, ids))
    const seen = listed.filter(
      ([name]) => named.has(name) && broker.authorizer.wouldAllow(caller, 'describe', { type: 'transactionalId', name })
    )
    return {
      unknownStateFilters: request.stateFilters.filter(name => !isState(name)),
      transactionStates: seen.map(([transactionalId, { producerId, state }]) => ({
        transactionalId,
        producerId,
        transactionState: state
      }))
    }
  },
  fail: (_request, code) => ({ errorCode: code })
})

function isWanted(metadata: TransactionMetadata, request: ListTransactionsRequest, nowMs: number): boolean {
  const { stateFilters, producerIdFilters, durationFilter } = request
  if (stateFilters.length > 0 && !stateFilters.includes(metadata.state)) return false
  if (producerIdFilters.length > 0 && !producerIdFilters.includes(metadata.producerId)) return false
  // An id without a transaction has begun at -1, which is long ago: as in Kafka.
  return durationFilter < 0n || BigInt(nowMs - metadata.startMs) > durationFilter
}
