/** ListGroups, versions 0 to 5: all groups, filtered by state (4) and type (5), without regard to case. */

import { listGroupsApi } from '../../protocol/index.ts'
import { defineHandler } from './handler.ts'

/** Every group here is of the classic protocol. */
const GROUP_TYPE = 'classic'

/** The handler of ListGroups. */
export const listGroupsHandler = defineHandler({
  api: listGroupsApi,
  handle: (broker, request) => {
    const states = new Set(request.statesFilter.map(state => state.toLowerCase()))
    const types = new Set(request.typesFilter.map(type => type.toLowerCase()))
    if (types.size > 0 && !types.has(GROUP_TYPE)) return {}
    const groups = broker.groups
      .list()
      .filter(({ group }) => states.size === 0 || states.has(group.state.toLowerCase()))
      .map(({ group }) => ({
        groupId: group.groupId,
        protocolType: group.protocolType ?? '',
        groupState: group.state,
        groupType: GROUP_TYPE
      }))
    return { groups }
  },
  fail: (_request, code) => ({ errorCode: code })
})
