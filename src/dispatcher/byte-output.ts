/**
 * A growing buffer that payloads are written into, byte by byte or in slices.
 *
 * It grows by doubling and never shrinks below one batch's need, so a reused
 * output allocates nothing in steady state. Writers reserve first, then write
 * without checks. Nothing here allocates per record.
 */

const HEX = Buffer.from('0123456789abcdef', 'latin1')
const BASE64 = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 'latin1')

/** What follows the backslash for control characters with a short form; 0 = `\u00XX`. */
const shortEscape = new Uint8Array(0x20)
shortEscape[0x08] = 0x62
shortEscape[0x09] = 0x74
shortEscape[0x0a] = 0x6e
shortEscape[0x0c] = 0x66
shortEscape[0x0d] = 0x72

/** Decimal digits of a non-negative whole number. */
function digitCount(value: number): number {
  if (value > Number.MAX_SAFE_INTEGER) return BigInt(value).toString().length
  let count = 1
  for (let limit = 10; value >= limit && count < 16; limit *= 10) count += 1
  return count
}

/** Bytes that `text` takes as a JSON string, quotes included. */
export function jsonStringBytes(text: string): Buffer {
  return Buffer.from(JSON.stringify(text), 'utf8')
}

/** A growing output buffer. */
export class ByteOutput {
  #buffer: Buffer
  #length = 0

  /** @param initialBytes - Size to start with. Default 65_536. */
  constructor(initialBytes = 65_536) {
    this.#buffer = Buffer.allocUnsafeSlow(initialBytes)
  }

  /** Bytes written. */
  get length(): number {
    return this.#length
  }

  /** Bytes of memory held. */
  get capacity(): number {
    return this.#buffer.length
  }

  /** Forgets what was written, from `length` on; the memory is kept. */
  truncate(length: number): void {
    this.#length = length
  }

  /** What was written, as a view: valid until the next write after `truncate` or `reset`. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /**
   * Starts anew. With `isShared` the memory written so far stays with whoever holds its view, and
   * new memory is used: a request that was given up may still be reading it.
   */
  reset(isShared: boolean): void {
    if (isShared) this.#buffer = Buffer.allocUnsafeSlow(Math.max(1024, this.#length))
    this.#length = 0
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#buffer.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }

  byte(value: number): void {
    this.reserve(1)
    this.#buffer[this.#length] = value
    this.#length += 1
  }

  bytes(source: Buffer): void {
    this.slice(source, 0, source.length)
  }

  slice(source: Buffer, start: number, end: number): void {
    this.reserve(end - start)
    source.copy(this.#buffer, this.#length, start, end)
    this.#length += end - start
  }

  /** Text that is ASCII. */
  ascii(text: string): void {
    this.reserve(text.length)
    this.#length += this.#buffer.write(text, this.#length, 'latin1')
  }

  /** A whole number in decimal; from 2^53 on its exact value, not a shortened one. */
  integer(value: number): void {
    if (value > Number.MAX_SAFE_INTEGER) {
      this.ascii(BigInt(value).toString())
      return
    }
    if (value < 0) {
      this.byte(0x2d)
      this.integer(-value)
      return
    }
    const count = digitCount(value)
    this.reserve(count)
    const buffer = this.#buffer
    let position = this.#length + count
    let rest = value
    // Above 32 bits the division is in floating point: take nine digits at once, the rest with integers.
    while (rest > 0x7fff_ffff) {
      const high = Math.floor(rest / 1_000_000_000)
      let low = (rest - high * 1_000_000_000) | 0
      for (let index = 0; index < 9; index += 1) {
        const quotient = (low / 10) | 0
        position -= 1
        buffer[position] = 0x30 + low - quotient * 10
        low = quotient
      }
      rest = high
    }
    let low = rest | 0
    do {
      const quotient = (low / 10) | 0
      position -= 1
      buffer[position] = 0x30 + low - quotient * 10
      low = quotient
    } while (position > this.#length)
    this.#length += count
  }

  /** Standard base64 with padding, quotes included. */
  base64(source: Uint8Array, start: number, end: number): void {
    this.reserve(Math.ceil((end - start) / 3) * 4 + 2)
    const buffer = this.#buffer
    let position = this.#length
    buffer[position++] = 0x22
    let index = start
    for (; index + 2 < end; index += 3) {
      const word = ((source[index] ?? 0) << 16) | ((source[index + 1] ?? 0) << 8) | (source[index + 2] ?? 0)
      buffer[position] = BASE64[word >> 18] ?? 0
      buffer[position + 1] = BASE64[(word >> 12) & 63] ?? 0
      buffer[position + 2] = BASE64[(word >> 6) & 63] ?? 0
      buffer[position + 3] = BASE64[word & 63] ?? 0
      position += 4
    }
    if (index < end) {
      const isPair = index + 1 < end
      const word = ((source[index] ?? 0) << 16) | (isPair ? (source[index + 1] ?? 0) << 8 : 0)
      buffer[position++] = BASE64[word >> 18] ?? 0
      buffer[position++] = BASE64[(word >> 12) & 63] ?? 0
      buffer[position++] = isPair ? (BASE64[(word >> 6) & 63] ?? 0) : 0x3d
      buffer[position++] = 0x3d
    }
    buffer[position++] = 0x22
    this.#length = position
  }

  /** A JSON string of bytes that are valid UTF-8, quotes included: only what JSON demands is escaped. */
  jsonString(source: Uint8Array, start: number, end: number): void {
    this.reserve((end - start) * 6 + 2)
    const buffer = this.#buffer
    let position = this.#length
    buffer[position++] = 0x22
    for (let index = start; index < end; index += 1) {
      const byte = source[index] ?? 0
      if (byte >= 0x20 && byte !== 0x22 && byte !== 0x5c) {
        buffer[position++] = byte
        continue
      }
      buffer[position++] = 0x5c
      const short = byte < 0x20 ? (shortEscape[byte] ?? 0) : byte
      if (short !== 0) {
        buffer[position++] = short
        continue
      }
      buffer[position] = 0x75
      buffer[position + 1] = 0x30
      buffer[position + 2] = 0x30
      buffer[position + 3] = HEX[byte >> 4] ?? 0
      buffer[position + 4] = HEX[byte & 15] ?? 0
      position += 5
    }
    buffer[position++] = 0x22
    this.#length = position
  }

  /** Bytes as a JSON array of signed integers, -128 to 127. */
  signedBytes(source: Uint8Array, start: number, end: number): void {
    this.byte(0x5b)
    for (let index = start; index < end; index += 1) {
      if (index > start) this.byte(0x2c)
      this.integer(((source[index] ?? 0) << 24) >> 24)
    }
    this.byte(0x5d)
  }
}
