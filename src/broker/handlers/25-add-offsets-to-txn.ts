/**
 * AddOffsetsToTxn, versions 0 to 4: a transaction is about to store offsets of a
 * group, so the group's partition of `__consumer_offsets` becomes part of it.
 * Clients of TxnOffsetCommit 5 (KIP-890) leave this out.
 */

import { addOffsetsToTxnApi } from '../../protocol/index.ts'
import { OFFSETS_TOPIC } from '../offsets-topic.ts'
import { clientTransactionVersion } from '../transactions/index.ts'
import { defineHandler, errorCode, knownError } from './handler.ts'

const FENCED_VERSION = 2

/** The handler of AddOffsetsToTxn. */
export const addOffsetsToTxnHandler = defineHandler({
  api: addOffsetsToTxnApi,
  needs: ({ transactionalId, groupId }) => [
    { operation: 'write', type: 'transactionalId', name: transactionalId },
    { operation: 'read', type: 'group', name: groupId }
  ],
  handle: async (broker, request, caller) => {
    const { transactionalId, producerId, producerEpoch, groupId } = request
    if (!(await broker.offsetsTopic.ensureCreated())) return { errorCode: errorCode('COORDINATOR_NOT_AVAILABLE') }
    const error = await broker.transactions.addPartitions({
      transactionalId,
      producerId,
      producerEpoch,
      partitions: [{ topic: OFFSETS_TOPIC, partition: broker.groups.partitionOf(groupId) }],
      clientVersion: clientTransactionVersion(false)
    })
    return { errorCode: errorCode(knownError(error, caller, FENCED_VERSION)) }
  },
  fail: (_request, code) => ({ errorCode: code })
})
