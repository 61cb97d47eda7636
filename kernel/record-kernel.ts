/**
 * The dispatcher's inner loop, in AssemblyScript: compiled to `src/dispatcher/kernel/record-kernel.wasm` by
 * `npm run build:kernel`.
 *
 * It walks the records of one record batch, checks that each value is exactly one well-formed JSON value (RFC 8259,
 * valid UTF-8), and writes what a payload needs: values, offsets, timestamps and keys as text, and where everything
 * lies. `src/dispatcher/json-check.ts`, `src/protocol/record-cursor.ts` and `src/dispatcher/payload.ts` say the same in
 * TypeScript; they are the reference. Whatever is not plain (a malformed value, a corrupt record, a limit that is
 * reached, a key that is not UTF-8) ends the run in front of that record, and the reference decides what it is. So the
 * kernel never has to name an error, and a mistake here can only be one of taking what the reference would not:
 * `test/dispatcher/kernel.test.ts` compares the two on mutated bytes.
 *
 * Memory is fixed and never grows; the layout is below. The caller copies a window of records to `INPUT`. Reads may go
 * up to `SLACK` bytes beyond the window (what is there is not looked at), writes as far beyond what was written; each
 * region ends with that much room. All positions that come from the bytes are compared with the end of the record
 * before anything is read there.
 */

import {
  BACKSLASH,
  COMMA,
  FAILED,
  NULL_WORD,
  QUOTE,
  scanMultiByte,
  scanScalar,
  scanString,
  skipSpace,
  stringStops
} from './json-scan'

/** Bytes behind each region that a vector load or store may touch. */
const SLACK: i32 = 64
/** Most rows of one run. */
export const ROWS_MAX: i32 = 1024
/** Most bytes of one window: the largest record that Kafka takes by default, and its fields. */
export const INPUT_BYTES: i32 = 1_114_112

/** Numbers that go in and out, as float64: see `FIELD_…`. */
export const STATE: i32 = 1024
/** One byte for each level of nesting: 1 = an object, 0 = an array. */
const NESTING: i32 = 2048
/** Six int32 for each row: key start and end, value start and end, start of the headers, count of the headers. */
export const PLACES: i32 = 4096
/** One float64 for each row: distance of its offset from the table's base. */
export const DELTAS: i32 = PLACES + ROWS_MAX * 24
/** One float64 for each row: its timestamp. */
export const TIMES: i32 = DELTAS + ROWS_MAX * 8
/** Text of the offsets. At most 16 digits and a comma each. */
export const OFFSETS: i32 = TIMES + ROWS_MAX * 8
/** Text of the timestamps. */
export const TIMESTAMPS: i32 = OFFSETS + ROWS_MAX * 17 + SLACK
/** Records, as they came. */
export const INPUT: i32 = TIMESTAMPS + ROWS_MAX * 17 + SLACK
/** Text of the values: the window's bytes at most, or `null`, and a comma each. */
export const MESSAGES: i32 = INPUT + INPUT_BYTES + SLACK
/** Text of the keys: at worst each byte has a backslash. */
export const KEYS: i32 = MESSAGES + INPUT_BYTES + ROWS_MAX * 5 + SLACK
/** Where everything ends. */
export const MEMORY_BYTES: i32 = KEYS + 2 * INPUT_BYTES + ROWS_MAX * 5 + SLACK

// Fields of `STATE`, by index. In:
const FIELD_SOURCE_DELTA: i32 = 0 // position in the caller's buffer minus address in the window
const FIELD_DELTA_BASE: i32 = 1 // distance of the record batch from the table's base offset
const FIELD_DELTA_LAST: i32 = 2 // distance of the row before; offsets ascend (in and out)
const FIELD_OFFSET_BASE: i32 = 3 // the table's base offset
const FIELD_TIME_BASE: i32 = 4 // base timestamp, or the time of all records
const FIELD_IS_TIME_FIXED: i32 = 5 // 1 = the broker has set the time
const FIELD_BYTES_LEFT: i32 = 6 // bytes that the payload may still grow by
const FIELD_COLUMNS: i32 = 7 // 1 = offsets, 2 = timestamps, 4 = keys, 8 = headers
const FIELD_IS_FIRST: i32 = 8 // 1 = no row is in the payload yet
// Out: addresses behind what was written or read.
const FIELD_MESSAGES_END: i32 = 9
const FIELD_OFFSETS_END: i32 = 10
const FIELD_TIMESTAMPS_END: i32 = 11
const FIELD_KEYS_END: i32 = 12
const FIELD_NEXT: i32 = 13

const COLUMN_OFFSETS: i32 = 1
const COLUMN_TIMESTAMPS: i32 = 2
const COLUMN_KEYS: i32 = 4
const COLUMN_HEADERS: i32 = 8

const DEPTH_MAX: i32 = 512
const SAFE_MAX: f64 = 9007199254740991.0

function field(index: i32): f64 {
  return load<f64>(STATE + index * 8)
}

function setField(index: i32, value: f64): void {
  store<f64>(STATE + index * 8, value)
}

/** A name, its colon, and the white space around them. */
function scanName(p: usize, end: usize): usize {
  if (p >= end || load<u8>(p) != QUOTE) return FAILED
  p = scanString(p + 1, end)
  if (p == FAILED) return FAILED
  p = skipSpace(p, end)
  if (p >= end || load<u8>(p) != 0x3a) return FAILED
  return skipSpace(p + 1, end)
}

/** Whether the bytes are exactly one well-formed JSON value. */
export function isJsonValue(start: usize, end: usize): bool {
  let p = skipSpace(start, end)
  let depth: i32 = 0
  for (;;) {
    if (p >= end) return false
    const byte = load<u8>(p)
    if (byte == 0x7b || byte == 0x5b) {
      if (depth == DEPTH_MAX) return false
      store<u8>(NESTING + depth, byte == 0x7b ? 1 : 0)
      depth += 1
      p = skipSpace(p + 1, end)
      if (p >= end) return false
      // The closing bracket of an empty one is left to the code below.
      if (load<u8>(p) != byte + 2) {
        if (byte == 0x7b) p = scanName(p, end)
        if (p == FAILED) return false
        continue
      }
    } else {
      p = scanScalar(p, end)
      if (p == FAILED) return false
    }
    // Behind a value: closes what ends here, up to the comma in front of the next one.
    for (;;) {
      p = skipSpace(p, end)
      if (depth == 0) return p == end
      if (p >= end) return false
      const closing = load<u8>(p)
      const isObject = load<u8>(NESTING + depth - 1) == 1
      p += 1
      if (closing == COMMA) {
        p = skipSpace(p, end)
        if (isObject) p = scanName(p, end)
        if (p == FAILED) return false
        break
      }
      if (closing != (isObject ? <u8>0x7d : <u8>0x5d)) return false
      depth -= 1
    }
  }
  return false
}

/** Copies bytes; up to 15 more are written. */
function copy(to: usize, from: usize, count: usize): void {
  if (count > 2048) {
    memory.copy(to, from, count)
    return
  }
  for (let index: usize = 0; index < count; index += 16) v128.store(to + index, v128.load(from + index))
}

function digitCount(value: u32): i32 {
  if (value < 10_000) return value < 100 ? (value < 10 ? 1 : 2) : value < 1000 ? 3 : 4
  if (value < 100_000_000) return value < 1_000_000 ? (value < 100_000 ? 5 : 6) : value < 10_000_000 ? 7 : 8
  return value < 1_000_000_000 ? 9 : 10
}

/** Writes exactly `count` digits. */
function writeDigits(to: usize, value: u32, count: i32): usize {
  let p = to + count
  while (p > to + 1) {
    const rest = value / 100
    const pair = value - rest * 100
    const tens = pair / 10
    p -= 2
    store<u16>(p, <u16>(0x3030 + tens + ((pair - tens * 10) << 8)))
    value = rest
  }
  if (p > to) store<u8>(to, <u8>(0x30 + value))
  return to + count
}

/** Writes a whole number below 2^53 in decimal. */
function writeNumber(to: usize, value: u64): usize {
  if (value <= 0xffffffff) {
    const small = <u32>value
    return writeDigits(to, small, digitCount(small))
  }
  const high = value / 100_000_000
  // At most 90_071_992 for a number below 2^53.
  to = writeDigits(to, <u32>high, digitCount(<u32>high))
  return writeDigits(to, <u32>(value - high * 100_000_000), 8)
}

/** Writes UTF-8 bytes as a JSON string; `FAILED` for what needs more than a backslash. */
function writeString(to: usize, from: usize, end: usize): usize {
  store<u8>(to, QUOTE)
  to += 1
  while (from < end) {
    const chunk = v128.load(from)
    v128.store(to, chunk)
    const stops = stringStops(chunk)
    const left = end - from
    const plain: usize = stops == 0 ? 16 : ctz(stops)
    if (plain >= left) {
      to += left
      break
    }
    to += plain
    from += plain
    if (stops == 0) continue
    const byte = load<u8>(from)
    if (byte >= 0x80) {
      const next = scanMultiByte(from, end)
      if (next == FAILED) return FAILED
      store<u32>(to, load<u32>(from))
      to += next - from
      from = next
    } else if (byte == QUOTE || byte == BACKSLASH) {
      store<u8>(to, BACKSLASH)
      store<u8>(to + 1, byte)
      to += 2
      from += 1
    } else {
      return FAILED
    }
  }
  store<u8>(to, QUOTE)
  return to + 1
}

/** Where the last number that was read ends: a second result. Far away if it is too long. */
let after: usize = 0
const FAR: usize = 0x7fffffff

/** A zigzag varint of at most 5 bytes. */
function readVarint(p: usize): i32 {
  let byte: u32 = load<u8>(p)
  let value = byte & 0x7f
  p += 1
  for (let shift: u32 = 7; byte > 0x7f; shift += 7) {
    if (shift > 28) {
      after = FAR
      return 0
    }
    byte = load<u8>(p)
    value |= (byte & 0x7f) << shift
    p += 1
  }
  after = p
  return <i32>((value >>> 1) ^ -(value & 1))
}

/** A zigzag varlong of at most 8 bytes, more than any time in milliseconds has. */
function readVarlong(p: usize): i64 {
  let byte: u64 = load<u8>(p)
  let value = byte & 0x7f
  p += 1
  for (let shift: u64 = 7; byte > 0x7f; shift += 7) {
    if (shift > 49) {
      after = FAR
      return 0
    }
    byte = load<u8>(p)
    value |= (byte & 0x7f) << shift
    p += 1
  }
  after = p
  return <i64>((value >>> 1) ^ -(value & 1))
}

/** Whether the headers fill the rest of their record exactly. */
function areHeadersSound(p: usize, end: usize, count: i32): bool {
  while (count > 0) {
    const keyLength = readVarint(p)
    if (after > end || keyLength < 0 || <usize>keyLength > end - after) return false
    const valueLength = readVarint(after + keyLength)
    if (after > end) return false
    p = after
    if (valueLength > 0) {
      if (<usize>valueLength > end - p) return false
      p += valueLength
    }
    count -= 1
  }
  return p == end
}

// Fields of the record that was read last.
let timeDelta: f64 = 0
let offsetDelta: i32 = 0
let keyStart: usize = 0
let keyLength: i32 = 0
let valueStart: usize = 0
let valueLength: i32 = 0
let headersStart: usize = 0
let headerCount: i32 = 0

/** Reads the fields of a record behind its length; whether they fit it. */
function readRecord(start: usize, end: usize): bool {
  timeDelta = <f64>readVarlong(start + 1) // In front of it is a byte of attributes, unused.
  if (after >= end || abs(timeDelta) > SAFE_MAX) return false
  offsetDelta = readVarint(after)
  if (after >= end) return false
  keyLength = readVarint(after)
  keyStart = after
  if (after >= end || (keyLength > 0 && <usize>keyLength > end - after)) return false
  valueLength = readVarint(keyStart + max(keyLength, 0))
  valueStart = after
  if (after >= end || (valueLength > 0 && <usize>valueLength > end - after)) return false
  headerCount = readVarint(valueStart + max(valueLength, 0))
  headersStart = after
  if (after > end || headerCount < 0) return false
  return headerCount == 0 ? after == end : areHeadersSound(after, end, headerCount)
}

/** Notes where everything of a row lies. */
function placeRow(row: i32, sourceDelta: i32): void {
  const at = PLACES + row * 24
  const isKeyNull = keyLength < 0
  const isValueNull = valueLength < 0
  store<i32>(at, isKeyNull ? -1 : <i32>keyStart + sourceDelta)
  store<i32>(at, isKeyNull ? -1 : <i32>keyStart + keyLength + sourceDelta, 4)
  store<i32>(at, isValueNull ? -1 : <i32>valueStart + sourceDelta, 8)
  store<i32>(at, isValueNull ? -1 : <i32>valueStart + valueLength + sourceDelta, 12)
  store<i32>(at, <i32>headersStart + sourceDelta, 16)
  store<i32>(at, headerCount, 20)
}

/** Writes the value; `FAILED` if it is not one JSON value. */
function writeValue(to: usize): usize {
  if (valueLength < 0) {
    store<u32>(to, NULL_WORD)
    return to + 4
  }
  if (!isJsonValue(valueStart, valueStart + valueLength)) return FAILED
  copy(to, valueStart, valueLength)
  return to + valueLength
}

/** Writes the key; `FAILED` for one that the reference has to write. */
function writeKey(to: usize): usize {
  if (keyLength >= 0) return writeString(to, keyStart, keyStart + keyLength)
  store<u32>(to, NULL_WORD)
  return to + 4
}

/**
 * Takes records from the window at `INPUT` until `count` are taken, one is not plain, or the window ends.
 *
 * @returns How many rows were taken. `FIELD_NEXT` is the address of the record behind them.
 */
export function takeRun(windowBytes: i32, count: i32): i32 {
  const end: usize = INPUT + windowBytes
  const sourceDelta = <i32>field(FIELD_SOURCE_DELTA)
  const deltaBase = field(FIELD_DELTA_BASE)
  const offsetBase = field(FIELD_OFFSET_BASE)
  const timeBase = field(FIELD_TIME_BASE)
  const isTimeFixed = field(FIELD_IS_TIME_FIXED) != 0
  const bytesMax = <i32>min(field(FIELD_BYTES_LEFT), <f64>0x7fffffff)
  const columns = <i32>field(FIELD_COLUMNS)
  let deltaLast = field(FIELD_DELTA_LAST)
  let comma: usize = field(FIELD_IS_FIRST) != 0 ? 0 : 1
  let p: usize = INPUT
  let messages: usize = MESSAGES
  let offsets: usize = OFFSETS
  let timestamps: usize = TIMESTAMPS
  let keys: usize = KEYS
  let headersBytes: i32 = 0
  let row: i32 = 0
  for (; row < min(count, ROWS_MAX); row += 1) {
    const length = readVarint(p)
    const recordStart = after
    if (recordStart > end || length < 0 || <usize>length > end - recordStart) break
    const recordEnd = recordStart + length
    if (!readRecord(recordStart, recordEnd)) break
    const delta = deltaBase + <f64>offsetDelta
    const time = isTimeFixed ? timeBase : timeBase + timeDelta
    // Written so that what is no number at all ends the run as well.
    if (!(delta > deltaLast && offsetBase + delta <= SAFE_MAX && time >= 0 && time <= SAFE_MAX)) break
    if (headerCount > 0 && (columns & COLUMN_HEADERS) != 0) break

    store<u8>(messages, COMMA)
    const messagesEnd = writeValue(messages + comma)
    if (messagesEnd == FAILED) break
    store<u8>(offsets, COMMA)
    store<u8>(timestamps, COMMA)
    store<u8>(keys, COMMA)
    const hasOffsets = (columns & COLUMN_OFFSETS) != 0
    const offsetsEnd = hasOffsets ? writeNumber(offsets + comma, <u64>(offsetBase + delta)) : offsets
    const hasTimestamps = (columns & COLUMN_TIMESTAMPS) != 0
    const timestampsEnd = hasTimestamps ? writeNumber(timestamps + comma, <u64>time) : timestamps
    const keysEnd = (columns & COLUMN_KEYS) != 0 ? writeKey(keys + comma) : keys
    if (keysEnd == FAILED) break
    const headersBytesNext = (columns & COLUMN_HEADERS) != 0 ? headersBytes + 2 + <i32>comma : 0
    const bytes = messagesEnd - MESSAGES + (offsetsEnd - OFFSETS) + (timestampsEnd - TIMESTAMPS) + (keysEnd - KEYS)
    if (<i32>bytes + headersBytesNext > bytesMax) break

    placeRow(row, sourceDelta)
    store<f64>(DELTAS + row * 8, delta)
    store<f64>(TIMES + row * 8, time)
    messages = messagesEnd
    offsets = offsetsEnd
    timestamps = timestampsEnd
    keys = keysEnd
    headersBytes = headersBytesNext
    deltaLast = delta
    comma = 1
    p = recordEnd
  }
  setField(FIELD_DELTA_LAST, deltaLast)
  setField(FIELD_MESSAGES_END, <f64>messages)
  setField(FIELD_OFFSETS_END, <f64>offsets)
  setField(FIELD_TIMESTAMPS_END, <f64>timestamps)
  setField(FIELD_KEYS_END, <f64>keys)
  setField(FIELD_NEXT, <f64>p)
  return row
}
