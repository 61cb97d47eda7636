/** DeleteGroups, versions 0 to 2: removes empty groups with their offsets; a group with members is NON_EMPTY_GROUP. */

import { deleteGroupsApi } from '../../protocol/index.ts'
import { defineHandler, errorCode } from './handler.ts'

/** The handler of DeleteGroups. */
export const deleteGroupsHandler = defineHandler({
  api: deleteGroupsApi,
  handle: async (broker, request) => {
    const results = []
    for (const groupId of request.groupsNames) {
      results.push({ groupId, errorCode: errorCode(await broker.groups.deleteGroup(groupId)) })
    }
    return { results }
  },
  fail: (request, code) => ({ results: request.groupsNames.map(groupId => ({ groupId, errorCode: code })) })
})
