/**
 * Decides when a log that only the broker reads is trimmed: when it has grown by
 * `GROWN_BYTES_MIN`, and by `GROWN_RATIO` times what the last trim kept. So the
 * work is in proportion to what is appended, and a replay at the next start has
 * that much to read at most.
 */

import { messageOf } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { PartitionLog } from './partition-log.ts'
import { trimToLastPerKey } from './trim-to-last-per-key.ts'

const GROWN_BYTES_MIN = 8 * 1024 * 1024
const GROWN_RATIO = 4

interface Trimmed {
  readonly appendedBytes: number
  readonly keptBytes: number
}

/** Trims internal logs, one at a time. */
export class InternalTrimmer {
  readonly #logger: Logger
  readonly #last = new WeakMap<PartitionLog, Trimmed>()
  #isRunning = false

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Trims a log if it has grown enough since the last time. Never rejects. */
  async trimIfDue(log: PartitionLog): Promise<void> {
    const last = this.#last.get(log) ?? { appendedBytes: 0, keptBytes: 0 }
    const grownBytes = log.appendedBytes - last.appendedBytes
    if (this.#isRunning || grownBytes < Math.max(GROWN_BYTES_MIN, last.keptBytes * GROWN_RATIO)) return
    this.#isRunning = true
    const fields = { topic: log.topic, partition: log.partition, grownBytes }
    try {
      const result = await trimToLastPerKey(log)
      if (result.isTrimmed) {
        this.#last.set(log, { appendedBytes: log.appendedBytes, keptBytes: result.keptBytes })
        this.#logger.info({ ...fields, keptBytes: result.keptBytes }, 'an internal log was trimmed')
      }
    } catch (error) {
      // A batch that cannot be read is left where it is: what reads it at the next start reports it.
      this.#logger.error({ ...fields, error: messageOf(error) }, 'an internal log could not be trimmed')
    } finally {
      this.#isRunning = false
    }
  }
}
