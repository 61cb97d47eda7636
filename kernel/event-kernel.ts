/**
 * The producer's inner loop, in AssemblyScript: compiled to `src/producer/kernel/event-kernel.wasm` by
 * `npm run build:kernel`.
 *
 * It reads events of a chunk: checks that each is exactly one well-formed JSON object (RFC 8259, valid UTF-8), and
 * finds the text of the few fields that router, key, headers and validation read. Texts repeat from event to event, so
 * each gets a number from a dictionary: the caller makes a string only of a text that is new.
 *
 * `JSON.parse` and `src/producer/field-reader.ts` are the reference. What is not plain (malformed, longer than allowed,
 * nested deep, a name with an escape where a name matters) is left to them, so the kernel names no error, and a mistake
 * here can only be one of taking what they would not: `test/producer/event-kernel.test.ts` compares them on mutated
 * bytes.
 *
 * Of two members with one name the last one counts: a member that is met again forgets what the first one said, with
 * all that was below it.
 *
 * Memory is fixed and never grows; the layout is below. The caller copies a window of events to `INPUT`. Reads may go
 * up to `SLACK` bytes beyond a region; each ends with that much room.
 */

import { COMMA, escapeCount, FAILED, QUOTE, scanScalar, scanString, skipSpace } from './json-scan'

const SLACK: i32 = 64
/** Most events of one run. */
export const ROWS_MAX: i32 = 512
/** Most bytes of one window; a longer event is left to the reference. */
export const INPUT_BYTES: i32 = 1_048_576
/** Most names in all fields together, the root included. */
export const NODES_MAX: i32 = 128
/** Most bytes of all names. */
export const NAMES_BYTES: i32 = 8192
/** Most fields. */
export const FIELDS_MAX: i32 = 64
/** Most texts that have a number. */
export const TEXTS_MAX: i32 = 16_384
/** Longest text that gets a number, in bytes. */
export const TEXT_BYTES: i32 = 48
/** References of all fields of a run: rows times fields. */
export const REFERENCES_MAX: i32 = 8192

/** Kind of each level of nesting: 1 = an object, 0 = an array. */
const NESTING: i32 = 1024
/** Node of each level: 0 = nothing below it is asked for. */
const LEVEL_NODES: i32 = NESTING + 512
/** Each node, as int32: first child, next sibling, field or -1, address and length of its name; 64 bits of fields. */
export const NODES: i32 = LEVEL_NODES + 512
const NODE_BYTES: i32 = 32
/** The names, one behind the other. */
export const NAMES: i32 = NODES + NODES_MAX * NODE_BYTES
/** Start and end of each event, as positions in the caller's buffer: two uint32. */
export const SPANS: i32 = NAMES + NAMES_BYTES + SLACK
/** One byte for each event: 1 = plain. */
export const STATUS: i32 = SPANS + ROWS_MAX * 8
/** Three int32 for each field of each event: reference, start and end of the text in the caller's buffer. */
export const REFERENCES: i32 = STATUS + ROWS_MAX
/** Hash table: numbers of texts, 0 = free. */
const SLOTS: i32 = REFERENCES + REFERENCES_MAX * 12
const SLOT_BITS: i32 = 16
const SLOT_COUNT: i32 = 1 << SLOT_BITS
/** 64 bytes for each text: hash, length with the kind above it, the bytes. */
export const TEXTS: i32 = SLOTS + SLOT_COUNT * 2
const ENTRY_BYTES: i32 = 64
const ENTRY_TEXT: i32 = 8
/** Events, as they came. */
export const INPUT: i32 = TEXTS + TEXTS_MAX * ENTRY_BYTES + SLACK
/** Where everything ends. */
export const MEMORY_BYTES: i32 = INPUT + INPUT_BYTES + SLACK

// References that are no number of a text. The numbers begin at `TEXTS_FIRST`.
const ABSENT: i32 = 0
const TRUE: i32 = 1
const FALSE: i32 = 2
export const TEXTS_FIRST: i32 = 3
const STRING: i32 = -1
const ESCAPED_STRING: i32 = -2
const NUMBER: i32 = -3

const DEPTH_MAX: i32 = 512
const ROOT: i32 = 1
/** A text that finds no place in so many steps gets no number: nobody can make a search long. */
const PROBES_MAX: i32 = 8

/** How many numbers are given out. */
let textCount: i32 = TEXTS_FIRST
/** Whether a text found no place: the caller forgets all of them before the next run. */
let isCrowded: i32 = 0
let seed: u64 = 0
/** Position in the caller's buffer minus address in the window. */
let sourceDelta: i32 = 0

/** Forgets all texts. Numbers begin anew. */
export function forgetTexts(seedLow: i32, seedHigh: i32): void {
  memory.fill(SLOTS, 0, SLOT_COUNT * 2)
  textCount = TEXTS_FIRST
  isCrowded = 0
  seed = ((<u64>(<u32>seedHigh)) << 32) | (<u64>(<u32>seedLow))
}

/** The first number that is not given out. */
export function nextText(): i32 {
  return textCount
}

/** Whether texts have found no place. */
export function crowded(): i32 {
  return isCrowded
}

function masked(word: u64, count: i32): u64 {
  return count >= 8 ? word : word & (((<u64>1) << (<u64>count * 8)) - 1)
}

/** The upper bits depend on all bytes. A product carries upwards only: the lower ones do not see the last bytes. */
function hashOf(from: usize, length: i32, kind: i32): u64 {
  let hash = seed ^ (<u64>(length | (kind << 8)) * 0x9e3779b97f4a7c15)
  for (let at = 0; at < length; at += 8) {
    hash = (hash ^ masked(load<u64>(from + at), length - at)) * 0xff51afd7ed558ccd
    hash ^= hash >>> 32
  }
  return hash * 0xc4ceb9fe1a85ec53
}

/** Whether two texts are the same; reads up to 15 bytes beyond both. */
function areEqual(left: usize, right: usize, length: i32): bool {
  for (let at = 0; at < length; at += 16) {
    const same = i8x16.bitmask(i8x16.eq(v128.load(left + at), v128.load(right + at)))
    const rest = length - at
    const wanted = rest >= 16 ? 0xffff : (1 << rest) - 1
    if ((same & wanted) != wanted) return false
  }
  return true
}

/** The number of a text; 0 if it gets none. Kind 0 = a string, 1 = a number. */
function textOf(from: usize, length: i32, kind: i32): i32 {
  if (length > TEXT_BYTES) return 0
  const hash = hashOf(from, length, kind)
  const lengthAndKind = length | (kind << 8)
  let slot = <i32>(hash >>> (64 - SLOT_BITS))
  for (let probe = 0; probe < PROBES_MAX; probe += 1) {
    const at = SLOTS + slot * 2
    const text = <i32>load<u16>(at)
    if (text == 0) {
      if (textCount == TEXTS_MAX) break
      const entry = TEXTS + textCount * ENTRY_BYTES
      store<u32>(entry, <u32>(hash >>> 16))
      store<i32>(entry, lengthAndKind, 4)
      for (let copied = 0; copied < length; copied += 16) {
        v128.store(entry + ENTRY_TEXT + copied, v128.load(from + copied))
      }
      store<u16>(at, <u16>textCount)
      textCount += 1
      return textCount - 1
    }
    const entry = TEXTS + text * ENTRY_BYTES
    if (
      load<u32>(entry) == <u32>(hash >>> 16) &&
      load<i32>(entry, 4) == lengthAndKind &&
      areEqual(entry + ENTRY_TEXT, from, length)
    ) {
      return text
    }
    slot = (slot + 1) & (SLOT_COUNT - 1)
  }
  isCrowded = 1
  return 0
}

/** Address of the field references of the event that is read. */
let references: usize = 0
/** What the name that was read last means: a second result. */
let named: i32 = 0

/** Forgets what fields below a node were said to be. */
function forgetBelow(node: i32): void {
  let fields = load<u64>(NODES + node * NODE_BYTES, 24)
  while (fields != 0) {
    store<i32>(references + <usize>ctz(fields) * 12, ABSENT)
    fields &= fields - 1
  }
}

/** A name, its colon, and the white space around them; `named` is what it means below `parent`. */
function readName(p: usize, end: usize, parent: i32): usize {
  named = 0
  if (p >= end || load<u8>(p) != QUOTE) return FAILED
  const start = p + 1
  const escapes = escapeCount
  p = scanString(start, end)
  if (p == FAILED) return FAILED
  if (parent != 0) {
    // It may be one that is asked for, written in another way.
    if (escapeCount != escapes) return FAILED
    const length = <i32>(p - 1 - start)
    let child = load<i32>(NODES + parent * NODE_BYTES)
    while (child != 0) {
      const node = NODES + child * NODE_BYTES
      if (load<i32>(node, 16) == length && areEqual(load<i32>(node, 12), start, length)) {
        forgetBelow(child)
        named = child
        break
      }
      child = load<i32>(node, 4)
    }
  }
  p = skipSpace(p, end)
  if (p >= end || load<u8>(p) != 0x3a) return FAILED
  return skipSpace(p + 1, end)
}

/** Notes what a field is. */
function keepField(field: i32, start: usize, end: usize, hasEscapes: bool): void {
  const at = references + field * 12
  const first = load<u8>(start)
  if (first == 0x6e) return // null: as if it were not there
  if (first == 0x74 || first == 0x66) {
    store<i32>(at, first == 0x74 ? TRUE : FALSE)
    return
  }
  const isString = first == QUOTE
  if (isString) {
    start += 1
    end -= 1
  }
  let reference = hasEscapes ? ESCAPED_STRING : 0
  if (!hasEscapes) {
    reference = textOf(start, <i32>(end - start), isString ? 0 : 1)
    if (reference == 0) reference = isString ? STRING : NUMBER
  }
  store<i32>(at, reference)
  store<i32>(at, <i32>start + sourceDelta, 4)
  store<i32>(at, <i32>end + sourceDelta, 8)
}

/** Whether the bytes are exactly one plain JSON object; its fields are noted at `references`. */
function readEvent(start: usize, end: usize): bool {
  let p = skipSpace(start, end)
  if (p >= end || load<u8>(p) != 0x7b) return false
  let depth: i32 = 0
  let node: i32 = ROOT
  for (;;) {
    if (p >= end) return false
    const byte = load<u8>(p)
    if (byte == 0x7b || byte == 0x5b) {
      if (depth == DEPTH_MAX) return false
      const isObject = byte == 0x7b
      if (!isObject || load<i32>(NODES + node * NODE_BYTES) == 0) node = 0
      store<u8>(NESTING + depth, isObject ? 1 : 0)
      store<u8>(LEVEL_NODES + depth, <u8>node)
      depth += 1
      p = skipSpace(p + 1, end)
      if (p >= end) return false
      // The closing bracket of an empty one is left to the code below.
      if (load<u8>(p) != byte + 2) {
        if (isObject) {
          p = readName(p, end, node)
          if (p == FAILED) return false
          node = named
        }
        continue
      }
    } else {
      const valueStart = p
      const escapes = escapeCount
      p = scanScalar(p, end)
      if (p == FAILED) return false
      if (node != 0) {
        const field = load<i32>(NODES + node * NODE_BYTES, 8)
        if (field >= 0) keepField(field, valueStart, p, escapeCount != escapes)
      }
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
        node = 0
        if (isObject) {
          p = readName(p, end, load<u8>(LEVEL_NODES + depth - 1))
          if (p == FAILED) return false
          node = named
        }
        break
      }
      if (closing != (isObject ? <u8>0x7d : <u8>0x5d)) return false
      depth -= 1
    }
  }
  return false
}

/**
 * Reads `count` events whose spans are at `SPANS`, of which the bytes from `windowStart` on are at `INPUT`. `STATUS`
 * and `REFERENCES` say what they are; an event that is not wholly in the window, or longer than allowed, is not plain.
 */
// oxlint-disable-next-line max-params -- numbers only
export function readEvents(count: i32, windowStart: u32, windowBytes: u32, fieldCount: i32, bytesMax: u32): void {
  sourceDelta = <i32>windowStart - INPUT
  const rowBytes = <usize>fieldCount * 12
  memory.fill(REFERENCES, 0, <usize>count * rowBytes)
  references = REFERENCES
  for (let row = 0; row < count; row += 1) {
    const start = load<u32>(SPANS + row * 8)
    const end = load<u32>(SPANS + row * 8, 4)
    let isPlain = false
    if (start >= windowStart && end >= start && end - windowStart <= windowBytes && end - start <= bytesMax) {
      isPlain = readEvent(INPUT + (start - windowStart), INPUT + (end - windowStart))
    }
    store<u8>(STATUS + row, isPlain ? 1 : 0)
    references += rowBytes
  }
}
