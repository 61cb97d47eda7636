/**
 * Writes index entries to their files beside the appends. Nothing waits for
 * them, and recovery makes lost ones again; it only keeps them from gathering in
 * memory until the next flush.
 */

import { messageOf } from '../../core/index.ts'
import type { LogEnvironment } from './log-environment.ts'
import type { Segment } from './segment.ts'

/** Index bytes that wait in memory before they are written. */
const UNSAVED_BYTES_MAX = 8192

/** Saves the indexes of one log, one write at a time. */
export class IndexSaver {
  readonly #environment: LogEnvironment
  readonly #logFields: Readonly<Record<string, unknown>>
  #saving: Promise<void> | undefined

  constructor(environment: LogEnvironment, logFields: Readonly<Record<string, unknown>>) {
    this.#environment = environment
    this.#logFields = logFields
  }

  /** Starts a write if enough entries wait and none is under way. */
  saveBeside(segment: Segment): void {
    if (this.#saving !== undefined || segment.unsavedIndexBytes < UNSAVED_BYTES_MAX) return
    this.#saving = this.#save(segment)
  }

  /** Resolves when no write is under way: the files are opened by path, which may belong to another log by then. */
  async idle(): Promise<void> {
    await this.#saving
  }

  async #save(segment: Segment): Promise<void> {
    try {
      await segment.saveIndexes(this.#environment.pool)
    } catch (error) {
      // The entries stay in memory and are written with the next ones, at the latest by a flush, which reports.
      this.#environment.logger.warn({ ...this.#logFields, error: messageOf(error) }, 'index entries wait for the disk')
    } finally {
      this.#saving = undefined
    }
  }
}
