/** DeleteGroups, versions 0 to 2: removes empty groups with their offsets; a group with members is NON_EMPTY_GROUP. */

import { deleteGroupsApi } from '../../protocol/index.ts'
import { authorizationError } from './authorization.ts'
import { defineHandler, errorCode } from './handler.ts'

/** The handler of DeleteGroups. */
export const deleteGroupsHandler = defineHandler({
  api: deleteGroupsApi,
  handle: async (broker, request, caller) => {
    const results = []
    for (const groupId of request.groupsNames) {
      const refusal = authorizationError(broker, caller, { operation: 'delete', type: 'group', name: groupId })
      results.push({ groupId, errorCode: errorCode(refusal ?? (await broker.groups.deleteGroup(groupId))) })
    }
    return { results }
  },
  fail: (request, code) => ({ results: request.groupsNames.map(groupId => ({ groupId, errorCode: code })) })
})
