/**
 * FNV-1a, 64 bits: the hash of the key strategy `hash`.
 *
 * Chosen because any other program can compute the same key in three lines of
 * any language, and because 64 bits make it unlikely that two of a million
 * field combinations share a key (chance about 1 in 40 million). It spreads
 * keys; it does not protect anything.
 * Source: draft-eastlake-fnv; offset basis 0xcbf29ce484222325, prime 2^40 + 0x1b3.
 */

const BASIS_HIGH = 0xcbf29ce4
const BASIS_LOW = 0x84222325
const PRIME_LOW = 0x1b3
const TWO_32 = 4_294_967_296
const HEX = Buffer.from('0123456789abcdef')

/** The hash of some bytes, as the bytes of 16 lower-case hexadecimal digits. */
export function fnv1a64Hex(source: Uint8Array): Buffer {
  // Two halves as doubles: every product stays below 2^53, so nothing is rounded.
  let high = BASIS_HIGH
  let low = BASIS_LOW
  for (const byte of source) {
    low = (low ^ byte) >>> 0
    const product = low * PRIME_LOW
    high = (high * PRIME_LOW + low * 256 + Math.floor(product / TWO_32)) >>> 0
    low = product >>> 0
  }
  const hex = Buffer.alloc(16)
  writeHex(hex, 0, high)
  writeHex(hex, 8, low)
  return hex
}

function writeHex(target: Uint8Array, at: number, word: number): void {
  for (let digit = 0; digit < 8; digit += 1) target[at + digit] = HEX[(word >>> (28 - digit * 4)) & 15] ?? 0
}
