/**
 * What one batch needs while it is under way: a table of its records and an encoder.
 *
 * They are lent from a pool, so memory follows the number of batches under way
 * and not the number of partitions. One that has grown far beyond the usual
 * batch is not kept.
 */

import { createPayloadEncoder, type PayloadEncoder, type PayloadOptions } from './payload.ts'
import { RecordTable } from './record-table.ts'

/** Table and encoder of one batch. */
export interface Workspace {
  readonly table: RecordTable
  readonly encoder: PayloadEncoder
  /** Whether somebody may still read the last payload: then the next one is written elsewhere. */
  isShared: boolean
}

/** Lends workspaces. */
export class WorkspacePool {
  readonly #payload: PayloadOptions
  readonly #keptMax: number
  readonly #free: Workspace[] = []

  /** @param keptMax - Most workspaces kept for later. */
  constructor(payload: PayloadOptions, keptMax: number) {
    this.#payload = payload
    this.#keptMax = keptMax
  }

  /** Takes a workspace. */
  acquire(): Workspace {
    const encoder = (): PayloadEncoder => createPayloadEncoder(this.#payload)
    return this.#free.pop() ?? { table: new RecordTable(), encoder: encoder(), isShared: false }
  }

  /** Gives it back. The table must not be read any more. */
  release(workspace: Workspace): void {
    // The buffers behind the rows are of no use now: do not keep them alive.
    workspace.table.reset(0n)
    const isUsual = workspace.encoder.capacity <= 2 * this.#payload.limits.bytesMax
    if (isUsual && this.#free.length < this.#keptMax) this.#free.push(workspace)
  }
}
