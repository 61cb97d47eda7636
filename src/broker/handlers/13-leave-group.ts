/**
 * LeaveGroup, versions 0 to 5. Version 3 on, several members at once, also by
 * instance id alone (Admin `removeMembersFromConsumerGroup`); before, the one
 * member's error is the answer's.
 */

import { leaveGroupApi } from '../../protocol/index.ts'
import { defineHandler, errorCode } from './handler.ts'

const BATCH_VERSION = 3

/** The handler of LeaveGroup. */
export const leaveGroupHandler = defineHandler({
  api: leaveGroupApi,
  needs: request => [{ operation: 'read', type: 'group', name: request.groupId }],
  handle: async (broker, request, { apiVersion }) => {
    if (apiVersion < BATCH_VERSION) {
      const leaving = [{ memberId: request.memberId, groupInstanceId: null }]
      const [error] = await broker.groups.leave(request.groupId, leaving)
      return { errorCode: errorCode(error ?? 'NONE') }
    }
    if (request.groupId === '') return { errorCode: errorCode('INVALID_GROUP_ID') }
    const errors = await broker.groups.leave(request.groupId, request.members)
    return {
      members: request.members.map(({ memberId, groupInstanceId }, index) => ({
        memberId,
        groupInstanceId,
        errorCode: errorCode(errors[index] ?? 'NONE')
      }))
    }
  },
  fail: (_request, code) => ({ errorCode: code })
})
