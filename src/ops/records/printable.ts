/**
 * Bytes of records as text that no terminal takes for a command: see `printableText` of `core`. Bytes that are not
 * UTF-8 are shown as `\xff`. What is printed is always one line.
 */

import { isUtf8 } from 'node:buffer'

import { printableText } from '../../core/index.ts'

/**
 * Bytes as printable text.
 *
 * @param charsMax - Most characters of it; what is left out is said: `…(+1234 bytes)`. 0 = all.
 */
export function printableBytes(bytes: Buffer, charsMax: number): string {
  // A character has at most four bytes; cut between two of them.
  const isLong = charsMax > 0 && bytes.length > charsMax
  const kept = isLong ? wholeCharacters(bytes, charsMax) : bytes
  const text = isUtf8(kept) ? printableText(kept.toString('utf8')) : mixedText(kept)
  return isLong ? `${text}…(+${bytes.length - kept.length} bytes)` : text
}

/** The first bytes, without a character that would be cut in half. */
function wholeCharacters(bytes: Buffer, length: number): Buffer {
  let end = length
  // At most three bytes of a character follow its first one.
  for (let back = 0; back < 3 && ((bytes[end] ?? 0) & 0xc0) === 0x80; back += 1) end -= 1
  return bytes.subarray(0, ((bytes[end] ?? 0) & 0xc0) === 0x80 ? length : end)
}

/** Well-formed stretches as text, all other bytes as `\xff`. */
function mixedText(bytes: Buffer): string {
  const parts: string[] = []
  let at = 0
  while (at < bytes.length) {
    const size = characterBytes(bytes, at)
    parts.push(
      size === 0
        ? `\\x${(bytes[at] ?? 0).toString(16).padStart(2, '0')}`
        : printableText(bytes.toString('utf8', at, at + size))
    )
    at += Math.max(1, size)
  }
  return parts.join('')
}

/** How many bytes the character at a place has; 0 if there is none. */
function characterBytes(bytes: Buffer, at: number): number {
  for (let size = 1; size <= 4 && at + size <= bytes.length; size += 1) {
    if (isUtf8(bytes.subarray(at, at + size))) return size
  }
  return 0
}
