/** What the decisions of `classic-group.ts` collect, and the replies of refusals. Pure. */

import type { KafkaErrorName } from '../../protocol/index.ts'
import { type GroupWrite, type JoinReply, NO_BYTES, type StoredGroup, type SyncReply } from './group-types.ts'

/** What one decision has collected so far. */
export interface Collected {
  readonly replies: (JoinReply | SyncReply)[]
  readonly writes: GroupWrite[]
}

/** A write under way, and what it decides when it completes. */
export type PendingWrite =
  | { readonly kind: 'assignment'; readonly stored: StoredGroup }
  | { readonly kind: 'replacement'; readonly oldMemberId: string; readonly reply: JoinReply }
  | { readonly kind: 'empty' }

/** Nothing collected yet. */
export function collect(): Collected {
  return { replies: [], writes: [] }
}

/** The reply to a JoinGroup that failed. */
export function failedJoin(token: number, error: KafkaErrorName, memberId: string): JoinReply {
  const nothing = { generation: -1, protocolType: null, protocolName: null, leader: '', members: [] }
  return { kind: 'join', token, error, memberId, isAssignmentSkipped: false, ...nothing }
}

/** The reply to a SyncGroup that failed. */
export function failedSync(token: number, error: KafkaErrorName): SyncReply {
  return { kind: 'sync', token, error, protocolType: null, protocolName: null, assignment: NO_BYTES }
}
