/**
 * Commits offsets of all partitions, one request at a time.
 *
 * While a commit is under way, newer offsets replace older ones; when it is
 * answered, whatever has moved goes in the next. The first offset after a rest
 * goes at once; under load a commit follows the one before after `intervalMs`,
 * or once a third of the moves wait that may: a request for each batch would
 * cost more than the batch. So a crash repeats little more than what was in flight.
 *
 * A failed commit loses nothing: its offsets are tried again with the newer
 * ones until they are accepted or their partition is given up (`forget`).
 *
 * A cluster may allow less text beside an offset than Kafka does by default
 * (`offset.metadata.max.bytes`). Then offsets go without it: a restart repeats
 * what was finished beyond them, and nothing is lost.
 *
 * Whatever is delivered and not committed is delivered again if the group goes
 * on without this member. So when `movesMax` batches wait to be committed,
 * `onLate` says so: who delivers must stop until commits go through again.
 */

import { type BackoffOptions, backoffMs, type Clock, messageOf, PipelineError, type Random } from '../core/index.ts'
import { type OffsetToCommit, partitionKeyOf, type TopicPartition } from '../client/index.ts'
import type { Logger } from '../telemetry/index.ts'

const BACKOFF: BackoffOptions = { initialMs: 50, maxMs: 5000 }

/** Kafka's error code for a text beside an offset that is too long. */
const OFFSET_METADATA_TOO_LARGE = 12

/** What a commit pump is made from. */
export interface CommitPumpOptions {
  /** Commits; rejects if the offsets were not accepted. */
  readonly commitOffsets: (offsets: readonly OffsetToCommit[]) => Promise<void>
  /** What is to be committed for a partition by now, asked once per request. Default: what was noted. */
  readonly newest?: (noted: OffsetToCommit) => OffsetToCommit
  /** Told when an offset was accepted. */
  readonly onCommitted: (committed: OffsetToCommit) => void
  /** Least time from one request to the next, in milliseconds, unless many moves wait. Default 0. */
  readonly intervalMs?: number
  /** Most moves of offsets that may wait to be accepted before commits count as late. At least 1. */
  readonly movesMax: number
  /** Told when commits are late, and when they no longer are. */
  readonly onLate: (isLate: boolean) => void
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** Commits the newest offsets, one request at a time. */
export class CommitPump {
  readonly #options: CommitPumpOptions
  /** Offsets to be committed, by partition. */
  #moved = new Map<string, OffsetToCommit>()
  /** Offsets in the request that is under way. */
  #inFlight = new Map<string, OffsetToCommit>()
  #isRunning = false
  #failures = 0
  #isLate = false
  /** Whether the cluster has refused the text that goes with offsets. */
  #isTextRefused = false
  /** Moves that the request under way has, and those since. */
  #movesInFlight = 0
  #movesWaiting = 0
  #idleWaiters: (() => void)[] = []
  /** Ends the pause between two requests. */
  #endPause: (() => void) | undefined
  /** Ends the wait after a failure. */
  #endBackoff: (() => void) | undefined

  constructor(options: CommitPumpOptions) {
    this.#options = options
  }

  /**
   * Notes a new offset to commit; a lower one than before is a mistake of the caller and is ignored. The same one
   * again says that what is kept with it has changed.
   */
  move(offset: OffsetToCommit): void {
    const key = partitionKeyOf(offset)
    const known = this.#moved.get(key)
    if (known !== undefined && known.offset > offset.offset) return
    this.#moved.set(key, offset)
    this.#movesWaiting += 1
    this.#checkLate()
    if (this.#isUrgent()) this.#endPause?.()
    if (this.#isRunning) return
    this.#isRunning = true
    void this.#run()
  }

  /** Gives up offsets of partitions that are no longer owned. */
  forget(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      this.#moved.delete(partitionKeyOf(partition))
      this.#inFlight.delete(partitionKeyOf(partition))
    }
    if (this.#moved.size === 0 && this.#inFlight.size === 0) this.#nothingWaits()
    if (this.#moved.size === 0) this.#endPause?.()
  }

  /** Resolves when everything noted has been accepted or given up. */
  async flush(): Promise<void> {
    while (this.#isRunning) {
      const isIdle = new Promise<void>(resolve => this.#idleWaiters.push(resolve))
      this.#endPause?.()
      // Partitions are given back: there may be no time for another try after a long wait.
      this.#endBackoff?.()
      await isIdle
    }
  }

  async #run(): Promise<void> {
    while (this.#moved.size > 0) {
      const startMs = this.#options.clock.monotonicMs()
      this.#movesInFlight += this.#movesWaiting
      this.#movesWaiting = 0
      const batch = this.#newest()
      this.#inFlight = new Map(batch)
      this.#moved = new Map()
      try {
        await this.#options.commitOffsets([...batch.values()])
        this.#failures = 0
        this.#movesInFlight = 0
        this.#checkLate()
        for (const committed of this.#inFlight.values()) this.#options.onCommitted(committed)
        this.#inFlight.clear()
        await this.#pause(startMs)
      } catch (error) {
        await this.#failed(error)
      }
    }
    this.#isRunning = false
    this.#nothingWaits()
    for (const wake of this.#idleWaiters.splice(0)) wake()
  }

  /** Whether what waits should not wait for the interval. */
  #isUrgent(): boolean {
    return this.#movesWaiting * 3 >= this.#options.movesMax || this.#idleWaiters.length > 0
  }

  /** Waits until the interval that began at `startMs` is over, or something is urgent. */
  async #pause(startMs: number): Promise<void> {
    const { intervalMs = 0, clock } = this.#options
    const leftMs = startMs + intervalMs - clock.monotonicMs()
    if (leftMs <= 0 || this.#isUrgent()) return
    await new Promise<void>(resolve => {
      const timer = clock.after(Math.ceil(leftMs), resolve)
      this.#endPause = () => {
        timer.cancel()
        resolve()
      }
    })
    this.#endPause = undefined
  }

  #newest(): Map<string, OffsetToCommit> {
    const { newest } = this.#options
    if (newest === undefined && !this.#isTextRefused) return this.#moved
    const batch = new Map<string, OffsetToCommit>()
    for (const [key, noted] of this.#moved) {
      const found = newest?.(noted) ?? noted
      batch.set(key, this.#isTextRefused ? { ...found, metadata: '' } : found)
    }
    return batch
  }

  /** All is committed, or what is not was given up. */
  #nothingWaits(): void {
    this.#movesInFlight = 0
    this.#movesWaiting = 0
    this.#checkLate()
  }

  #checkLate(): void {
    const isLate = this.#movesInFlight + this.#movesWaiting >= this.#options.movesMax
    if (this.#isLate === isLate) return
    this.#isLate = isLate
    this.#options.onLate(isLate)
  }

  async #failed(error: unknown): Promise<void> {
    if (!this.#isTextRefused && PipelineError.is(error) && error.kafkaCode === OFFSET_METADATA_TOO_LARGE) {
      this.#isTextRefused = true
      const message = 'the cluster takes no text of 4096 bytes with an offset (offset.metadata.max.bytes):'
      this.#options.logger.warn({}, `${message} a restart repeats what is finished beyond the committed offsets`)
      this.#takeBack()
      return
    }
    this.#failures += 1
    const waitMs = backoffMs(BACKOFF, this.#failures, this.#options.random)
    const fields = { failures: this.#failures, code: PipelineError.is(error) ? error.code : undefined, waitMs }
    const message = `offsets were not committed, they are tried again: ${messageOf(error)}`
    if (this.#failures >= 5) this.#options.logger.warn(fields, message)
    else this.#options.logger.debug(fields, message)
    await new Promise<void>(resolve => {
      const timer = this.#options.clock.after(waitMs, resolve)
      this.#endBackoff = () => {
        timer.cancel()
        resolve()
      }
    })
    this.#endBackoff = undefined
    this.#takeBack()
  }

  #takeBack(): void {
    for (const [key, offset] of this.#inFlight) if (!this.#moved.has(key)) this.#moved.set(key, offset)
  }
}
