/**
 * Keeps the bytes that lie behind recovery points below a limit, over all
 * partitions: what a start after a crash has to check.
 *
 * Above the limit it flushes the partitions with the most until half of it is
 * left, one at a time, so that appends keep the disk to themselves as far as
 * possible.
 */

import { messageOf } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { PartitionLog } from './partition-log.ts'

/** What the budget works on. */
export interface FlushBudgetOptions {
  readonly bytesMax: number
  readonly logs: () => readonly PartitionLog[]
  readonly saveRecoveryPoints: () => Promise<void>
  readonly logger: Logger
}

/** Flushes logs in the background. */
export class FlushBudget {
  readonly #options: FlushBudgetOptions
  #bytesSinceLook = 0
  #run: Promise<void> | undefined

  constructor(options: FlushBudgetOptions) {
    this.#options = options
  }

  /** Bytes behind the recovery points of all logs that can be flushed. */
  get unflushedBytes(): number {
    let bytes = 0
    // No flush brings down what an offline log has: it would have the others flushed again and again.
    for (const log of this.#options.logs()) if (!log.isOffline) bytes += log.unflushedBytes
    return bytes
  }

  /** Says that bytes were written. Looks at all logs only once in a while. */
  noteWritten(bytes: number): void {
    this.#bytesSinceLook += bytes
    if (this.#run !== undefined || this.#bytesSinceLook < this.#options.bytesMax / 8) return
    this.#bytesSinceLook = 0
    if (this.unflushedBytes <= this.#options.bytesMax / 2) return
    this.#run = this.#flushDownTo(this.#options.bytesMax / 4).finally(() => {
      this.#run = undefined
    })
  }

  /** Flushes every log that has something to flush. Never rejects. */
  async flushAll(): Promise<void> {
    await this.idle()
    this.#run ??= this.#flushDownTo(0).finally(() => {
      this.#run = undefined
    })
    await this.#run
  }

  /** Resolves when no flush is under way. */
  async idle(): Promise<void> {
    while (this.#run !== undefined) await this.#run
  }

  async #flushDownTo(bytesLeft: number): Promise<void> {
    const dirty = this.#options.logs().filter(log => log.unflushedBytes > 0)
    const largestFirst = dirty.toSorted((a, b) => b.unflushedBytes - a.unflushedBytes)
    for (const log of largestFirst) {
      if (this.unflushedBytes <= bytesLeft) break
      await log.flush()
      // Beside the next flush: a crash in the middle of a long round must not lose what the round has reached.
      void this.#saveRecoveryPoints()
    }
    await this.#saveRecoveryPoints()
  }

  async #saveRecoveryPoints(): Promise<void> {
    try {
      await this.#options.saveRecoveryPoints()
    } catch (error) {
      // An older recovery point only makes the next start check more.
      this.#options.logger.warn({ error: messageOf(error) }, 'the recovery points could not be written')
    }
  }
}
