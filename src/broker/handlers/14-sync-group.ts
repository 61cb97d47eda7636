/**
 * SyncGroup, versions 0 to 5: the leader hands in the assignment, everyone gets
 * its part once it is written to `__consumer_offsets`.
 */

import { syncGroupApi } from '../../protocol/index.ts'
import { defineHandler, errorCode } from './handler.ts'

/** Version 5 on, protocol type and name must be sent (KIP-559). */
const PROTOCOL_REQUIRED_VERSION = 5

/** The handler of SyncGroup. */
export const syncGroupHandler = defineHandler({
  api: syncGroupApi,
  needs: request => [{ operation: 'read', type: 'group', name: request.groupId }],
  handle: async (broker, request, { apiVersion }) => {
    const isProtocolNamed = request.protocolType !== null && request.protocolName !== null
    if (apiVersion >= PROTOCOL_REQUIRED_VERSION && !isProtocolNamed) {
      return { errorCode: errorCode('INCONSISTENT_GROUP_PROTOCOL') }
    }
    const reply = await broker.groups.sync(request.groupId, {
      memberId: request.memberId,
      groupInstanceId: request.groupInstanceId,
      generation: request.generationId,
      protocolType: request.protocolType,
      protocolName: request.protocolName,
      // The bytes outlive the request: a view would keep the whole frame in memory.
      assignments: request.assignments.map(each => ({
        memberId: each.memberId,
        assignment: Buffer.from(each.assignment)
      }))
    })
    return {
      errorCode: errorCode(reply.error),
      protocolType: reply.protocolType,
      protocolName: reply.protocolName,
      assignment: reply.assignment
    }
  },
  fail: (_request, code) => ({ errorCode: code })
})
