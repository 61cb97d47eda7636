/**
 * How far a spill is in Kafka: the checkpoint may go to the first record without
 * an acknowledgement, and no further. Pure: no I/O, no clock.
 *
 * Records are acknowledged per partition, so out of their order in the log. A
 * unit is a stretch of numbers that counts as a whole: a group that was read, or
 * the copies of what the appender held when Kafka went away.
 */

import { invariant } from '../../core/index.ts'

/** A stretch of numbers up to `endNumber`. */
export interface RetirementUnit {
  /** The number behind its last record. */
  endNumber: number
  /** Records without an outcome. */
  openCount: number
}

/** Follows units in the order of their numbers. */
export class Retirement {
  #units: RetirementUnit[] = []
  #retirable: number

  /** @param number - First record that is not retired. */
  constructor(number: number) {
    this.#retirable = number
  }

  /** The number that the checkpoint may go to. */
  get retirable(): number {
    return this.#retirable
  }

  /** The number behind the last unit. */
  get openedTo(): number {
    return this.#units.at(-1)?.endNumber ?? this.#retirable
  }

  /** Records that were opened and have no outcome. */
  get openCount(): number {
    return this.#units.reduce((sum, unit) => sum + unit.openCount, 0)
  }

  /** Begins a unit behind all others. */
  open(endNumber: number, recordCount: number): RetirementUnit {
    invariant(endNumber >= this.openedTo, 'units are opened in order')
    const unit = { endNumber, openCount: recordCount }
    this.#units.push(unit)
    this.#advance()
    return unit
  }

  /** Records of a unit have their outcome. */
  settle(unit: RetirementUnit, recordCount: number): void {
    invariant(unit.openCount >= recordCount, 'a record has one outcome')
    unit.openCount -= recordCount
    if (unit.openCount === 0) this.#advance()
  }

  /** A unit ends before that number after all, and nothing of it is waited for. */
  abandon(unit: RetirementUnit, endNumber: number): void {
    unit.endNumber = Math.min(unit.endNumber, endNumber)
    unit.openCount = 0
    this.#advance()
  }

  #advance(): void {
    const openAt = this.#units.findIndex(unit => unit.openCount > 0)
    const finished = this.#units.splice(0, openAt < 0 ? this.#units.length : openAt)
    this.#retirable = Math.max(this.#retirable, finished.at(-1)?.endNumber ?? 0)
  }
}
