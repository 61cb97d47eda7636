/**
 * The traces that the records of a batch belong to, as far as they are sampled.
 *
 * Walks the headers of every record that has any, in place: no object is made for a record that is in no sampled trace.
 * Records that were published together have the same context, which counts once.
 */

import { readTraceContext, type TraceContext } from '../telemetry/index.ts'
import { HeaderCursor, type RecordTable } from './record-table.ts'

/** Most traces that a batch is linked to. Source: OpenTelemetry, "Span limits", LinkCountLimit. */
const LINKS_MAX = 128
/** Most different contexts that are told apart; what comes behind them counts as left out. */
const DIFFERENT_MAX = 1024

const PARENT = Buffer.from('traceparent')
const STATE = Buffer.from('tracestate')
const PARENT_BYTES = 55
/** Index of the digit with the flag "sampled". */
const FLAG = 54
const T = 0x74

/** Traces of a batch. */
export interface TraceLinks {
  readonly links: readonly TraceContext[]
  /** Contexts beyond those. */
  readonly leftOut: number
  /** Records that are in a sampled trace. */
  readonly recordCount: number
}

const NONE: TraceLinks = { links: [], leftOut: 0, recordCount: 0 }

const cursor = new HeaderCursor()

/** Finds the sampled traces of a batch. */
export function traceLinksOf(table: RecordTable): TraceLinks {
  let found: Map<string, TraceContext | undefined> | undefined
  let recordCount = 0
  let leftOut = 0
  let last = ''
  for (let row = 0; row < table.count; row += 1) {
    if (!table.hasHeaders(row)) continue
    table.openHeaders(row, cursor)
    const start = sampledParentAt(cursor)
    if (start < 0) continue
    recordCount += 1
    const text = cursor.buffer.toString('latin1', start, start + PARENT_BYTES)
    if (text === last) continue
    last = text
    found ??= new Map()
    if (found.has(text)) continue
    if (found.size >= DIFFERENT_MAX) {
      leftOut += 1
      continue
    }
    found.set(text, found.size < LINKS_MAX ? readTraceContext(text, stateOf(table, row)) : undefined)
  }
  if (found === undefined) return NONE
  const links = [...found.values()].filter(each => each !== undefined)
  return { links, leftOut: leftOut + Math.max(0, found.size - LINKS_MAX), recordCount }
}

/** Where the `traceparent` of a record begins, if it says that the trace is sampled; otherwise -1. */
function sampledParentAt(headers: HeaderCursor): number {
  const { buffer } = headers
  while (headers.next()) {
    if (!isNamed(headers, PARENT)) continue
    const { valueStart, valueEnd } = headers
    // Later versions may be longer; what is wrong otherwise is found when it is read.
    if (valueStart < 0 || valueEnd - valueStart < PARENT_BYTES) return -1
    return isOdd(buffer[valueStart + FLAG] ?? 0) ? valueStart : -1
  }
  return -1
}

/** Whether a hexadecimal digit has its lowest bit set. */
function isOdd(digit: number): boolean {
  // '0' is even and 'a', which stands for ten, is odd.
  return digit < 0x3a ? (digit & 1) === 1 : (digit & 1) === 0
}

function isNamed({ buffer, keyStart, keyEnd }: HeaderCursor, name: Buffer): boolean {
  if (keyEnd - keyStart !== name.length || buffer[keyStart] !== T) return false
  return buffer.compare(name, 0, name.length, keyStart, keyEnd) === 0
}

function stateOf(table: RecordTable, row: number): string | undefined {
  table.openHeaders(row, cursor)
  while (cursor.next()) {
    const { buffer, valueStart, valueEnd } = cursor
    if (valueStart >= 0 && isNamed(cursor, STATE)) return buffer.toString('latin1', valueStart, valueEnd)
  }
  return undefined
}
