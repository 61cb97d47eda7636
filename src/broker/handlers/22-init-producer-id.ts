/**
 * InitProducerId, versions 0 to 5: a producer id for an idempotent producer.
 *
 * Transactions are not supported: a transactional id is INVALID_REQUEST, which
 * no client retries. Ids are never given twice, restarts included.
 */

import { initProducerIdApi } from '../../protocol/index.ts'
import { defineHandler, errorCode } from './handler.ts'

/** The handler of InitProducerId. */
export const initProducerIdHandler = defineHandler({
  api: initProducerIdApi,
  handle: async (broker, request) => {
    if (request.transactionalId !== null) {
      return { errorCode: errorCode('INVALID_REQUEST'), producerId: -1n, producerEpoch: -1 }
    }
    return { producerId: await broker.producerIds.next(), producerEpoch: 0 }
  },
  fail: (_request, code) => ({ errorCode: code, producerId: -1n, producerEpoch: -1 })
})
