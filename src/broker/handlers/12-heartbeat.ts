/** Heartbeat, versions 0 to 4: a member is alive and learns whether a rebalance is under way. */

import { heartbeatApi } from '../../protocol/index.ts'
import { defineHandler, errorCode } from './handler.ts'

/** The handler of Heartbeat. */
export const heartbeatHandler = defineHandler({
  api: heartbeatApi,
  needs: request => [{ operation: 'read', type: 'group', name: request.groupId }],
  handle: (broker, request) => {
    const { memberId, groupInstanceId, generationId } = request
    const error = broker.groups.heartbeat(request.groupId, { memberId, groupInstanceId, generation: generationId })
    return { errorCode: errorCode(error) }
  },
  fail: (_request, code) => ({ errorCode: code })
})
