/** What the two protocols have in common as seen by `GroupMember`, and what they are made from. */

import { type Clock, messageOf, PipelineError, type Random } from '../core/index.ts'
import type { Logger } from '../telemetry/index.ts'
import type { MemberIdentity } from './group-requests.ts'
import type { GroupMemberOptions, GroupMemberState, GroupProtocol, RetireOptions } from './group-types.ts'
import type { GroupWork } from './group-work.ts'
import type { MemberMeter } from './member-meter.ts'
import { KAFKA, kafkaError } from './kafka-error.ts'

/** Wait after a heartbeat that was not answered, in milliseconds. */
export const HEARTBEAT_RETRY_MS = 500
/** Longest wait for the answer to a goodbye, in milliseconds. */
export const LEAVE_TIMEOUT_MS = 5_000

/**
 * Longest wait for the answer to a heartbeat, in milliseconds: a coordinator that hangs must be given up while the
 * session still has time for another one.
 */
export function heartbeatTimeoutMs({ member, sessionTimeoutMs }: MembershipOptions): number {
  return Math.min(member.cluster.requestTimeoutMs, sessionTimeoutMs / 3)
}

/** A member of a group, in one protocol. */
export interface Membership {
  readonly protocol: Exclude<GroupProtocol, 'auto'>
  readonly identity: MemberIdentity
  readonly state: GroupMemberState
  /** See `GroupMember.seenMs`. */
  readonly seenMs: number
  /** Name of the assignor, as far as the member knows it. */
  readonly assignor: string
  readonly work: GroupWork
  /** Joins in the background. */
  start(): void
  /** See `GroupMember.retire`. */
  retire(options: Required<RetireOptions>): Promise<void>
  /** Gives everything back and leaves. Called once. */
  close(reason: string): Promise<void>
}

/** What a membership is made from. */
export interface MembershipOptions {
  readonly member: GroupMemberOptions
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly sessionTimeoutMs: number
  readonly heartbeatIntervalMs: number
  readonly rebalanceTimeoutMs: number
  /** Counts what happens. Default: nobody does. */
  readonly meter?: MemberMeter | undefined
}

/** Whether a member that closes leaves its place to others. */
export function isLeaving({ groupInstanceId, isStaticPlaceGivenUp = false }: GroupMemberOptions): boolean {
  return groupInstanceId === undefined || isStaticPlaceGivenUp
}

/** The error of a static member whose instance id was taken over. */
export function instanceFenced({ groupId, groupInstanceId }: GroupMemberOptions): PipelineError {
  return kafkaError(KAFKA.FENCED_INSTANCE_ID, `member ${groupInstanceId} of group ${groupId}`)
}

/** Tells the listener that the member has ended. */
export function tellFailed({ member, logger }: MembershipOptions, error: PipelineError): void {
  try {
    member.listener.failed(error)
  } catch (cause) {
    logger.error({ reason: messageOf(cause) }, 'the listener failed in failed')
  }
}

/** The partition counts of topics that exist. */
export async function readCounts(
  { cluster }: GroupMemberOptions,
  topics: readonly string[]
): Promise<ReadonlyMap<string, number>> {
  const { topics: found } = await cluster.metadata(topics)
  return new Map(
    found.filter(topic => topic.partitions.length > 0).map(topic => [topic.topic, topic.partitions.length])
  )
}
