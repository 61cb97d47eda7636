/**
 * Commits the offsets of a source's group: the newest of each partition, one
 * request at a time, at most once an interval. What is not accepted is tried
 * again with the next one, unless its partition was given back.
 */

import { type OffsetToCommit, partitionKeyOf, type TopicPartition } from '../../client/index.ts'
import { type Clock, messageOf, type Timer } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'

/** What a committer is made of. */
export interface KafkaCommitterOptions {
  readonly commitOffsets: (offsets: readonly OffsetToCommit[]) => Promise<void>
  readonly intervalMs: number
  readonly clock: Clock
  readonly logger: Logger
}

/** Commits offsets. */
export class KafkaCommitter {
  readonly #options: KafkaCommitterOptions
  readonly #moved = new Map<string, OffsetToCommit>()
  #inFlight: Promise<void> | undefined
  #timer: Timer | undefined
  #failureCount = 0
  /** Partitions that were given back while a commit of them was under way. */
  readonly #forgotten = new Set<string>()
  #isClosed = false

  constructor(options: KafkaCommitterOptions) {
    this.#options = options
  }

  /** The offset of a partition has moved. */
  move(offset: OffsetToCommit): void {
    if (this.#isClosed) return
    this.#moved.set(partitionKeyOf(offset), offset)
    this.#timer ??= this.#options.clock.after(this.#options.intervalMs, () => {
      this.#timer = undefined
      void this.#send()
    })
  }

  /** The partition belongs to somebody else. */
  forget(partition: TopicPartition): void {
    const key = partitionKeyOf(partition)
    this.#moved.delete(key)
    if (this.#inFlight !== undefined) this.#forgotten.add(key)
  }

  /** Commits what has moved now. Resolves when it was answered; never rejects. */
  async flush(): Promise<void> {
    await this.#inFlight
    await this.#send()
  }

  /** Ends it; what has moved is not committed any more. */
  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#timer = undefined
    this.#moved.clear()
  }

  async #send(): Promise<void> {
    if (this.#inFlight !== undefined) await this.#inFlight
    if (this.#moved.size === 0) return
    this.#inFlight ??= this.#commit().finally(() => {
      this.#inFlight = undefined
    })
    await this.#inFlight
  }

  async #commit(): Promise<void> {
    const offsets = [...this.#moved.values()]
    this.#moved.clear()
    this.#forgotten.clear()
    try {
      await this.#options.commitOffsets(offsets)
      this.#failureCount = 0
    } catch (error) {
      this.#failureCount += 1
      // A rebalance refuses one now and then: worth a line only if it goes on.
      const say = this.#failureCount < 3 ? 'debug' : 'warn'
      this.#options.logger[say]({ partitions: offsets.length }, `offsets were not committed: ${messageOf(error)}`)
      for (const offset of offsets) {
        const key = partitionKeyOf(offset)
        // Whoever has a partition now has gone on: an old offset would throw them back.
        if (!this.#moved.has(key) && !this.#forgotten.has(key)) this.move(offset)
      }
    }
  }
}
