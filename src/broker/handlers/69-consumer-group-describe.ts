/**
 * ConsumerGroupDescribe, versions 0 and 1 (KIP-848): a consumer group with its
 * epochs, its members, what they have and what they shall have. Version 1 also
 * says which protocol a member speaks (KIP-1099).
 */

import {
  consumerGroupDescribeApi,
  type ConsumerGroupDescribeResponseAssignmentInput,
  type ConsumerGroupDescribeResponseDescribedGroupInput,
  type ConsumerGroupDescribeResponseMemberInput
} from '../../protocol/index.ts'
import { type ConsumerGroup, type ConsumerMember, type Partitions, withoutEpochs } from '../groups/index.ts'
import { authorizationError, maySeeTopic } from './authorization.ts'
import { operationsOnGroup } from './authorized-operations.ts'
import type { BrokerState } from './broker-state.ts'
import { type Caller, defineHandler, errorCode } from './handler.ts'

const CLASSIC_MEMBER = 0
const CONSUMER_MEMBER = 1

/** The handler of ConsumerGroupDescribe. */
export const consumerGroupDescribeHandler = defineHandler({
  api: consumerGroupDescribeApi,
  handle: (broker, request, caller) => ({
    // A group may have many members, and its id a letter: once is enough.
    groups: [...new Set(request.groupIds)].map(groupId => {
      const refusal = authorizationError(broker, caller, { operation: 'describe', type: 'group', name: groupId })
      if (refusal !== undefined) return { groupId, errorCode: errorCode(refusal) }
      const authorized = request.includeAuthorizedOperations
        ? { authorizedOperations: operationsOnGroup(broker, caller, groupId) }
        : undefined
      return { ...describe(broker, caller, groupId), ...authorized }
    })
  }),
  fail: (request, code) => ({ groups: request.groupIds.map(groupId => ({ groupId, errorCode: code })) })
})

function describe(
  broker: BrokerState,
  caller: Caller,
  groupId: string
): ConsumerGroupDescribeResponseDescribedGroupInput {
  const group = broker.groups.find(groupId)?.group
  if (group?.type !== 'consumer') {
    const why = group === undefined ? 'not found' : 'is not a consumer group'
    return { groupId, errorCode: errorCode('GROUP_ID_NOT_FOUND'), errorMessage: `Group ${groupId} ${why}.` }
  }
  const members = [...group.known.members.values()].map(member => describeMember(broker, group, member))
  const names = members.flatMap(({ assignment, targetAssignment }) =>
    [assignment, targetAssignment].flatMap(each => each?.topicPartitions?.map(({ topicName }) => topicName ?? '') ?? [])
  )
  if (names.some(name => !maySeeTopic(broker, caller, name))) {
    const errorMessage = 'The group has described topic(s) that the client is not authorized to describe.'
    return { groupId, errorCode: errorCode('TOPIC_AUTHORIZATION_FAILED'), errorMessage }
  }
  return {
    groupId,
    groupState: group.state,
    groupEpoch: group.known.epoch,
    assignmentEpoch: group.known.assignmentEpoch,
    assignorName: group.assignorName,
    members
  }
}

function describeMember(
  broker: BrokerState,
  group: ConsumerGroup,
  member: ConsumerMember
): ConsumerGroupDescribeResponseMemberInput {
  return {
    memberId: member.memberId,
    instanceId: member.instanceId,
    rackId: member.rackId,
    memberEpoch: member.epoch,
    clientId: member.clientId,
    clientHost: member.clientHost,
    subscribedTopicNames: member.topicNames,
    subscribedTopicRegex: member.topicRegex,
    assignment: describePartitions(broker, withoutEpochs(member.assigned)),
    targetAssignment: describePartitions(broker, group.known.target(member.memberId)),
    memberType: member.classic === null ? CONSUMER_MEMBER : CLASSIC_MEMBER
  }
}

function describePartitions(
  { logs }: BrokerState,
  partitions: Partitions
): ConsumerGroupDescribeResponseAssignmentInput {
  return {
    topicPartitions: [...partitions].flatMap(([topicId, each]) => {
      const topicName = logs.topicById(topicId)?.name
      return topicName === undefined ? [] : [{ topicId, topicName, partitions: each }]
    })
  }
}
