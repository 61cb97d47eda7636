/** A record of our own making, laid out as the table reads one: key, value and headers in one buffer. */

import type { AppendHeader } from '../client/index.ts'

/** Contents of a record. */
export interface RecordContent {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly AppendHeader[]
}

/** Where the parts of a record lie. */
export interface ContentPlace {
  readonly recordBuffer: Buffer
  readonly keyStart: number
  readonly keyEnd: number
  readonly valueStart: number
  readonly valueEnd: number
  readonly headersStart: number
  readonly headerCount: number
}

/** Lays a record out. Source of the form of headers: Kafka documentation, "Record Header". */
export function layOut({ key, value, headers }: RecordContent): ContentPlace {
  const parts: Buffer[] = []
  let length = 0
  const add = (bytes: Buffer): void => {
    parts.push(bytes)
    length += bytes.length
  }
  const keyStart = key === null ? -1 : 0
  if (key !== null) add(key)
  const keyEnd = key === null ? -1 : length
  const valueStart = value === null ? -1 : length
  if (value !== null) add(value)
  const valueEnd = value === null ? -1 : length
  const headersStart = length
  for (const header of headers) {
    const name = Buffer.from(header.key, 'utf8')
    add(varint(name.length))
    add(name)
    add(varint(header.value === null ? -1 : header.value.length))
    if (header.value !== null) add(header.value)
  }
  const recordBuffer = Buffer.concat(parts, length)
  return { recordBuffer, keyStart, keyEnd, valueStart, valueEnd, headersStart, headerCount: headers.length }
}

/** A zigzag varint. */
function varint(value: number): Buffer {
  const bytes: number[] = []
  let word = ((value << 1) ^ (value >> 31)) >>> 0
  for (; word > 0x7f; word >>>= 7) bytes.push((word & 0x7f) | 0x80)
  bytes.push(word)
  return Buffer.from(bytes)
}
