/**
 * What one batch needs while it is under way: a table of its records and an encoder.
 *
 * They are lent from a pool, so memory follows the number of batches under way
 * and not the number of partitions. One that has grown far beyond the usual
 * batch is not kept.
 */

import {
  type AppendVerdict,
  createPayloadEncoder,
  type PayloadEncoder,
  type PayloadLimits,
  type PayloadOptions
} from './payload.ts'
import { RecordTable } from './record-table.ts'
import { RecordsEncoder } from './records-encoder.ts'

/** Table and encoder of one batch. */
export interface Workspace {
  readonly table: RecordTable
  readonly encoder: PayloadEncoder
  /** Stands in for the encoder where a batch is filled that is encoded later. */
  readonly gauge: SizeGauge
  /** Whether somebody may still read the last payload: then the next one is written elsewhere. */
  isShared: boolean
}

/** Takes rows as an encoder does, but only adds up their sizes: for values that change before they are encoded. */
class SizeGauge {
  readonly #limits: PayloadLimits
  #bytes = 0

  constructor(limits: PayloadLimits) {
    this.#limits = limits
  }

  /** Starts a batch. */
  begin(): void {
    this.#bytes = 0
  }

  /** Takes a row if it fits, and the first in any case. */
  append(table: RecordTable, row: number): AppendVerdict {
    const bytes = table.valueEnd(row) - table.valueStart(row)
    if (this.#bytes > 0 && this.#bytes + bytes > this.#limits.bytesMax) return 'full'
    this.#bytes += bytes
    return 'added'
  }
}

/** Lends workspaces. */
export class WorkspacePool {
  readonly #payload: PayloadOptions
  readonly #keptMax: () => number
  readonly #takesRecords: boolean
  readonly #free: Workspace[] = []

  /**
   * @param keptMax - Most workspaces kept for later; a function is asked each time, as it may change.
   * @param takesRecords - Whether nothing is encoded, because the target takes records as they are.
   */
  constructor(payload: PayloadOptions, keptMax: number | (() => number), takesRecords = false) {
    this.#payload = payload
    this.#keptMax = typeof keptMax === 'number' ? () => keptMax : keptMax
    this.#takesRecords = takesRecords
  }

  /** Takes a workspace. */
  acquire(): Workspace {
    const encoder = (): PayloadEncoder =>
      this.#takesRecords ? new RecordsEncoder(this.#payload.limits) : createPayloadEncoder(this.#payload)
    return (
      this.#free.pop() ?? {
        table: new RecordTable(),
        encoder: encoder(),
        gauge: new SizeGauge(this.#payload.limits),
        isShared: false
      }
    )
  }

  /** Gives it back. The table must not be read any more. */
  release(workspace: Workspace): void {
    // A target that takes records may keep them beyond its answer.
    if (this.#takesRecords || workspace.isShared) workspace.table.abandon()
    // The buffers behind the rows are of no use now: do not keep them alive.
    workspace.table.reset(0n)
    const isUsual = workspace.encoder.capacity <= 2 * this.#payload.limits.bytesMax
    if (isUsual && this.#free.length < this.#keptMax()) this.#free.push(workspace)
  }
}
