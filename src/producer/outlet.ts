/**
 * Where resolved records go: into Kafka, or, in other outlets, to disk until
 * Kafka is back, or into a transaction. Whoever hands over records (intake and
 * dead letters) knows only this.
 */

import type { Appender, AppendRecord, DeliveryListener, RecordRows, RowPlace } from '../client/index.ts'

export type { RecordRows, RowPlace } from '../client/index.ts'

/**
 * What an outlet does with records: `up` = they go to Kafka; `away` = Kafka does
 * not answer and they are refused; `spilling` = they go to disk; `replaying` =
 * Kafka is back and what is on disk goes there first.
 */
export type OutletState = 'up' | 'away' | 'spilling' | 'replaying'

/** Told what became of records that an outlet took. */
export interface OutletListener extends DeliveryListener {
  /**
   * Records are safe on this machine's disk: that is their verdict, nothing more follows for them.
   *
   * @param recordCount - How many.
   * @param rows - Their numbers among the listener's rows, where they are known.
   */
  spilled?(recordCount: number, rows?: readonly number[]): void
}

/** How fast records leave the spill. */
export interface SpillPace {
  /** Called when a record that was held back may go. */
  onReady: () => void
  /** Whether a record may go now; if so, it has paid. */
  mayPass(record: AppendRecord): boolean
  /** A record goes in any case. */
  charge(record: AppendRecord): void
}

/** Takes records. */
export interface Outlet {
  /** Bytes taken that have no verdict yet. */
  readonly bufferedBytes: number
  readonly state: OutletState
  /**
   * Takes a record. Its buffers must not be changed before its verdict.
   *
   * @returns `false` if there is no room: await `room()`, then try again.
   * @throws PipelineError `ERR_CLIENT_CLOSED`.
   */
  append(record: AppendRecord, listener: OutletListener): boolean
  /**
   * The same for a value that is a row of `rows`, without an object per record. `place` is read before the call
   * returns; `rows` must not be changed before the last verdict of its rows.
   */
  appendRow(place: RowPlace, rows: RecordRows, row: number, listener: OutletListener): boolean
  /** As `appendRow`, but to disk whatever Kafka does: what came faster than its rate. Only in outlets with a disk. */
  divert?(place: RowPlace, rows: RecordRows, row: number, listener: OutletListener): boolean
  /** How fast diverted records go on to Kafka. Only in outlets with `divert`. */
  setPace?(pace: SpillPace): void
  /** Resolves when there is room again, or the outlet is closed. */
  room(): Promise<void>
  /** Resolves when everything taken so far has its verdict. */
  flush(): Promise<void>
  /**
   * Flushes for at most that long, fails the rest, then ends. Idempotent.
   *
   * @param deadlineMs - In milliseconds. Default: the delivery timeout.
   */
  close(deadlineMs?: number): Promise<void>
}

/** The straight way: everything goes to an appender, however long Kafka is away. */
export class AppenderOutlet implements Outlet {
  readonly state = 'up'
  readonly #appender: Appender

  constructor(appender: Appender) {
    this.#appender = appender
  }

  get bufferedBytes(): number {
    return this.#appender.bufferedBytes
  }

  append(record: AppendRecord, listener: OutletListener): boolean {
    return this.#appender.append(record, listener)
  }

  // oxlint-disable-next-line max-params -- hot path: no object per record
  appendRow(place: RowPlace, rows: RecordRows, row: number, listener: OutletListener): boolean {
    return this.#appender.appendRow(place, rows, row, listener)
  }

  room(): Promise<void> {
    return this.#appender.room()
  }

  flush(): Promise<void> {
    return this.#appender.flush()
  }

  close(deadlineMs?: number): Promise<void> {
    return this.#appender.close(deadlineMs)
  }
}
