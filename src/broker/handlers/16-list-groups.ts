/**
 * ListGroups, versions 0 to 5: all groups, filtered by state (4) and type (5),
 * without regard to case. Whoever may not describe the cluster sees only the
 * groups that it may describe.
 */

import { listGroupsApi } from '../../protocol/index.ts'
import { CLUSTER } from '../security/acls/index.ts'
import { defineHandler } from './handler.ts'

/** The handler of ListGroups. */
export const listGroupsHandler = defineHandler({
  api: listGroupsApi,
  handle: (broker, request, caller) => {
    const { authorizer } = broker
    const maySeeAll = authorizer.wouldAllow(caller, 'describe', CLUSTER)
    const states = new Set(request.statesFilter.map(state => state.toLowerCase()))
    const types = new Set(request.typesFilter.map(type => type.toLowerCase()))
    const groups = broker.groups
      .list()
      .filter(
        ({ group }) => maySeeAll || authorizer.wouldAllow(caller, 'describe', { type: 'group', name: group.groupId })
      )
      .filter(({ group }) => states.size === 0 || states.has(group.state.toLowerCase()))
      .filter(({ group }) => types.size === 0 || types.has(group.type))
      .map(({ group }) => ({
        groupId: group.groupId,
        protocolType: group.protocolType ?? '',
        groupState: group.state,
        groupType: group.type
      }))
    return { groups }
  },
  fail: (_request, code) => ({ errorCode: code })
})
