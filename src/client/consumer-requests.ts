/** The requests of the consumer protocol (KIP-848): heartbeats, and who else is in the group. */

import {
  consumerGroupDescribeApi,
  consumerGroupHeartbeatApi,
  type ConsumerGroupHeartbeatRequestInput,
  type ConsumerGroupHeartbeatResponse
} from '../protocol/index.ts'
import { GroupRequests } from './group-requests.ts'
import { KAFKA } from './kafka-error.ts'

/** What a heartbeat says, without the group. */
export type HeartbeatFields = Omit<ConsumerGroupHeartbeatRequestInput, 'groupId'>

/** A member of the group as the coordinator sees it. */
export interface GroupMemberEpoch {
  readonly memberId: string
  readonly memberEpoch: number
}

/** How far a group is. */
export interface GroupEpochs {
  /** Grows when members or topics change. */
  readonly groupEpoch: number
  /** Group epoch of the newest assignment: lower while a new one is due. */
  readonly assignmentEpoch: number
  readonly members: readonly GroupMemberEpoch[]
}

/** Talks to the coordinator of one consumer group. */
export class ConsumerRequests extends GroupRequests {
  /** Says and asks in one: the only request of the protocol. */
  async heartbeat(fields: HeartbeatFields, timeoutMs: number): Promise<ConsumerGroupHeartbeatResponse> {
    const message = { groupId: this.options.groupId, ...fields }
    const answer = await this.send(consumerGroupHeartbeatApi, message, { timeoutMs })
    this.observe(answer.errorCode)
    return answer
  }

  /** The epochs of all members; `undefined` if the coordinator does not tell. */
  async memberEpochs(timeoutMs: number): Promise<GroupEpochs | undefined> {
    const answer = await this.send(consumerGroupDescribeApi, { groupIds: [this.options.groupId] }, { timeoutMs })
    const [group] = answer.groups
    if (group?.errorCode !== KAFKA.NONE) return undefined
    return group
  }
}
