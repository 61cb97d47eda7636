/**
 * ConsumerGroupHeartbeat, versions 0 and 1 (KIP-848): joins, keeps alive, tells
 * what the member has, learns what it shall have, leaves. Version 1 on, members
 * choose their id (KIP-1082) and may subscribe with an RE2 pattern.
 *
 * What is wrong with the request in itself is answered here: INVALID_REQUEST,
 * UNSUPPORTED_ASSIGNOR, INVALID_REGULAR_EXPRESSION. While the feature
 * `group.version` is 0 nobody may use it: UNSUPPORTED_VERSION.
 */

import {
  consumerGroupHeartbeatApi,
  type ConsumerGroupHeartbeatRequest,
  type ConsumerGroupHeartbeatResponseInput
} from '../../protocol/index.ts'
import {
  type HeartbeatRequest,
  LEAVE_EPOCH,
  LEAVE_STATIC_EPOCH,
  type Partitions,
  topicRegexProblem
} from '../groups/index.ts'
import { randomUuid } from '../log/index.ts'
import { maySeeTopic, mayTopic } from './authorization.ts'
import type { BrokerState } from './broker-state.ts'
import { type Caller, defineHandler, errorCode, errorMessage, type Refusal } from './handler.ts'

/** From here on, the member brings its id. */
const MEMBER_ID_VERSION = 1

/** The handler of ConsumerGroupHeartbeat. */
export const consumerGroupHeartbeatHandler = defineHandler({
  api: consumerGroupHeartbeatApi,
  needs: request => [{ operation: 'read', type: 'group', name: request.groupId }],
  handle: async (broker, request, caller) => {
    const refusal = requestRefusal(broker, request, caller)
    if (refusal !== undefined) return refused(refusal)
    const reply = await broker.groups.consumerHeartbeat(request.groupId, toHeartbeat(broker, request, caller))
    const message = reply.message ?? errorMessage(reply.error)
    if (reply.error !== 'NONE') return refused({ error: reply.error, message })
    return {
      memberId: reply.memberId,
      memberEpoch: reply.memberEpoch,
      heartbeatIntervalMs: reply.heartbeatIntervalMs,
      assignment: reply.assignment && { topicPartitions: toTopicPartitions(reply.assignment) }
    }
  },
  fail: (_request, code) => ({ errorCode: code })
})

function refused({ error, message }: Refusal): ConsumerGroupHeartbeatResponseInput {
  return { errorCode: errorCode(error), errorMessage: message }
}

function toHeartbeat(broker: BrokerState, request: ConsumerGroupHeartbeatRequest, caller: Caller): HeartbeatRequest {
  return {
    memberId: request.memberId === '' ? randomUuid(broker.random) : request.memberId,
    memberEpoch: request.memberEpoch,
    instanceId: request.instanceId,
    rackId: request.rackId,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs,
    topicNames: request.subscribedTopicNames,
    topicRegex: request.subscribedTopicRegex,
    assignor: request.serverAssignor,
    owned: request.topicPartitions && toPartitions(request.topicPartitions),
    clientId: caller.clientId,
    clientHost: `/${caller.host}`,
    isVisible: topic => maySeeTopic(broker, caller, topic)
  }
}

/** A topic may be named more than once: all of it counts, or what the member still has would be free. */
function toPartitions(
  listed: readonly { readonly topicId: string; readonly partitions: readonly number[] }[]
): Partitions {
  const partitions = new Map<string, readonly number[]>()
  for (const { topicId, partitions: each } of listed) {
    const known = partitions.get(topicId)
    partitions.set(topicId, known === undefined ? each : [...known, ...each])
  }
  return partitions
}

function toTopicPartitions(partitions: Partitions): { topicId: string; partitions: readonly number[] }[] {
  return [...partitions].map(([topicId, each]) => ({ topicId, partitions: each }))
}

/** Why the request cannot be served, whatever the group. */
function requestRefusal(
  broker: BrokerState,
  request: ConsumerGroupHeartbeatRequest,
  caller: Caller
): Refusal | undefined {
  if (broker.features.level('group.version') < 1) {
    return { error: 'UNSUPPORTED_VERSION', message: errorMessage('UNSUPPORTED_VERSION') }
  }
  const hidden = request.subscribedTopicNames?.some(name => !mayTopic(broker, caller, { operation: 'describe', name }))
  if (hidden === true) {
    return { error: 'TOPIC_AUTHORIZATION_FAILED', message: errorMessage('TOPIC_AUTHORIZATION_FAILED') }
  }
  const message = formProblem(request, caller.apiVersion)
  if (message !== undefined) return { error: 'INVALID_REQUEST', message }
  const { serverAssignor, subscribedTopicRegex: regex } = request
  const assignors = broker.groups.assignors
  if (serverAssignor !== null && !assignors.includes(serverAssignor)) {
    const text = `ServerAssignor ${serverAssignor} is not supported. Supported assignors: ${assignors.join(', ')}.`
    return { error: 'UNSUPPORTED_ASSIGNOR', message: text }
  }
  const problem = regex === null || regex === '' ? undefined : topicRegexProblem(regex)
  if (problem === undefined) return undefined
  const text = `SubscribedTopicRegex \`${regex}\` is not a valid regular expression: ${problem}.`
  return { error: 'INVALID_REGULAR_EXPRESSION', message: text }
}

/** What is missing or wrong in the request. */
function formProblem(request: ConsumerGroupHeartbeatRequest, apiVersion: number): string | undefined {
  const { memberEpoch, memberId, instanceId, rackId } = request
  const isMemberIdNeeded = apiVersion >= MEMBER_ID_VERSION || memberEpoch > 0 || memberEpoch === LEAVE_EPOCH
  if (isMemberIdNeeded && memberId === '') return "MemberId can't be empty."
  if (request.groupId.trim() === '') return "GroupId can't be empty."
  if (instanceId?.trim() === '') return "InstanceId can't be empty."
  if (rackId?.trim() === '') return "RackId can't be empty."
  if (memberEpoch < LEAVE_STATIC_EPOCH) return 'MemberEpoch is invalid.'
  if (memberEpoch === LEAVE_STATIC_EPOCH && instanceId === null) return "InstanceId can't be null."
  return memberEpoch === 0 ? joinProblem(request) : undefined
}

function joinProblem(request: ConsumerGroupHeartbeatRequest): string | undefined {
  const { subscribedTopicNames: names, subscribedTopicRegex: regex } = request
  if (request.rebalanceTimeoutMs === -1) return 'RebalanceTimeoutMs must be provided in first request.'
  if (request.topicPartitions === null || request.topicPartitions.length > 0) {
    return 'TopicPartitions must be empty when (re-)joining.'
  }
  // An empty list is a member without topics: a consumer whose pattern matches nothing yet joins with one.
  const isSubscribed = names !== null || regex !== null
  return isSubscribed
    ? undefined
    : 'Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.'
}
