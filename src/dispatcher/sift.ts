/** What is asked of each row before it goes into a batch, put together. */

import type { RowSift, SiftVerdict } from './lane-surroundings.ts'
import type { RecordTable } from './record-table.ts'
import type { RecordFilter } from './record-filter.ts'

/** One sift of several, asked in turn; the first that does not say `deliver` decides. `undefined` if there is none. */
export function joinSifts(parts: readonly (RowSift | undefined)[]): RowSift | undefined {
  const sifts = parts.filter(part => part !== undefined)
  if (sifts.length < 2) return sifts[0]
  return {
    sift(table: RecordTable, row: number): SiftVerdict {
      for (const part of sifts) {
        const verdict = part.sift(table, row)
        if (verdict !== 'deliver') return verdict
      }
      return 'deliver'
    }
  }
}

/** Drops what no filter wants. */
export function filterSift(filter: RecordFilter): RowSift {
  return { sift: (table, row) => (filter.passes(table, row) ? 'deliver' : 'drop') }
}

/** Drops what lies at or behind an offset: the end of a replay. */
export function endSift(end: bigint): RowSift {
  return { sift: (table, row) => (table.offset(row) < end ? 'deliver' : 'drop') }
}
