/**
 * What both kernels know of JSON: strings, numbers and words, one after the other, in AssemblyScript.
 *
 * Every function goes from a position to the one behind what it has read, or gives `FAILED`. Reads may go up to 64
 * bytes beyond `end`; what is there is not looked at.
 */

export const QUOTE: u8 = 0x22
export const BACKSLASH: u8 = 0x5c
export const COMMA: u8 = 0x2c
export const NULL_WORD: u32 = 0x6c6c756e
const TRUE_WORD: u32 = 0x65757274
const ALSE_WORD: u32 = 0x65736c61

/** What a function that fails returns instead of an address. */
export const FAILED: usize = 0

/** How many escapes were read so far: whether a string has any, without reading it again. */
export let escapeCount: i32 = 0

/** First byte from `p` on that is no white space, or `end`. */
export function skipSpace(p: usize, end: usize): usize {
  while (p < end) {
    const byte = load<u8>(p)
    if (byte > 0x20 || (byte != 0x20 && byte != 0x0a && byte != 0x0d && byte != 0x09)) return p
    p += 1
  }
  return p
}

/** One bit for each of 16 bytes that a string does not hold as it is: quote, backslash, control, not ASCII. */
export function stringStops(chunk: v128): i32 {
  // As signed numbers, control characters and bytes from 0x80 on are both below a space.
  const special = i8x16.lt_s(chunk, i8x16.splat(0x20))
  const quotes = i8x16.eq(chunk, i8x16.splat(0x22))
  const backslashes = i8x16.eq(chunk, i8x16.splat(0x5c))
  return i8x16.bitmask(v128.or(special, v128.or(quotes, backslashes)))
}

/** From behind the opening quote to behind the closing one. */
export function scanString(p: usize, end: usize): usize {
  while (p < end) {
    const stops = stringStops(v128.load(p))
    if (stops == 0) {
      p += 16
      continue
    }
    p += ctz(stops)
    if (p >= end) return FAILED
    const byte = load<u8>(p)
    if (byte == QUOTE) return p + 1
    if (byte == BACKSLASH) p = scanEscape(p + 1, end)
    else p = byte >= 0x80 ? scanMultiByte(p, end) : FAILED
    if (p == FAILED) return FAILED
  }
  return FAILED
}

function isHexDigit(byte: u8): bool {
  const lower = byte | 0x20
  return (byte >= 0x30 && byte <= 0x39) || (lower >= 0x61 && lower <= 0x66)
}

/** From behind a backslash. */
function scanEscape(p: usize, end: usize): usize {
  escapeCount += 1
  if (p >= end) return FAILED
  switch (load<u8>(p)) {
    case 0x22: // "
    case 0x5c: // \
    case 0x2f: // /
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return p + 1
    case 0x75: // u
      break
    default:
      return FAILED
  }
  if (end - p < 5) return FAILED
  for (let index: usize = 1; index <= 4; index += 1) if (!isHexDigit(load<u8>(p + index))) return FAILED
  return p + 5
}

/** One character of two to four bytes: table 3-7 of the Unicode Standard, "Well-Formed UTF-8 Byte Sequences". */
export function scanMultiByte(p: usize, end: usize): usize {
  const lead = load<u8>(p)
  const length: usize = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2
  if (lead < 0xc2 || lead > 0xf4 || end - p < length) return FAILED
  const second = load<u8>(p + 1)
  const secondMin: u8 = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80
  const secondMax: u8 = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf
  if (second < secondMin || second > secondMax) return FAILED
  for (let index: usize = 2; index < length; index += 1) {
    if ((load<u8>(p + index) & 0xc0) != 0x80) return FAILED
  }
  return p + length
}

/** One digit or more. */
function scanDigits(p: usize, end: usize): usize {
  const start = p
  for (;;) {
    const digits = i8x16.lt_u(i8x16.sub(v128.load(p), i8x16.splat(0x30)), i8x16.splat(10))
    const stops = i8x16.bitmask(digits) ^ 0xffff
    if (stops != 0) {
      p += ctz(stops)
      break
    }
    p += 16
    if (p >= end) break
  }
  if (p > end) p = end
  return p > start ? p : FAILED
}

/** A number; whatever else stands there is none. */
function scanNumber(p: usize, end: usize): usize {
  if (load<u8>(p) == 0x2d) p += 1
  if (p >= end) return FAILED
  if (load<u8>(p) == 0x30) p += 1
  else p = scanDigits(p, end)
  if (p == FAILED || p >= end) return p
  if (load<u8>(p) == 0x2e) {
    p += 1
    p = p < end ? scanDigits(p, end) : FAILED
    if (p == FAILED || p >= end) return p
  }
  if ((load<u8>(p) | 0x20) == 0x65) {
    p += 1
    if (p >= end) return FAILED
    const sign = load<u8>(p)
    if (sign == 0x2b || sign == 0x2d) p += 1
    return p < end ? scanDigits(p, end) : FAILED
  }
  return p
}

/** A string, a number or a word. */
export function scanScalar(p: usize, end: usize): usize {
  switch (load<u8>(p)) {
    case 0x22:
      return scanString(p + 1, end)
    case 0x74:
      return end - p >= 4 && load<u32>(p) == TRUE_WORD ? p + 4 : FAILED
    case 0x66:
      return end - p >= 5 && load<u32>(p + 1) == ALSE_WORD ? p + 5 : FAILED
    case 0x6e:
      return end - p >= 4 && load<u32>(p) == NULL_WORD ? p + 4 : FAILED
    default:
      return scanNumber(p, end)
  }
}
