/**
 * What a handler throws to say what is to become of a record.
 *
 * They are told apart by a registered symbol and not by their class, so that they are understood across two copies of
 * the package in one process.
 *
 * - `RetryRecord`. Comporta's payload: it comes again after `retryAfterMs`, and it counts as an attempt unless
 *   `unavailable`. AWS's event: the partition resumes at it, without a delay.
 * - `DeadLetterRecord`. Comporta's payload: it goes to the dead letter topic, its neighbours go on. AWS's event: the
 *   option `deadLetter` takes it, else the partition resumes at it.
 * - `SkipRecord`. It counts as done; the dispatcher counts it as skipped.
 */

const brand: unique symbol = Symbol.for('comporta.record-outcome') as never

/** Why a record is not simply done. */
export abstract class RecordOutcome extends Error {
  /** What is to become of the record. */
  abstract readonly action: 'retry' | 'deadLetter' | 'skip'
  readonly [brand]: true = true

  /** Whether a thrown value is one, of any copy of the package. */
  static is(value: unknown): value is RecordOutcome {
    return typeof value === 'object' && value !== null && brand in value
  }
}

/** What can be said of a retry. */
export interface RetryRecordOptions extends ErrorOptions {
  /** Milliseconds before which the record need not come again. At least 0. AWS's answer has no words for it. */
  readonly retryAfterMs?: number
  /**
   * Something else is at fault, a database that is down for example: the record is not charged with an attempt, and
   * waits for as long as it takes. Default false.
   */
  readonly unavailable?: boolean
}

/** The record must come again. So must all later ones of its partition or key, which are not handled. */
export class RetryRecord extends RecordOutcome {
  override readonly name = 'RetryRecord'
  readonly action = 'retry'
  readonly retryAfterMs: number | undefined
  readonly isUnavailable: boolean

  /** @param reason - Why, for logs and headers of retry topics: no secrets, no payloads. */
  constructor(reason: string, options: RetryRecordOptions = {}) {
    super(reason, options)
    this.retryAfterMs = options.retryAfterMs
    this.isUnavailable = options.unavailable ?? false
  }
}

/** The record can never be handled. */
export class DeadLetterRecord extends RecordOutcome {
  override readonly name = 'DeadLetterRecord'
  readonly action = 'deadLetter'

  /** @param reason - Why, for logs and the header of the dead letter: no secrets, no payloads. */
  constructor(reason: string, options: ErrorOptions = {}) {
    super(reason, options)
  }
}

/** The record needs no handling. */
export class SkipRecord extends RecordOutcome {
  override readonly name = 'SkipRecord'
  readonly action = 'skip'

  /** @param reason - Why, for logs and counters. */
  constructor(reason: string, options: ErrorOptions = {}) {
    super(reason, options)
  }
}
