/**
 * The traces that the records of a batch belong to, as far as they are sampled.
 *
 * Walks the headers of every record that has any, in place: no object is made for a record that is in no sampled trace.
 * Records that were published together have the same context, which counts once. Limits: 128 links, and 16 KiB of
 * `tracestate` for all of them: a link whose state would be too much goes without.
 */

import { readTraceContext, type TraceContext } from '../telemetry/index.ts'
import { HeaderCursor, type HeaderSpan, type RecordTable } from './record-table.ts'

/** Most traces that a batch is linked to. Source: OpenTelemetry, "Span limits", LinkCountLimit. */
const LINKS_MAX = 128
/** Most bytes of `tracestate` headers of a batch that are read: what is in links waits in queues for a collector. */
const STATE_BYTES_MAX = 16_384
/** Most different contexts that are told apart; what comes behind them counts as left out. */
const DIFFERENT_MAX = 1024

const PARENT = Buffer.from('traceparent')
const STATE = Buffer.from('tracestate')
const PARENT_BYTES = 55
/** Index of the digit with the flag "sampled". */
const FLAG = 54
const T = 0x74
/** From here on a length has more than one byte. Source: Kafka documentation, "Record Header": zigzag varints. */
const LONG = 0x80
const PARENT_KEY_BYTE = 2 * PARENT.length
const PARENT_VALUE_BYTE = 2 * PARENT_BYTES

/** Traces of a batch. */
export interface TraceLinks {
  readonly links: readonly TraceContext[]
  /** Contexts beyond those. */
  readonly leftOut: number
  /** Records that are in a sampled trace. */
  readonly recordCount: number
}

const NOTHING = Buffer.alloc(0)
const NONE: TraceLinks = { links: [], leftOut: 0, recordCount: 0 }

const cursor = new HeaderCursor()
const span: HeaderSpan = { buffer: cursor.buffer, start: 0, count: 0 }

/** Finds the sampled traces of a batch. */
export function traceLinksOf(table: RecordTable): TraceLinks {
  let found: Map<string, TraceContext | undefined> | undefined
  let recordCount = 0
  let leftOut = 0
  let stateBytes = STATE_BYTES_MAX
  let last = NOTHING
  for (let row = 0; row < table.count; row += 1) {
    if (!table.readHeaderSpan(row, span)) continue
    const start = sampledParentAt(span)
    if (start < 0) continue
    recordCount += 1
    // Records that were published together have the same.
    if (last.length > 0 && isText(span.buffer, start, last)) continue
    const text = span.buffer.toString('latin1', start, start + PARENT_BYTES)
    last = Buffer.from(text, 'latin1')
    found ??= new Map()
    if (found.has(text)) continue
    if (found.size >= DIFFERENT_MAX) {
      leftOut += 1
      continue
    }
    if (found.size >= LINKS_MAX) {
      found.set(text, undefined)
      continue
    }
    const state = stateOf(table, row, stateBytes)
    stateBytes -= state?.length ?? 0
    found.set(text, readTraceContext(text, state))
  }
  if (found === undefined) return NONE
  const links = [...found.values()].filter(each => each !== undefined)
  return { links, leftOut: leftOut + Math.max(0, found.size - LINKS_MAX), recordCount }
}

/**
 * Where the `traceparent` of a record begins, if it says that the trace is sampled; otherwise -1.
 *
 * Asked for each record with headers of each batch, so it reads the lengths itself: all of them are one byte unless a
 * header is long, and then the cursor takes over.
 */
function sampledParentAt({ buffer, start, count }: HeaderSpan): number {
  let position = start
  for (let left = count; left > 0; left -= 1) {
    const keyByte = buffer[position] ?? LONG
    if (keyByte >= LONG) return sampledParentBehind(buffer, position, left)
    const key = position + 1
    position = key + (keyByte >> 1)
    const valueByte = buffer[position] ?? LONG
    if (keyByte === PARENT_KEY_BYTE && buffer[key] === T && isText(buffer, key, PARENT)) {
      return valueByte === PARENT_VALUE_BYTE && isOdd(buffer[position + 1 + FLAG] ?? 0)
        ? position + 1
        : sampledParentBehind(buffer, key - 1, 1)
    }
    if (valueByte >= LONG) return sampledParentBehind(buffer, key - 1, left)
    // An odd length is negative: null.
    position += 1 + ((valueByte & 1) === 0 ? valueByte >> 1 : 0)
  }
  return -1
}

/** The same from a header on that is not as usual. */
function sampledParentBehind(buffer: Buffer, position: number, left: number): number {
  cursor.reset(buffer, position, left)
  while (cursor.next()) {
    if (!isNamed(cursor, PARENT)) continue
    const { valueStart, valueEnd } = cursor
    // Later versions may be longer; what is wrong otherwise is found when it is read.
    if (valueStart < 0 || valueEnd - valueStart < PARENT_BYTES) return -1
    return isOdd(buffer[valueStart + FLAG] ?? 0) ? valueStart : -1
  }
  return -1
}

/** Byte by byte: a call into the engine would cost more than so few. */
function isText(buffer: Buffer, start: number, text: Buffer): boolean {
  for (let index = text.length - 1; index >= 0; index -= 1) if (buffer[start + index] !== text[index]) return false
  return true
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

/** The `tracestate` of a record, if it has at most so many bytes. */
function stateOf(table: RecordTable, row: number, bytesMax: number): string | undefined {
  table.openHeaders(row, cursor)
  while (cursor.next()) {
    const { buffer, valueStart, valueEnd } = cursor
    if (valueStart < 0 || !isNamed(cursor, STATE)) continue
    return valueEnd - valueStart > bytesMax ? undefined : buffer.toString('latin1', valueStart, valueEnd)
  }
  return undefined
}
