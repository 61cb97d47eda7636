/**
 * InitProducerId, versions 0 to 5: a producer id, and for a transactional id the
 * epoch that fences its former owners.
 *
 * Without a transactional id every call gets an id that was never given, restarts
 * included. Versions 3 and later may say which identity the caller had (KIP-360);
 * PRODUCER_FENCED is told to versions 4 and later only.
 */

import { initProducerIdApi, type InitProducerIdRequest } from '../../protocol/index.ts'
import { CLUSTER } from '../security/acls/index.ts'
import type { ProducerIdentity } from '../transactions/index.ts'
import { authorizationError } from './authorization.ts'
import type { BrokerState } from './broker-state.ts'
import { type Caller, defineHandler, errorCode, knownError } from './handler.ts'

const FENCED_VERSION = 4
const NONE = { producerId: -1n, producerEpoch: -1 }

/** The handler of InitProducerId. */
export const initProducerIdHandler = defineHandler({
  api: initProducerIdApi,
  handle: async (broker, request, caller) => {
    const refusal = accessError(broker, request, caller) ?? identityError(request)
    if (refusal !== undefined) return { errorCode: errorCode(refusal), ...NONE }
    const { transactionalId, transactionTimeoutMs: timeoutMs } = request
    const { error, producerId, producerEpoch } = await broker.transactions.initProducerId(transactionalId, {
      timeoutMs,
      expected: expectedIdentity(request)
    })
    return { errorCode: errorCode(knownError(error, caller, FENCED_VERSION)), producerId, producerEpoch }
  },
  fail: (_request, code) => ({ errorCode: code, ...NONE })
})

/** Whoever may write to a transactional id, or anything at all, may have an id. */
function accessError(
  broker: BrokerState,
  { transactionalId }: InitProducerIdRequest,
  caller: Caller
): 'CLUSTER_AUTHORIZATION_FAILED' | ReturnType<typeof authorizationError> {
  const { authorizer } = broker
  if (transactionalId !== null) {
    return authorizationError(broker, caller, { operation: 'write', type: 'transactionalId', name: transactionalId })
  }
  const isAllowed =
    authorizer.wouldAllow(caller, 'idempotentWrite', CLUSTER) || authorizer.isAllowedOnAny(caller, 'write', 'topic')
  return isAllowed ? undefined : 'CLUSTER_AUTHORIZATION_FAILED'
}

function identityError({ producerId, producerEpoch }: InitProducerIdRequest): 'INVALID_REQUEST' | undefined {
  return (producerId === -1n) === (producerEpoch === -1) ? undefined : 'INVALID_REQUEST'
}

function expectedIdentity({ producerId, producerEpoch }: InitProducerIdRequest): ProducerIdentity | undefined {
  return producerId === -1n ? undefined : { producerId, producerEpoch }
}
