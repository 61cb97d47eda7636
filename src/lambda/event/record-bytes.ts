/**
 * Bytes as the two events write them: Base64, lists of numbers, text.
 *
 * Node's decoder passes over what is not Base64 instead of refusing it, which would turn a spoiled value into another
 * one. So the length that comes out is compared with the length that must.
 */

import { isUtf8 } from 'node:buffer'

import { isRecord } from './event-problem.ts'

/**
 * The bytes of a Base64 text, or `undefined` if it is none. Padding may be absent, `-` and `_` may stand for `+` and
 * `/`, and white space (lines of MIME) is passed over.
 */
export function base64Bytes(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length === bytesOf(text)) return bytes
  const dense = text.replace(/\s+/g, '')
  return dense.length !== text.length && bytes.length === bytesOf(dense) ? bytes : undefined
}

/** How many bytes a Base64 text holds if it is one. */
function bytesOf(text: string): number {
  let length = text.length
  if (length % 4 === 0 && text.endsWith('=')) length -= text.endsWith('==') ? 2 : 1
  // One character alone holds six bits and no byte.
  return length % 4 === 1 ? -1 : Math.floor((length * 3) / 4)
}

/** The text of bytes, or `undefined` if they are not UTF-8. */
export function utf8Text(bytes: Buffer): string | undefined {
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined
}

/** Bytes from a list of numbers, signed (as AWS writes them) or not; `undefined` if it is no such list. */
export function listedBytes(list: readonly unknown[]): Buffer | undefined {
  const bytes = Buffer.allocUnsafe(list.length)
  for (const [index, value] of list.entries()) {
    if (!Number.isInteger(value) || Number(value) < -128 || Number(value) > 255) return undefined
    bytes[index] = Number(value)
  }
  return bytes
}

/** The value of one header: `undefined` if it is none. */
export function headerBytes(value: unknown): Buffer | null | undefined {
  if (value === null) return null
  if (Array.isArray(value)) return listedBytes(value)
  // Old examples of AWS and some emulators.
  return typeof value === 'string' ? base64Bytes(value) : undefined
}

/** A text as Comporta's payload writes it: `undefined` if it is none. */
export function textBytes(value: unknown): Buffer | null | undefined {
  if (value === null) return null
  if (typeof value === 'string') return Buffer.from(value, 'utf8')
  const base64 = isRecord(value) ? value['base64'] : undefined
  return typeof base64 === 'string' ? base64Bytes(base64) : undefined
}

/** A key as a text that tells it apart: itself if it is UTF-8, else `base64:…`. */
export function keyText(bytes: Buffer): string {
  return utf8Text(bytes) ?? `base64:${bytes.toString('base64')}`
}
