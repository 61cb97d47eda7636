/** What a handler of an undo is given, and gives: see `undo-handlers.ts`, which knows them all. */

import type { Admin, Cluster } from '../../client/index.ts'
import type { PipelineConfig } from '../../config/index.ts'
import type { Clock } from '../../core/index.ts'
import type { PauseControl } from '../partitions/pause-partition.ts'
import type { Change, Json } from './change.ts'

/** What a handler may look at. */
export interface UndoOpen {
  readonly cluster: Cluster
  readonly admin: Admin
  /** Absent where `--brokers` named the cluster. */
  readonly pipeline: PipelineConfig | undefined
  readonly clock: Clock
  /** Environment variables: secrets of fleets. Absent = none are needed. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** The way to dispatchers, for pauses of partitions. Absent = there is none from here. */
  readonly pauses?: PauseControl
  readonly signal?: AbortSignal
}

/**
 * Plans the way back.
 *
 * @param snapshot - What the change saved; from a file, so nothing about it is sure.
 * @throws PipelineError `ERR_OPS_UNDO_DAMAGED` if the snapshot is not one of its own.
 */
export type UndoHandler = (snapshot: Json, open: UndoOpen) => Promise<Change>
