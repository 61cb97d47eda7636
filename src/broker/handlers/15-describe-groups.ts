/**
 * DescribeGroups, versions 0 to 6. A group that does not exist, or is not a
 * classic one (ask ConsumerGroupDescribe for those), is `Dead`;
 * version 6 also says GROUP_ID_NOT_FOUND (KIP-1043).
 */

import { describeGroupsApi, type DescribeGroupsResponseDescribedGroupInput } from '../../protocol/index.ts'
import { type ClassicGroup, NO_BYTES, subscriptionOf } from '../groups/index.ts'
import { authorizationError } from './authorization.ts'
import { operationsOnGroup } from './authorized-operations.ts'
import { defineHandler, errorCode } from './handler.ts'

const NOT_FOUND_VERSION = 6

/** The handler of DescribeGroups. */
export const describeGroupsHandler = defineHandler({
  api: describeGroupsApi,
  handle: (broker, request, caller) => {
    const { apiVersion } = caller
    // A group may have many members, and its id a letter: once is enough.
    const groups = [...new Set(request.groups)].map(groupId => {
      const refusal = authorizationError(broker, caller, { operation: 'describe', type: 'group', name: groupId })
      if (refusal !== undefined) return { groupId, errorCode: errorCode(refusal) }
      const authorized = request.includeAuthorizedOperations
        ? { authorizedOperations: operationsOnGroup(broker, caller, groupId) }
        : undefined
      const view = broker.groups.find(groupId)
      if (view?.group.type === 'classic') return { ...describe(view.group), ...authorized }
      const dead = { groupId, groupState: 'Dead' }
      if (apiVersion < NOT_FOUND_VERSION) return dead
      const errorMessage =
        view === undefined ? `Group ${groupId} not found.` : `Group ${groupId} is not a classic group.`
      return { ...dead, errorCode: errorCode('GROUP_ID_NOT_FOUND'), errorMessage }
    })
    return { groups }
  },
  fail: (request, code) => ({ groups: request.groups.map(groupId => ({ groupId, errorCode: code })) })
})

function describe(group: ClassicGroup): DescribeGroupsResponseDescribedGroupInput {
  const isStable = group.state === 'Stable'
  return {
    groupId: group.groupId,
    groupState: group.state,
    protocolType: group.protocolType ?? '',
    // Before the group is stable, what the members do is not decided.
    protocolData: isStable ? (group.protocolName ?? '') : '',
    members: [...group.members].map(member => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      memberMetadata: isStable ? subscriptionOf(member, group.protocolName) : NO_BYTES,
      memberAssignment: isStable ? member.assignment : NO_BYTES
    }))
  }
}
