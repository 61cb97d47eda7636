/**
 * Finds the elements of a JSON array in its bytes, so that each can be
 * published as it was written.
 *
 * Only strings and brackets are followed; whether an element is JSON is decided
 * where every event is parsed. What lies between elements is checked here: one
 * comma, blanks, and nothing behind the last bracket.
 */

import { ChunkBuilder, type EventChunk } from './event-chunk.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** Whether the first byte that is not blank opens an array. */
export function looksLikeArray(bytes: Uint8Array): boolean {
  return bytes[skipBlanks(bytes, 0)] === OPEN_ARRAY
}

/**
 * The elements of an array, each with its number from 1 as its line.
 *
 * @returns The chunk, or the reason why the bytes are not one array.
 */
export function splitJsonArray(bytes: Buffer): EventChunk | string {
  const builder = new ChunkBuilder()
  let at = skipBlanks(bytes, 0)
  if (bytes[at] !== OPEN_ARRAY) return 'not a JSON array'
  at = skipBlanks(bytes, at + 1)
  if (bytes[at] === CLOSE_ARRAY) return finish(builder, bytes, at)
  for (let number = 1; ; number += 1) {
    const end = elementEnd(bytes, at)
    if (end === at) return `element ${number} of the array is missing`
    builder.add(at, withoutBlanksBefore(bytes, at, end), number)
    const separator = bytes[end]
    if (separator === CLOSE_ARRAY) return finish(builder, bytes, end)
    if (separator !== COMMA) return `the array ends too early, in element ${number}`
    at = skipBlanks(bytes, end + 1)
  }
}

function finish(builder: ChunkBuilder, bytes: Buffer, close: number): EventChunk | string {
  const rest = skipBlanks(bytes, close + 1)
  if (rest < bytes.length) return 'there is something behind the end of the array'
  return builder.build(bytes, bytes.length)
}

/** Position of the comma or bracket behind the element that starts at `from`, or the end of the bytes. */
function elementEnd(bytes: Uint8Array, from: number): number {
  let depth = 0
  for (let at = from; at < bytes.length; at += 1) {
    const byte = bytes[at]
    if (byte === QUOTE) {
      at = stringEnd(bytes, at)
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      depth += 1
    } else if (depth === 0 && (byte === COMMA || byte === CLOSE_ARRAY)) {
      return at
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      depth -= 1
    }
  }
  return bytes.length
}

/** Position of the quote that ends the string that starts at `from`, or the end of the bytes. */
function stringEnd(bytes: Uint8Array, from: number): number {
  for (let at = from + 1; at < bytes.length; at += 1) {
    const byte = bytes[at]
    if (byte === BACKSLASH) at += 1
    else if (byte === QUOTE) return at
  }
  return bytes.length
}

function skipBlanks(bytes: Uint8Array, from: number): number {
  let at = from
  while (isBlank(bytes[at])) at += 1
  return at
}

function withoutBlanksBefore(bytes: Uint8Array, from: number, end: number): number {
  let at = end
  while (at > from && isBlank(bytes[at - 1])) at -= 1
  return at
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}
