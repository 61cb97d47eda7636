/**
 * The way of chunks into transactions: one after the other, and between two of
 * them, when the transaction is large or old enough, its end.
 *
 * A transaction so holds whole chunks, and the positions behind them: a source
 * that goes on from a committed position has nothing twice and nothing missing.
 */

import type { AppendRecord } from '../../client/index.ts'
import type { Clock, Timer } from '../../core/index.ts'
import type { EventChunk } from '../event-chunk.ts'
import type { EventIntake, Intake, Submission, SubmitOptions } from '../intake.ts'
import { positionRecord } from './ingest-state.ts'
import type { TransactionOutlet } from './transaction-outlet.ts'

/**
 * Most chunks of a transaction. The intake lets in only so many that are not settled, and chunks of a transaction are
 * settled by its end: one that waited to be let in would wait for its own end.
 */
const CHUNKS_MAX = 1024

/** What a transactional intake is made of. */
export interface TransactionalIntakeOptions {
  readonly intake: Pick<EventIntake, 'submit' | 'recordBytesMax' | 'lettersHandedOver' | 'mustWait'>
  readonly outlet: TransactionOutlet
  readonly settings: TransactionSettings
  /** Most bytes of a transaction's records, or of its chunks; it ends behind the chunk that reaches it. */
  readonly bytesMax: number
  readonly clock: Clock
}

/** `producer.delivery.transaction:` */
export interface TransactionSettings {
  readonly id: string
  readonly recordsMax: number
  readonly ageMs: number
  readonly stateTopic: string
}

/** Hands chunks over in transactions. */
export class TransactionalIntake implements Intake {
  readonly recordBytesMax: number
  readonly #options: TransactionalIntakeOptions
  readonly #saved: ReadonlyMap<string, unknown>
  readonly #positions = new Map<string, () => unknown>()
  /** Everything happens one after the other. */
  #last: Promise<unknown> = Promise.resolve()
  #timer: Timer | undefined
  #isStopped = false
  /** The transaction is to end before the next chunk. */
  #isDue = false
  #chunkCount = 0
  #chunkBytes = 0

  /** @param saved - Positions of the last owner of the transactional id, by source. */
  constructor(options: TransactionalIntakeOptions, saved: ReadonlyMap<string, unknown>) {
    this.#options = options
    this.#saved = saved
    this.recordBytesMax = options.intake.recordBytesMax
  }

  savedPosition(key: string): unknown {
    return this.#saved.get(key)
  }

  submit(chunk: EventChunk, options: SubmitOptions): Promise<Submission> {
    return this.#next(() => this.#submit(chunk, options))
  }

  /** Ends the open transaction now. Never rejects. */
  async commit(): Promise<void> {
    await this.#next(() => this.#commit())
  }

  /** Ends nothing any more by its age. */
  stop(): void {
    this.#timer?.cancel()
    this.#isStopped = true
  }

  #next<T>(run: () => Promise<T>): Promise<T> {
    const running = this.#last.then(run)
    // Before whatever waits already: behind it, the end might wait for chunks that wait for the end.
    this.#last = running.catch(() => undefined).then(() => (this.#isDue ? this.#commit() : undefined))
    return running
  }

  async #submit(chunk: EventChunk, options: SubmitOptions): Promise<Submission> {
    const { intake, outlet, settings, bytesMax, clock } = this.#options
    // What is open is settled by its end only: a chunk that waited for that would wait for ever.
    if (intake.mustWait(chunk)) await this.#commit()
    if (!this.#isStopped) this.#timer ??= clock.after(settings.ageMs, () => this.#tooOld())
    const submission = await intake.submit(chunk, options)
    if (options.position !== undefined) this.#positions.set(options.position.key, options.position.state)
    this.#chunkCount += 1
    this.#chunkBytes += chunk.bytes.length
    const isLarge = this.#chunkCount >= CHUNKS_MAX || this.#chunkBytes >= bytesMax || outlet.bufferedBytes >= bytesMax
    if (isLarge || outlet.recordCount >= settings.recordsMax) this.#isDue = true
    return submission
  }

  #tooOld(): void {
    this.#isDue = true
    void this.#next(() => Promise.resolve())
  }

  async #commit(): Promise<void> {
    const { intake, outlet, settings } = this.#options
    this.#timer?.cancel()
    this.#timer = undefined
    const positions: AppendRecord[] = [...this.#positions].map(([key, state]) => positionRecord(settings, key, state()))
    this.#positions.clear()
    this.#chunkCount = 0
    this.#chunkBytes = 0
    this.#isDue = false
    if (outlet.recordCount === 0) return
    await outlet.commit({ positions, lettersHandedOver: () => intake.lettersHandedOver() })
  }
}
