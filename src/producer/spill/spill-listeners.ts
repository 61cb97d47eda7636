/**
 * Who hears from the appender what became of records, where an outlet can spill.
 *
 * The appender knows only these listeners. They pass on what is news to whoever
 * handed the record over, and keep to themselves what is not: a record that was
 * called safe on disk has had its verdict.
 */

import type { AppendRecord, DeliveredBatch, DeliveryListener } from '../../client/index.ts'
import type { PipelineError } from '../../core/index.ts'
import type { OutletListener } from '../outlet.ts'
import type { RetirementUnit } from './retirement.ts'

/** What listeners tell their outlet. */
export interface SpillHost {
  /** Kafka has acknowledged records. */
  acknowledged(): void
  /** Records of a unit are in Kafka or have another final outcome. */
  settle(unit: RetirementUnit, recordCount: number): void
  /** Records that are safe on disk were given up by the appender; the unit waits for their outcome. */
  refused(error: PipelineError, records: readonly AppendRecord[], unit: RetirementUnit): void
  /** A listener has nothing in the appender any more. */
  forget(listener: DirectListener): void
}

/**
 * Where the records of a listener are: in the appender only; being copied to
 * disk; safe on disk; or given up because neither Kafka nor the disk took them.
 */
export type DirectState = 'direct' | 'copying' | 'spilled' | 'givenUp'

/** Records that were handed over by one listener and went straight to the appender. */
export class DirectListener implements DeliveryListener {
  readonly inner: OutletListener
  state: DirectState = 'direct'
  /** The copies on disk, from `copying` on. */
  unit: RetirementUnit | undefined
  /** Records in the appender. */
  openCount = 0
  readonly #host: SpillHost

  constructor(inner: OutletListener, host: SpillHost) {
    this.inner = inner
    this.#host = host
  }

  delivered(batch: DeliveredBatch): void {
    this.#close(batch.recordCount)
    this.#host.acknowledged()
    if (this.state === 'direct' || this.state === 'copying') this.inner.delivered(batch)
  }

  failed(error: PipelineError, records: AppendRecord[]): void {
    if (this.state === 'spilled' && this.unit !== undefined) {
      // They stay in the unit: its outcome is their outcome.
      this.openCount -= records.length
      this.#host.refused(error, records, this.unit)
      return
    }
    this.#close(records.length)
    if (this.state !== 'givenUp') this.inner.failed(error, records)
  }

  /** The copies are safe: whoever handed the records over hears it of those without a verdict. */
  safe(): void {
    if (this.state !== 'copying') return
    this.state = 'spilled'
    if (this.openCount > 0) this.inner.spilled?.(this.openCount)
  }

  #close(recordCount: number): void {
    this.openCount -= recordCount
    if (this.unit !== undefined && this.unit.openCount > 0) this.#host.settle(this.unit, recordCount)
    if (this.openCount === 0) this.#host.forget(this)
  }
}

/** Records that were read from disk. */
export class ReplayListener implements DeliveryListener {
  readonly #unit: RetirementUnit
  readonly #host: SpillHost

  constructor(unit: RetirementUnit, host: SpillHost) {
    this.#unit = unit
    this.#host = host
  }

  delivered(batch: DeliveredBatch): void {
    this.#host.settle(this.#unit, batch.recordCount)
    this.#host.acknowledged()
  }

  failed(error: PipelineError, records: AppendRecord[]): void {
    this.#host.refused(error, records, this.#unit)
  }
}
