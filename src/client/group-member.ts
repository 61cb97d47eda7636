/** Group membership. */

import type { GroupMemberOptions, GroupMemberState, OffsetToCommit } from './group-types.ts'

/** One member of a consumer group (classic protocol). */
export class GroupMember {
  constructor(_options: GroupMemberOptions) {}
  /** Member id given by the coordinator; empty before the first join. */
  get memberId(): string {
    return ''
  }
  /** Current generation, -1 outside of one. */
  get generation(): number {
    return -1
  }
  /** What the member is doing. */
  get state(): GroupMemberState {
    return 'idle'
  }
  /** Joins the group in the background; the listener tells what happens. */
  start(): void {}
  /**
   * Commits offsets of owned partitions, fenced by member id and generation.
   *
   * @throws PipelineError `ERR_CLIENT_GENERATION_STALE` if the partition or the membership is gone,
   *   `ERR_CLIENT_REBALANCE_IN_PROGRESS` if the group did not take it in time, or what the connection threw.
   */
  commitOffsets(_offsets: readonly OffsetToCommit[]): Promise<void> {
    return Promise.resolve()
  }
  /** Gives all partitions back through `revoked`, then leaves the group, unless static. Idempotent. */
  close(): Promise<void> {
    return Promise.resolve()
  }
}
