/**
 * Tells whether bytes are exactly one well-formed JSON value, without decoding them.
 *
 * A value goes into the JSON envelope verbatim: one that is not well formed
 * could close the array around it and rewrite its neighbours. So the check is
 * the whole of RFC 8259: grammar, escapes, numbers, no control characters in
 * strings, and valid UTF-8 (no overlong forms, no surrogates, nothing above
 * U+10FFFF). White space around the value is allowed, a byte order mark is not.
 *
 * One pass, no allocation; nesting is kept in a fixed stack of one byte per level.
 */

/**
 * Deepest nesting of arrays and objects. RFC 8259 section 9 lets a parser set a
 * limit; recursive parsers behind a target overflow their stack long before memory ends.
 */
export const JSON_DEPTH_MAX = 512

const PLAIN = 0
const QUOTE = 1
const BACKSLASH = 2
const CONTROL = 3
const MULTI_BYTE = 4

const stringClass = new Uint8Array(256)
stringClass.fill(CONTROL, 0, 0x20)
stringClass.fill(MULTI_BYTE, 0x80)
stringClass[0x22] = QUOTE
stringClass[0x5c] = BACKSLASH

/** 1 for each byte that may follow a backslash, 2 for `u`. */
const escapeClass = new Uint8Array(256)
for (const character of '"\\/bfnrt') escapeClass[character.charCodeAt(0)] = 1
escapeClass[0x75] = 2

const isHexDigit = new Uint8Array(256)
for (const character of '0123456789abcdefABCDEF') isHexDigit[character.charCodeAt(0)] = 1

/** 1 = inside an object, 0 = inside an array, per level. Reused: the check is synchronous and not reentrant. */
const nesting = new Uint8Array(JSON_DEPTH_MAX)

/** Whether `bytes[start, end)` is exactly one well-formed JSON value. */
export function isJsonValue(bytes: Uint8Array, start: number, end: number): boolean {
  let position = start
  let depth = 0
  for (;;) {
    position = skipSpace(bytes, position, end)
    if (position >= end) return false
    const byte = bytes[position]
    if (byte === 0x7b || byte === 0x5b) {
      if (depth === JSON_DEPTH_MAX) return false
      nesting[depth] = byte === 0x7b ? 1 : 0
      depth += 1
      position = skipSpace(bytes, position + 1, end)
      if (bytes[position] !== byte + 2 || position >= end) {
        if (byte === 0x7b) position = scanKey(bytes, position, end)
        if (position < 0) return false
        continue
      }
      // An empty container: leave its closing bracket to the code below.
    } else {
      position = scanScalar(bytes, position, end)
      if (position < 0) return false
    }
    openDepth = depth
    position = closeContainers(bytes, position, end)
    if (position < 0) return false
    depth = openDepth
    if (depth === 0) return position === end
  }
}

/** Depth before and after `closeContainers`: a second return value without an object. */
let openDepth = 0

/**
 * From after a value: closes what ends here, up to the comma before the next
 * value (its key included), or to the end of the text when all is closed.
 */
function closeContainers(bytes: Uint8Array, from: number, end: number): number {
  let position = from
  let depth = openDepth
  while (depth > 0) {
    position = skipSpace(bytes, position, end)
    if (position >= end) return -1
    const byte = bytes[position]
    position += 1
    const isObject = nesting[depth - 1] === 1
    if (byte === 0x2c) {
      openDepth = depth
      return isObject ? scanKey(bytes, skipSpace(bytes, position, end), end) : position
    }
    if (byte !== (isObject ? 0x7d : 0x5d)) return -1
    depth -= 1
  }
  openDepth = 0
  return skipSpace(bytes, position, end)
}

function skipSpace(bytes: Uint8Array, from: number, end: number): number {
  let position = from
  while (position < end) {
    const byte = bytes[position] ?? 0
    if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) return position
    position += 1
  }
  return position
}

/** A name and its colon; -1 if it is neither. */
function scanKey(bytes: Uint8Array, from: number, end: number): number {
  if (from >= end || bytes[from] !== 0x22) return -1
  const afterName = scanString(bytes, from + 1, end)
  if (afterName < 0) return -1
  const colon = skipSpace(bytes, afterName, end)
  return colon < end && bytes[colon] === 0x3a ? colon + 1 : -1
}

function scanScalar(bytes: Uint8Array, from: number, end: number): number {
  switch (bytes[from] ?? 0) {
    case 0x22:
      return scanString(bytes, from + 1, end)
    case 0x74:
      return from + 4 <= end && isWord(bytes, from, 'true') ? from + 4 : -1
    case 0x66:
      return from + 5 <= end && isWord(bytes, from, 'false') ? from + 5 : -1
    case 0x6e:
      return from + 4 <= end && isWord(bytes, from, 'null') ? from + 4 : -1
    default:
      return scanNumber(bytes, from, end)
  }
}

function isWord(bytes: Uint8Array, from: number, word: string): boolean {
  for (let index = 1; index < word.length; index += 1) {
    if (bytes[from + index] !== word.charCodeAt(index)) return false
  }
  return true
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39
}

function scanDigits(bytes: Uint8Array, from: number, end: number): number {
  let position = from
  while (position < end && isDigit(bytes[position])) position += 1
  return position > from ? position : -1
}

function scanNumber(bytes: Uint8Array, from: number, end: number): number {
  let position = from
  if (bytes[position] === 0x2d) position += 1
  if (position < end && bytes[position] === 0x30) position += 1
  else position = scanDigits(bytes, position, end)
  if (position < 0) return -1
  if (position < end && bytes[position] === 0x2e) {
    position = scanDigits(bytes, position + 1, end)
    if (position < 0) return -1
  }
  if (position < end && ((bytes[position] ?? 0) | 0x20) === 0x65) {
    position += 1
    if (position < end && (bytes[position] === 0x2b || bytes[position] === 0x2d)) position += 1
    return scanDigits(bytes, position, end)
  }
  return position
}

/** From after the opening quote to after the closing one; -1 if the string is not well formed. */
function scanString(bytes: Uint8Array, from: number, end: number): number {
  let position = from
  while (position < end) {
    // Nearly all bytes are plain: nothing but this comparison is done for them.
    const kind = stringClass[bytes[position] ?? 0] ?? CONTROL
    if (kind === PLAIN) {
      position += 1
      continue
    }
    if (kind === QUOTE) return position + 1
    if (kind === BACKSLASH) position = scanEscape(bytes, position + 1, end)
    else position = kind === MULTI_BYTE ? scanMultiByte(bytes, position, end) : -1
    if (position < 0) return -1
  }
  return -1
}

function scanEscape(bytes: Uint8Array, from: number, end: number): number {
  if (from >= end) return -1
  const kind = escapeClass[bytes[from] ?? 0]
  if (kind === 1) return from + 1
  if (kind !== 2 || from + 5 > end) return -1
  for (let index = 1; index <= 4; index += 1) {
    if (isHexDigit[bytes[from + index] ?? 0] !== 1) return -1
  }
  return from + 5
}

/** One character of two to four bytes: the table "Well-Formed UTF-8 Byte Sequences" of the Unicode Standard (3-7). */
function scanMultiByte(bytes: Uint8Array, from: number, end: number): number {
  const lead = bytes[from] ?? 0
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2
  if (lead < 0xc2 || lead > 0xf4 || from + length > end) return -1
  const second = bytes[from + 1] ?? 0
  const secondMin = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
  const secondMax = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
  if (second < secondMin || second > secondMax) return -1
  for (let index = 2; index < length; index += 1) {
    if (((bytes[from + index] ?? 0) & 0xc0) !== 0x80) return -1
  }
  return from + length
}

/** Whether `bytes[start, end)` is valid UTF-8, by the same table. */
export function isUtf8Range(bytes: Uint8Array, start: number, end: number): boolean {
  let position = start
  while (position < end) {
    if ((bytes[position] ?? 0) < 0x80) position += 1
    else position = scanMultiByte(bytes, position, end)
    if (position < 0) return false
  }
  return true
}
