/** What the logs of one broker share. */

import type { Clock, Random } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { BatchValidator } from './batch-validator.ts'
import type { DiskTrouble } from './disk-trouble.ts'
import type { FilePool } from './file-pool.ts'
import type { IndexCache } from './segment-indexes.ts'
import type { FolderOperations } from './segment-swap.ts'

/** Shared parts, and what a log tells its manager. */
export interface LogEnvironment {
  readonly pool: FilePool
  readonly indexes: IndexCache
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Renames and removals of whole files. Default: the machine's file system. */
  readonly operations?: FolderOperations
  readonly validator: BatchValidator
  /** Tells of a disk that refuses writes. */
  readonly trouble: DiskTrouble
  /** A log start offset has moved: resolves when that is durable. */
  readonly saveLogStartOffsets: () => Promise<void>
  /** Bytes were written that no flush has made durable. */
  readonly noteWritten: (bytes: number) => void
}
