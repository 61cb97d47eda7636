/** Heartbeat, versions 0 to 4: a member is alive and learns whether a rebalance is under way. */

import { heartbeatApi } from '../../protocol/index.ts'
import { defineHandler, errorCode } from './handler.ts'

/** The handler of Heartbeat. */
export const heartbeatHandler = defineHandler({
  api: heartbeatApi,
  needs: request => [{ operation: 'read', type: 'group', name: request.groupId }],
  handle: async (broker, request) => {
    const { memberId, groupInstanceId, generationId } = request
    const identity = { memberId, groupInstanceId, generation: generationId }
    return { errorCode: errorCode(await broker.groups.heartbeat(request.groupId, identity)) }
  },
  fail: (_request, code) => ({ errorCode: code })
})
