/**
 * JoinGroup, versions 0 to 9. The answer is parked until the round of the group
 * is complete. Version 0 has no rebalance timeout: the session timeout serves.
 * Version 4 on, a new dynamic member is first given an id (KIP-394); version 5
 * on, members may be static (KIP-345); version 9 on, a returning static leader
 * is told to skip the assignment (KIP-814).
 */

import { joinGroupApi } from '../../protocol/index.ts'
import { defineHandler, errorCode } from './handler.ts'

/** The handler of JoinGroup. */
export const joinGroupHandler = defineHandler({
  api: joinGroupApi,
  needs: request => [{ operation: 'read', type: 'group', name: request.groupId }],
  handle: async (broker, request, { apiVersion, clientId, host }) => {
    const reply = await broker.groups.join(request.groupId, {
      memberId: request.memberId,
      groupInstanceId: request.groupInstanceId,
      clientId,
      clientHost: `/${host}`,
      sessionTimeoutMs: request.sessionTimeoutMs,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs < 0 ? request.sessionTimeoutMs : request.rebalanceTimeoutMs,
      protocolType: request.protocolType,
      // The bytes outlive the request: a view would keep the whole frame in memory.
      protocols: request.protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) })),
      isKnownMemberIdRequired: apiVersion >= 4,
      canSkipAssignment: apiVersion >= 9
    })
    return {
      errorCode: errorCode(reply.error),
      generationId: reply.generation,
      protocolType: reply.protocolType,
      // Before version 7 the name cannot be null.
      protocolName: reply.protocolName ?? (apiVersion >= 7 ? null : ''),
      leader: reply.leader,
      skipAssignment: reply.isAssignmentSkipped,
      memberId: reply.memberId,
      members: [...reply.members]
    }
  },
  fail: (request, code) => ({ errorCode: code, protocolName: '', memberId: request.memberId })
})
