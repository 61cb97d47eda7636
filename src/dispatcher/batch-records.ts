/** Rows of a table as a target sees them that takes records. */

import type { AppendHeader } from '../client/index.ts'
import type { BatchRecords } from '../targets/index.ts'
import type { RecordTable } from './record-table.ts'

/** Some rows of a table, by their index among themselves. */
export class TableRecords implements BatchRecords {
  readonly #table: RecordTable
  readonly #rows: readonly number[]

  constructor(table: RecordTable, rows: readonly number[]) {
    this.#table = table
    this.#rows = rows
  }

  get count(): number {
    return this.#rows.length
  }

  offset(index: number): bigint {
    return this.#table.offset(this.#row(index))
  }

  timestampMs(index: number): number {
    return this.#table.timestampMs(this.#row(index))
  }

  key(index: number): Buffer | null {
    return this.#table.key(this.#row(index))
  }

  value(index: number): Buffer | null {
    return this.#table.value(this.#row(index))
  }

  headers(index: number): AppendHeader[] {
    return this.#table.headers(this.#row(index))
  }

  #row(index: number): number {
    const row = this.#rows[index]
    if (row === undefined) throw new RangeError(`no record ${index} of ${this.#rows.length}`)
    return row
  }
}
