/** Records as the pages show them: bytes as JSON, text, hexadecimal or base64, and cut. */

import { isUtf8 } from 'node:buffer'

import type { ReadRecord } from '../../ops/index.ts'
import { HEADER_BYTES, HEADERS_MAX, type RecordShape, type ShownBytes, type ShownRecord } from '../api/records.ts'
import { maskRecord, topicsOf } from '../server/masking.ts'
import type { Caller } from '../server/server-types.ts'

/** Largest value that is parsed to find out whether it is JSON. */
const JSON_BYTES_MAX = 2_097_152

/** A record as it is shown. Nothing of the record's own memory is kept. */
export function shownRecord(record: ReadRecord, shape: RecordShape, bytesMax: number): ShownRecord {
  const { topic, partition, offset, timestampMs, isLogAppendTime, key, value, headers } = record
  return {
    topic,
    partition,
    offset: String(offset),
    timestampMs,
    timestampType: isLogAppendTime ? 'append' : 'create',
    key: shownBytes(key, shape, bytesMax),
    value: shownBytes(value, shape, bytesMax),
    headers: headers.slice(0, HEADERS_MAX).map(header => ({
      key: header.key.slice(0, HEADER_BYTES),
      value: shownBytes(header.value, shape, Math.min(bytesMax, HEADER_BYTES))
    })),
    headerCount: headers.length
  }
}

/** How a record is shown, and to whom. */
export interface ShownOptions {
  readonly shape: RecordShape
  readonly caller: Caller
  readonly bytesMax: number
}

/** A record as this user may see it: what is hidden of the topic that it came from is hidden of it. */
export function shownTo(record: ReadRecord, { shape, caller, bytesMax }: ShownOptions): ShownRecord {
  return maskRecord(shownRecord(record, shape, bytesMax), caller, topicsOf(record))
}

/** Bytes in a shape; what cannot be had in the one that is asked for is shown in hexadecimal. */
export function shownBytes(bytes: Buffer | null, shape: RecordShape, bytesMax: number): ShownBytes | null {
  if (bytes === null) return null
  const isCut = bytes.length > bytesMax
  const kept = isCut ? bytes.subarray(0, bytesMax) : bytes
  const about = { byteLength: bytes.length, isCut }
  if (shape === 'base64') return { shape, text: kept.toString('base64'), ...about }
  const text = shape === 'hex' ? undefined : textOf(kept, isCut)
  if (text === undefined) return { shape: 'hex', text: hexOf(kept), ...about }
  if (shape !== 'text' && isJson(bytes)) return { shape: 'json', text, ...about }
  if (shape === 'auto' && isBinary(text)) return { shape: 'hex', text: hexOf(kept), ...about }
  return { shape: 'text', text, ...about }
}

/** Text of UTF-8, without a character that was cut in half; `undefined` if it is none. */
function textOf(bytes: Buffer, isCut: boolean): string | undefined {
  if (isUtf8(bytes)) return bytes.toString('utf8')
  if (!isCut) return undefined
  for (let back = 1; back <= 3; back += 1) {
    const whole = bytes.subarray(0, bytes.length - back)
    if (isUtf8(whole)) return whole.toString('utf8')
  }
  return undefined
}

function isJson(bytes: Buffer): boolean {
  if (bytes.length > JSON_BYTES_MAX || bytes.length === 0) return false
  const first = bytes.toString('latin1', 0, Math.min(bytes.length, 64)).trimStart()[0] ?? ''
  if (!'{["-0123456789tfn'.includes(first)) return false
  try {
    JSON.parse(bytes.toString('utf8'))
    return true
  } catch {
    return false // text that begins like JSON
  }
}

// Control characters that no text has: all but tab, line feed and carriage return.
// oxlint-disable-next-line no-control-regex -- to find them is what this is for
const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/

function isBinary(text: string): boolean {
  return control.test(text.slice(0, 4096))
}

/** In groups of two bytes' digits, sixteen to a line. */
function hexOf(bytes: Buffer): string {
  const digits = bytes.toString('hex')
  return digits.replaceAll(/(.{32})(?=.)/g, '$1\n').replaceAll(/([0-9a-f]{2})(?=[0-9a-f])/g, '$1 ')
}
