/** What all lanes of a dispatcher share. */

import type { Clock, Random } from '../core/index.ts'
import type { Target } from '../targets/index.ts'
import type { Logger } from '../telemetry/index.ts'
import type { DeadLetterWriter } from './dead-letters.ts'
import type { Meters } from './meters.ts'
import type { RetryPolicy } from './settlement.ts'
import type { SlotQueue } from './slots.ts'
import type { WorkspacePool } from './workspace.ts'

/** Limits that close a batch, whichever is first. */
export interface BatchLimits {
  readonly recordsMax: number
  /** Encoded bytes. */
  readonly bytesMax: number
  /** Longest wait of its oldest record in this process, in milliseconds. */
  readonly ageMs: number
}

/** What the surroundings see of a lane. */
export interface LaneView {
  readonly topic: string
  readonly partition: number
  /** Tells assignments of the same partition apart in logs. */
  readonly epoch: number
  /** Next record to be put into a batch. */
  readonly position: bigint
  /** Offset that may be committed. */
  readonly committable: bigint
  /** Bytes fetched and not in a batch yet. */
  readonly bufferedBytes: number
  /** The partition gets no more records for now. */
  onPause(): void
}

/** What a lane works with. */
export interface LaneSurroundings {
  readonly groupId: string
  readonly target: Target
  readonly batch: BatchLimits
  readonly retry: RetryPolicy
  readonly slots: SlotQueue
  readonly workspaces: WorkspacePool
  readonly deadLetters: Pick<DeadLetterWriter, 'write'>
  /** When the latest invocation was sent that the target has answered: evidence that it is well. */
  readonly health: { answeredSentMs: number }
  readonly meters: Meters
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Whether the partition gets no more records for now. */
  readonly isPaused: (lane: LaneView) => boolean
  /** The lane's committable offset may have moved. */
  readonly onMoved: (lane: LaneView) => void
  /** The lane has taken records out of its buffer. */
  readonly onTaken: (lane: LaneView) => void
  /** The lane's records cannot be read; its buffer is empty now and wants to be filled from `position` on. */
  readonly onUnreadable: (lane: LaneView, error: unknown) => void
  /** Something that cannot happen did; the lane has ended. */
  readonly onFatal: (lane: LaneView, error: unknown) => void
}
