/** Stands in for a payload where the target takes records as they are: it only adds up what they weigh. */

import type { AppendVerdict, PayloadEncoder, PayloadLimits } from './payload.ts'
import type { RecordTable } from './record-table.ts'

const NOTHING = Buffer.alloc(0)
/** Bytes that a record takes beside its key and value, at most: a guess. */
const RECORD_OVERHEAD_BYTES = 32

/** Counts rows and bytes; any bytes are accepted, and the first record of a batch whatever its size. */
export class RecordsEncoder implements PayloadEncoder {
  readonly contentType = 'application/octet-stream'
  readonly capacity = 0
  readonly #limits: PayloadLimits
  #rowCount = 0
  #bytes = 0

  constructor(limits: PayloadLimits) {
    this.#limits = limits
  }

  get rowCount(): number {
    return this.#rowCount
  }

  begin(): void {
    this.#rowCount = 0
    this.#bytes = 0
  }

  append(table: RecordTable, row: number, before = false): AppendVerdict {
    const bytes = recordBytes(table, row)
    if (!before && this.#rowCount > 0 && this.#bytes + bytes > this.#limits.bytesMax) return 'full'
    this.#rowCount += 1
    this.#bytes += bytes
    return 'added'
  }

  finish(): Buffer {
    return NOTHING
  }
}

/** What a record weighs. */
export function recordBytes(table: RecordTable, row: number): number {
  const keyBytes = table.keyEnd(row) - table.keyStart(row)
  const valueBytes = table.valueEnd(row) - table.valueStart(row)
  return keyBytes + valueBytes + RECORD_OVERHEAD_BYTES
}
