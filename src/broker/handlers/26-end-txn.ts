/**
 * EndTxn, versions 0 to 5: commits or aborts a transaction.
 *
 * From version 5 on (KIP-890) every end raises the epoch, and the answer tells
 * the identity for the next transaction; a repetition with the epoch before is
 * answered the same.
 */

import { endTxnApi } from '../../protocol/index.ts'
import { clientTransactionVersion } from '../transactions/index.ts'
import { defineHandler, errorCode, knownError } from './handler.ts'

const FENCED_VERSION = 2
const EPOCH_BUMP_VERSION = 5

/** The handler of EndTxn. */
export const endTxnHandler = defineHandler({
  api: endTxnApi,
  needs: ({ transactionalId }) => [{ operation: 'write', type: 'transactionalId', name: transactionalId }],
  handle: async (broker, request, caller) => {
    const { transactionalId, producerId, producerEpoch, committed: isCommit } = request
    const isBumping = caller.apiVersion >= EPOCH_BUMP_VERSION
    const clientVersion = clientTransactionVersion(isBumping)
    const ended = { transactionalId, producerId, producerEpoch, isCommit, clientVersion }
    const { error, ...next } = await broker.transactions.endTransaction(ended)
    return { errorCode: errorCode(knownError(error, caller, FENCED_VERSION)), ...(isBumping ? next : {}) }
  },
  fail: (_request, code) => ({ errorCode: code })
})
