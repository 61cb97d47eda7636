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
import type { Intake, Submission, SubmitOptions } from '../intake.ts'
import { positionRecord } from './ingest-state.ts'
import type { TransactionOutlet } from './transaction-outlet.ts'

/** What a transactional intake is made of. */
export interface TransactionalIntakeOptions {
  readonly intake: Intake & { lettersHandedOver(): Promise<void> }
  readonly outlet: TransactionOutlet
  readonly settings: TransactionSettings
  /** Most bytes of a transaction; it ends behind the chunk that reaches it. */
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
    this.#last = running
    return running
  }

  async #submit(chunk: EventChunk, options: SubmitOptions): Promise<Submission> {
    const { intake, outlet, settings, bytesMax, clock } = this.#options
    if (!this.#isStopped) this.#timer ??= clock.after(settings.ageMs, () => void this.commit())
    const submission = await intake.submit(chunk, options)
    if (options.position !== undefined) this.#positions.set(options.position.key, options.position.state)
    if (outlet.recordCount >= settings.recordsMax || outlet.bufferedBytes >= bytesMax) void this.commit()
    return submission
  }

  async #commit(): Promise<void> {
    const { intake, outlet, settings } = this.#options
    this.#timer?.cancel()
    this.#timer = undefined
    const positions: AppendRecord[] = [...this.#positions].map(([key, state]) => positionRecord(settings, key, state()))
    this.#positions.clear()
    if (outlet.recordCount === 0) return
    await outlet.commit({ positions, lettersHandedOver: () => intake.lettersHandedOver() })
  }
}
