/**
 * The requests of the classic protocol.
 *
 * Join and sync may wait for other members for minutes, so they have a
 * connection of their own; heartbeats and commits use another one and are
 * never stuck behind them.
 */

import { heartbeatApi, joinGroupApi, type JoinGroupResponse, leaveGroupApi, syncGroupApi } from '../protocol/index.ts'
import { CONSUMER_PROTOCOL, encodeSubscription, type Subscription } from './group-protocol.ts'
import { GroupRequests, type GroupRequestsOptions, type MemberIdentity } from './group-requests.ts'
import type { AssignorName } from './group-types.ts'

/** Settings of the member that go into requests. */
export interface ClassicRequestsOptions extends GroupRequestsOptions {
  readonly sessionTimeoutMs: number
  readonly assignors: readonly AssignorName[]
}

/** Extra time for the answer to a join, in milliseconds: it may come only when the rebalance timeout has passed. */
const joinMarginMs = 5_000
const leaveListVersion = 3
const leaveReasonVersion = 5
/** Longest reason that is sent: brokers and people read it. */
const reasonLengthMax = 255

/** Talks to the coordinator of one classic group. */
export class ClassicRequests extends GroupRequests<ClassicRequestsOptions> {
  readonly #joinLane: string

  constructor(options: ClassicRequestsOptions) {
    super(options)
    this.#joinLane = options.cluster.newLane('join')
  }

  override close(): void {
    this.closeJoin()
    super.close()
  }

  /** Gives a join or sync up: the coordinator sees the connection end. */
  closeJoin(): void {
    this.options.cluster.closeLane(this.#joinLane)
  }

  async join(memberId: string, subscription: Subscription, signal: AbortSignal): Promise<JoinGroupResponse> {
    const { groupId, sessionTimeoutMs, rebalanceTimeoutMs, assignors } = this.options
    const answer = await this.send(
      joinGroupApi,
      {
        groupId,
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        memberId,
        ...this.instance(),
        protocolType: CONSUMER_PROTOCOL,
        protocols: assignors.map(name => ({ name, metadata: encodeSubscription(name, subscription) }))
      },
      { lane: this.#joinLane, signal, timeoutMs: this.#joinTimeoutMs() }
    )
    this.observe(answer.errorCode)
    return answer
  }

  /** Gives the assignment of this member; the leader brings those of all. */
  async sync(
    identity: MemberIdentity,
    round: {
      readonly protocolName: string
      /** What the leader assigns, by member id; empty for everybody else. */
      readonly assignments: ReadonlyMap<string, Buffer>
      readonly signal: AbortSignal
    }
  ): Promise<{ errorCode: number; assignment: Buffer }> {
    const { protocolName, assignments, signal } = round
    const answer = await this.send(
      syncGroupApi,
      {
        groupId: this.options.groupId,
        generationId: identity.generation,
        memberId: identity.memberId,
        ...this.instance(),
        protocolType: CONSUMER_PROTOCOL,
        protocolName,
        assignments: [...assignments].map(([memberId, assignment]) => ({ memberId, assignment }))
      },
      { lane: this.#joinLane, signal, timeoutMs: this.#joinTimeoutMs() }
    )
    this.observe(answer.errorCode)
    return { errorCode: answer.errorCode, assignment: answer.assignment }
  }

  /** @returns Kafka error code. */
  async heartbeat(identity: MemberIdentity, timeoutMs: number): Promise<number> {
    const { groupId } = this.options
    const { memberId, generation: generationId } = identity
    const message = { groupId, generationId, memberId, ...this.instance() }
    const { errorCode } = await this.send(heartbeatApi, message, { timeoutMs })
    this.observe(errorCode)
    return errorCode
  }

  /** Leaves the group; the reason goes where the coordinator knows such a field. */
  async leave(memberId: string, how: { readonly reason: string; readonly timeoutMs: number }): Promise<void> {
    const { groupId } = this.options
    const { timeoutMs } = how
    const connection = await this.connect(timeoutMs)
    const version = connection.versionOf(leaveGroupApi)
    const reason = version >= leaveReasonVersion ? { reason: how.reason.slice(0, reasonLengthMax) } : {}
    const members = [{ memberId, ...this.instance(), ...reason }]
    const message = version >= leaveListVersion ? { groupId, members } : { groupId, memberId }
    await connection.send(leaveGroupApi, message, { version, timeoutMs })
  }

  #joinTimeoutMs(): number {
    const { cluster, rebalanceTimeoutMs } = this.options
    return Math.max(cluster.requestTimeoutMs, rebalanceTimeoutMs + joinMarginMs)
  }
}
