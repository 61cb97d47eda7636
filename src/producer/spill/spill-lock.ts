/** The lock of a spill folder: one producer at a time. See `lockFile`. */

import path from 'node:path'

import { PipelineError } from '../../core/index.ts'
import { lockFile } from '../lock-file.ts'

/** A lock that is held. */
export interface SpillLock {
  /** Gives the lock back. Idempotent. */
  release(): Promise<void>
}

/**
 * Takes the lock of a folder that exists.
 *
 * @throws PipelineError `ERR_PRODUCER_SPILL_LOCKED` if another producer holds it; names it.
 */
export async function lockSpillFolder(folder: string): Promise<SpillLock> {
  const locking = await lockFile(path.join(folder, 'lock'))
  if (locking.kind === 'held') return locking
  const { holder } = locking
  const remedy = 'stop that one, or set producer.spill.dir to another folder'
  const message = `the spill folder ${folder} is in use by a producer of ${holder}: ${remedy}`
  throw new PipelineError('ERR_PRODUCER_SPILL_LOCKED', message, { fields: { folder, holder } })
}
