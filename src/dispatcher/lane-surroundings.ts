/** What all lanes of a dispatcher share, and what a dispatcher sees of a lane. */

import type { FetchedChunk } from '../client/index.ts'
import type { Clock, Random } from '../core/index.ts'
import type { Target } from '../targets/index.ts'
import type { Logger, Tracing } from '../telemetry/index.ts'
import type { ExactlyOnceSurroundings } from './exactly-once.ts'
import type { Meters } from './meters.ts'
import type { RecordTable } from './record-table.ts'
import type { DeadRow, RetryPolicy, Settlement } from './settlement.ts'
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

/** What a lane is doing. With several batches under way: what the one is doing that is the furthest. */
export type LaneState = 'idle' | 'waiting' | 'invoking' | 'retrying' | 'stopping' | 'ended'

/** What the surroundings see of a lane when it calls them. */
export interface LaneView {
  readonly topic: string
  readonly partition: number
  /** Tells assignments of the same partition apart in logs. */
  readonly epoch: number
  /** Next record to be put into a batch: nothing from here on was ever sent by this lane. */
  readonly position: bigint
  /** Offset that may be committed. */
  readonly committable: bigint
  /** Text to be committed with `committable`: what is finished beyond it. Empty if nothing is. */
  commitMetadata(): string
  /** Bytes fetched and not in a batch yet. */
  readonly bufferedBytes: number
  /** The partition gets no more records for now. */
  onPause(): void
}

/** A lane as JSON can hold it. */
export interface LaneDescription {
  readonly topic: string
  readonly partition: number
  readonly epoch: number
  readonly order: 'partition' | 'key' | 'none'
  readonly state: LaneState
  readonly position: string
  readonly committable: string
  readonly bufferedBytes: number
  readonly inFlightRecords: number
  readonly inFlightBytes: number
  /** Age of the oldest record that is fetched and not in a batch yet, in milliseconds; `null` if there is none. */
  readonly oldestMs: number | null
  readonly batches: readonly BatchDescription[]
  /** Why nothing new is begun although there is something to do; `null` if nothing is in the way. */
  readonly blockedBy: string | null
}

/** A batch under way as JSON can hold it. */
export interface BatchDescription {
  readonly firstOffset: string
  readonly records: number
  readonly bytes: number
  readonly state: 'waiting' | 'invoking' | 'retrying' | 'puttingAside'
  /** Invocations so far. */
  readonly invocations: number
  /** What it waits for beside its target; absent if there is nothing. */
  readonly blockedBy?: string
  readonly ageMs: number
}

/** A lane as the dispatcher steers it. */
export interface AnyLane extends LaneView {
  readonly state: LaneState
  /** Records of the batches under way. */
  readonly inFlightRecords: number
  /** Encoded bytes of the batches under way. */
  readonly inFlightBytes: number
  /** Resolves when the lane does nothing any more. */
  readonly ended: Promise<void>
  /** Takes a fetched chunk. */
  push(chunk: FetchedChunk): void
  /** Starts nothing new; the invocations under way may finish. */
  stop(): void
  /** Ends the lane at once: whatever still comes counts for nothing. */
  abort(): void
  /** What it is doing, in full. */
  describe(): LaneDescription
}

/** What becomes of a row before it is sent. */
export type SiftVerdict = 'deliver' | 'drop' | 'park'

/** Asked for each row while a batch is filled; only set if there is something to ask. */
export interface RowSift {
  /**
   * `drop`: the row is finished without being sent. `park`: it is put aside without being sent. Called in offset
   * order within a partition; a row may be asked about again after its batch was given up.
   */
  sift(table: RecordTable, row: number): SiftVerdict
}

/** A batch, for those who put its rows aside or change them. */
export interface BatchContext {
  readonly topic: string
  readonly partition: number
  readonly table: RecordTable
  /** When the batch failed first, in epoch milliseconds; `undefined` if it has not. */
  readonly firstFailureMs: number | undefined
  /** Takes back rows that follow one that is put aside; `leave` says that they are safe. */
  readonly settlement: Pick<Settlement, 'withdraw' | 'leave'>
}

/** Where rows go that leave their batch undelivered. */
export interface Aside {
  /**
   * Puts rows aside and counts them. They have left the batch only when this says `true`: they are safe then.
   *
   * @returns `false` if the signal aborted before.
   */
  put(batch: BatchContext, rows: readonly DeadRow[], signal: AbortSignal): Promise<boolean>
}

/** What a transform has made of a batch. */
export interface TransformedBatch {
  /** Rows with the numbers and offsets of the batch's own table; values (and keys) may differ. */
  readonly table: RecordTable
  /** Rows that need not be delivered: they leave as filtered. */
  readonly dropped: readonly number[]
  /** Rows that could not be transformed: they are put aside. */
  readonly dead: readonly DeadRow[]
}

/** Changes the values of a batch before it is encoded. */
export interface BatchTransform {
  /** Set while records wait because something behind it is not available. */
  readonly blockedBy?: string | undefined
  /**
   * @param rows - Rows to be delivered, in ascending order.
   * @returns `undefined` if the signal aborted before. A rejection is a mistake of the program and ends the dispatcher.
   */
  transform(batch: BatchContext, rows: readonly number[], signal: AbortSignal): Promise<TransformedBatch | undefined>
}

/** What a lane works with. */
export interface LaneSurroundings {
  readonly groupId: string
  readonly target: Target
  /** Read anew for each batch: it may change while the dispatcher runs. */
  readonly batch: BatchLimits
  readonly retry: RetryPolicy
  readonly slots: SlotQueue
  readonly workspaces: WorkspacePool
  readonly aside: Aside
  readonly sift?: RowSift | undefined
  readonly transform?: BatchTransform | undefined
  /** Set if batches are delivered in transactions. */
  readonly exactlyOnce?: ExactlyOnceSurroundings | undefined
  /** When the latest invocation was sent that the target has answered: evidence that it is well. */
  readonly health: { answeredSentMs: number }
  readonly meters: Meters
  /** Set if batches are traced. */
  readonly tracing?: Tracing | undefined
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Whether the partition gets no more records for now. */
  readonly isPaused: (lane: LaneView) => boolean
  /** The lane's committable offset, or the text that goes with it, has moved. */
  readonly onMoved: (lane: LaneView) => void
  /** The lane has taken records out of its buffer. */
  readonly onTaken: (lane: LaneView) => void
  /** The lane's records cannot be read; its buffer is empty now and wants to be filled from `position` on. */
  readonly onUnreadable: (lane: LaneView, error: unknown) => void
  /** Something that cannot happen did; the lane has ended. */
  readonly onFatal: (lane: LaneView, error: unknown) => void
}
