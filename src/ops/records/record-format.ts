/**
 * Records as text: for people, for programs, as bytes.
 *
 *     pretty  2026-03-01T09:00:00.000Z  mt-c400-3@42  key  {h=1}  {"n":1}     escaped, cut, one line
 *     json    one JSON object a line; bytes that are not UTF-8 as Base64: nothing is lost
 *     csv     RFC 4180, with a line of titles
 *     raw     the values as they are, a line break behind each
 *     hex     key, value and headers as a hex dump
 *     …%o…    a template, see format-template.ts
 */

import { isUtf8 } from 'node:buffer'

import { printableText } from '../../core/index.ts'
import { templateFormat } from './format-template.ts'
import { printableBytes } from './printable.ts'
import { type ReadRecord, timeText } from './read-record.ts'

/** How records are shown. */
export interface RecordFormat {
  /** What stands before the first record. */
  readonly head: string
  /** One record, with what ends it. Text is UTF-8. */
  format(record: ReadRecord): string | Buffer
  /** Whether it may hold any bytes, those included that a terminal would obey. */
  readonly isRaw: boolean
}

/** Names of formats. */
export const RECORD_FORMATS = ['pretty', 'json', 'csv', 'raw', 'hex'] as const

/** Options of `recordFormat`. */
export interface RecordFormatOptions {
  /** Most characters of a key, a value and each header in `pretty`; 0 = all. Default 500. */
  readonly charsMax?: number
}

/**
 * The format of a name, or of a template.
 *
 * @throws PipelineError `ERR_OPS_QUERY_INVALID` if it is neither.
 */
export function recordFormat(name: string, options: RecordFormatOptions = {}): RecordFormat {
  switch (name) {
    case 'pretty':
      return { head: '', isRaw: false, format: record => prettyLine(record, options.charsMax ?? 500) }
    case 'json':
      return { head: '', isRaw: false, format: jsonRecord }
    case 'csv':
      return {
        head: 'timestamp,topic,partition,offset,key,key_encoding,value,value_encoding,headers\r\n',
        isRaw: true,
        format: csvLine
      }
    case 'raw':
      return { head: '', isRaw: true, format: rawRecord }
    case 'hex':
      return { head: '', isRaw: false, format: hexRecord }
    default:
      return { head: '', isRaw: true, format: templateFormat(name, RECORD_FORMATS) }
  }
}

function rawRecord({ value }: ReadRecord): Buffer {
  return Buffer.concat([value ?? Buffer.alloc(0), Buffer.from('\n')])
}

function prettyLine(record: ReadRecord, charsMax: number): string {
  const { topic, partition, offset, timestampMs, key, value, headers } = record
  const show = (bytes: Buffer | null): string => (bytes === null ? 'null' : printableBytes(bytes, charsMax))
  const shownHeaders = headers.map(header => `${printableText(header.key)}=${show(header.value)}`)
  const parts = [timeText(timestampMs), `${topic}-${partition}@${offset}`, show(key)]
  if (shownHeaders.length > 0) parts.push(`{${shownHeaders.join(', ')}}`)
  return `${[...parts, show(value)].join('  ')}\n`
}

/** A record as an object that JSON can hold, without losing a byte. */
export interface JsonRecord {
  readonly topic: string
  readonly partition: number
  /** Decimal text: offsets have 64 bits. */
  readonly offset: string
  /** Milliseconds since 1970. */
  readonly timestamp: number
  readonly timestampType: 'CreateTime' | 'LogAppendTime'
  /** UTF-8 text, or `null`; absent where `keyBase64` has it. */
  readonly key?: string | null
  readonly keyBase64?: string
  readonly value?: string | null
  readonly valueBase64?: string
  readonly headers?: readonly { readonly key: string; readonly value?: string | null; readonly valueBase64?: string }[]
}

/** A record for programs. */
export function jsonRecordOf(record: ReadRecord): JsonRecord {
  const { topic, partition, offset, timestampMs, isLogAppendTime, key, value, headers } = record
  return {
    topic,
    partition,
    offset: offset.toString(),
    timestamp: timestampMs,
    timestampType: isLogAppendTime ? 'LogAppendTime' : 'CreateTime',
    ...(isText(key) ? { key: textOf(key) } : { keyBase64: base64Of(key) }),
    ...(isText(value) ? { value: textOf(value) } : { valueBase64: base64Of(value) }),
    ...(headers.length === 0
      ? {}
      : {
          headers: headers.map(header =>
            isText(header.value)
              ? { key: header.key, value: textOf(header.value) }
              : { key: header.key, valueBase64: base64Of(header.value) }
          )
        })
  }
}

// JSON escapes C0 only: the rest of what a terminal obeys is escaped here, which means the same to a program.
// oxlint-disable-next-line no-control-regex -- to find them is what this is for
const hostileInJson = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g

function jsonRecord(record: ReadRecord): string {
  const json = JSON.stringify(jsonRecordOf(record))
  return `${json.replace(hostileInJson, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`
}

function isText(bytes: Buffer | null): boolean {
  return bytes === null || isUtf8(bytes)
}

function textOf(bytes: Buffer | null): string | null {
  return bytes === null ? null : bytes.toString('utf8')
}

function base64Of(bytes: Buffer | null): string {
  return bytes === null ? '' : bytes.toString('base64')
}

function csvLine(record: ReadRecord): string {
  const { topic, partition, offset, timestampMs, key, value } = record
  const json = jsonRecordOf(record)
  const field = (bytes: Buffer | null): string[] => {
    if (bytes === null) return ['', 'null']
    return isUtf8(bytes) ? [bytes.toString('utf8'), 'utf8'] : [bytes.toString('base64'), 'base64']
  }
  const headers = json.headers === undefined ? '' : JSON.stringify(json.headers)
  const cells = [timeText(timestampMs), topic, String(partition), String(offset), ...field(key), ...field(value)]
  return `${[...cells, headers].map(csvCell).join(',')}\r\n`
}

function csvCell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function hexRecord(record: ReadRecord): string {
  const { topic, partition, offset, timestampMs, key, value, headers } = record
  const parts = [
    `${topic}-${partition}@${offset}  ${timeText(timestampMs)}\n`,
    ...dump('key', key),
    ...headers.flatMap(header => dump(`header ${printableText(header.key)}`, header.value)),
    ...dump('value', value)
  ]
  return `${parts.join('')}\n`
}

/** As `hexdump -C` shows bytes. */
function dump(name: string, bytes: Buffer | null): string[] {
  if (bytes === null) return [`${name}: null\n`]
  const lines = [`${name}: ${bytes.length} bytes\n`]
  for (let at = 0; at < bytes.length; at += 16) {
    const row = bytes.subarray(at, at + 16)
    const hex = Array.from(row, byte => byte.toString(16).padStart(2, '0'))
    const left = hex.slice(0, 8).join(' ').padEnd(23)
    const right = hex.slice(8).join(' ').padEnd(23)
    const text = Array.from(row, byte => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('')
    lines.push(`${at.toString(16).padStart(8, '0')}  ${left}  ${right}  |${text}|\n`)
  }
  return lines
}
