/**
 * One syslog message as an event. Source: RFC 5424 section 6.
 *
 *   SYSLOG-MSG      = HEADER SP STRUCTURED-DATA [SP MSG]
 *   HEADER          = "<" PRIVAL ">" VERSION SP TIMESTAMP SP HOSTNAME SP APP-NAME SP PROCID SP MSGID
 *   STRUCTURED-DATA = "-" / 1*("[" SD-ID *(SP PARAM-NAME "=" <"> PARAM-VALUE <">) "]")
 *
 * Strict where a message would be misread, lenient where senders are: names may be
 * longer than the RFC allows, message and values need not be UTF-8.
 *
 * A message with a priority that is not followed by a version is read as RFC 3164,
 * which describes habits and no format: date, host and tag are taken where they
 * look like it, and everything else is the message. Its date has neither year nor
 * zone, so it stays text.
 *
 * Pure, and never throws: what cannot be read is a reason.
 */

import { isUtf8 } from 'node:buffer'

/** A message that was read, as JSON, or why it was not. */
export type SyslogReading =
  { readonly kind: 'event'; readonly json: string } | { readonly kind: 'malformed'; readonly reason: string }

/** Fields of an event, in this order. */
interface SyslogFields {
  readonly format: 'rfc5424' | 'rfc3164'
  readonly version: number | null
  readonly timestamp: string | null
  readonly timestampText?: string
  readonly hostname: string | null
  readonly appname: string | null
  readonly procid: string | null
  readonly msgid: string | null
  readonly structuredData: Readonly<Record<string, Readonly<Record<string, string | string[]>>>>
  readonly message: string
  readonly charset?: 'latin1'
}

const PRI = /^<(\d{1,3})>/
const VERSION = /^([1-9]\d{0,2}) /
const PRI_MAX = 191
/** Printable ASCII without blanks: what the header's fields are made of. */
const FIELD = /^[!-~]+$/
const SD_NAME = /^[!#-<>-\\^-~]+$/
const TIMESTAMP = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{1,6})?(?:Z|[+-](\d\d):(\d\d))$/
const NIL = '-'

/**
 * Reads a message.
 *
 * @param bytes - The message without its frame.
 * @param from - Address of the sender, for the field `from`.
 */
export function readSyslog(bytes: Buffer, from: string): SyslogReading {
  // One character a byte, so that positions are those of the bytes; what may be UTF-8 is decoded from the bytes.
  const text = bytes.toString('latin1')
  const pri = PRI.exec(text)
  if (pri === null) return malformed('it does not begin with a priority in angle brackets')
  const value = Number(pri[1])
  if (value > PRI_MAX) return malformed(`the priority is above ${PRI_MAX}`)
  const start = pri[0].length
  const version = VERSION.exec(text.slice(start, start + 4))
  const reading =
    version === null
      ? read3164(bytes, text, start)
      : read5424(bytes, text, { start: start + version[0].length, version })
  if (typeof reading === 'string') return malformed(reading)
  const { format, ...fields } = reading
  const event = { format, pri: value, facility: value >> 3, severity: value & 7, ...fields, from }
  return { kind: 'event', json: JSON.stringify(event) }
}

function malformed(reason: string): SyslogReading {
  return { kind: 'malformed', reason: `no syslog message: ${reason}` }
}

function read5424(
  bytes: Buffer,
  text: string,
  header: { readonly start: number; readonly version: RegExpExecArray }
): SyslogFields | string {
  if (header.version[1] !== '1') return `its version is ${header.version[1]}, known is 1`
  const fields: string[] = []
  let at = header.start
  for (const name of ['timestamp', 'hostname', 'app name', 'process id', 'message id']) {
    const end = text.indexOf(' ', at)
    const field = end < 0 ? text.slice(at) : text.slice(at, end)
    if (!FIELD.test(field)) return `the ${name} is missing, or has other characters than printable ASCII`
    if (end < 0) return `it ends behind the ${name}`
    fields.push(field)
    at = end + 1
  }
  const [timestamp = NIL, hostname = NIL, appname = NIL, procid = NIL, msgid = NIL] = fields
  if (timestamp !== NIL && !isTimestamp(timestamp)) return 'the timestamp is none of RFC 5424'
  const data = readStructuredData(bytes, text, at)
  if (typeof data === 'string') return data
  at = data.end
  if (at < text.length && text[at] !== ' ') return 'the structured data is followed by something else than a blank'
  return {
    format: 'rfc5424',
    version: 1,
    timestamp: nil(timestamp),
    hostname: nil(hostname),
    appname: nil(appname),
    procid: nil(procid),
    msgid: nil(msgid),
    structuredData: data.elements,
    ...messageOf(bytes.subarray(Math.min(at + 1, bytes.length)))
  }
}

function nil(field: string): string | null {
  return field === NIL ? null : field
}

function isTimestamp(text: string): boolean {
  const parts = TIMESTAMP.exec(text)
  if (parts === null) return false
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, zoneHour = 0, zoneMinute = 0] = parts
    .slice(1)
    .map(part => Number(part ?? 0))
  if (hour > 23 || minute > 59 || second > 59 || zoneHour > 23 || zoneMinute > 59) return false
  // The day exists if the calendar gives it back.
  const date = new Date(Date.UTC(year, month - 1, day))
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day
}

interface StructuredData {
  readonly elements: SyslogFields['structuredData']
  /** Position behind it. */
  readonly end: number
}

type Params = Record<string, string | string[]>

function readStructuredData(bytes: Buffer, text: string, start: number): StructuredData | string {
  // Names come from the sender: `__proto__` must be one like any other.
  const elements = Object.create(null) as Record<string, Params>
  if (text[start] === NIL) return { elements, end: start + 1 }
  let at = start
  while (text[at] === '[') {
    const nameEnd = endOfName(text, at + 1)
    const name = text.slice(at + 1, nameEnd)
    if (!SD_NAME.test(name)) return 'the id of structured data is missing or has forbidden characters'
    if (name in elements) return 'an id of structured data is there twice'
    const params = readParams(bytes, text, nameEnd)
    if (typeof params === 'string') return params
    elements[name] = params.params
    at = params.end
  }
  return at === start ? 'the structured data is missing' : { elements, end: at }
}

function endOfName(text: string, start: number): number {
  let at = start
  while (at < text.length && !' ="]'.includes(text[at] ?? '')) at += 1
  return at
}

/** The parameters of one element, up to and with its closing bracket. */
function readParams(bytes: Buffer, text: string, start: number): { params: Params; end: number } | string {
  const params = Object.create(null) as Params
  let at = start
  while (text[at] === ' ') {
    const nameEnd = endOfName(text, at + 1)
    const name = text.slice(at + 1, nameEnd)
    if (!SD_NAME.test(name)) return 'a name in structured data is missing or has forbidden characters'
    if (text[nameEnd] !== '=' || text[nameEnd + 1] !== '"') return 'a value in structured data is not in quotes'
    const valueEnd = endOfValue(text, nameEnd + 2)
    if (valueEnd < 0) return 'a value in structured data has no end, or a bracket that is not escaped'
    const value = unescaped(bytes.subarray(nameEnd + 2, valueEnd))
    const known = params[name]
    // A name may come more than once, and thousands of times.
    if (Array.isArray(known)) known.push(value)
    else params[name] = known === undefined ? value : [known, value]
    at = valueEnd + 1
  }
  return text[at] === ']' ? { params, end: at + 1 } : 'an element of structured data has no end'
}

/** Where the closing quote is; -1 if there is none. */
function endOfValue(text: string, start: number): number {
  for (let at = start; at < text.length; at += 1) {
    const sign = text[at]
    if (sign === '\\') at += 1
    else if (sign === '"') return at
    else if (sign === ']') return -1
  }
  return -1
}

/** Without the backslashes before quotes, brackets and backslashes; any other backslash is one. */
function unescaped(value: Buffer): string {
  return decoded(value).text.replaceAll(/\\(["\]\\])/g, '$1')
}

function decoded(bytes: Buffer): { readonly text: string; readonly isUtf8: boolean } {
  return isUtf8(bytes)
    ? { text: bytes.toString('utf8'), isUtf8: true }
    : { text: bytes.toString('latin1'), isUtf8: false }
}

function messageOf(bytes: Buffer): Pick<SyslogFields, 'message' | 'charset'> {
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
  const { text, isUtf8: isText } = decoded(hasMark ? bytes.subarray(3) : bytes)
  return isText ? { message: text } : { message: text, charset: 'latin1' }
}

const DATE_3164 = /^(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d /
const HOST_3164 = /^[\w.:-]{1,255} /
const TAG_3164 = /^([\w./-]{1,64})(?:\[([^\]\s]{0,64})\])?: ?/

function read3164(bytes: Buffer, text: string, start: number): SyslogFields {
  let at = start
  const date = DATE_3164.exec(text.slice(at, at + 16))?.[0]
  at += date?.length ?? 0
  // A local sender leaves out the host; the tag ends with a colon, which also a host may have in it.
  const rest = text.slice(at, at + 512)
  const host = date === undefined || TAG_3164.test(rest) ? undefined : HOST_3164.exec(rest)?.[0]
  at += host?.length ?? 0
  const tag = date === undefined ? null : TAG_3164.exec(text.slice(at, at + 256))
  at += tag?.[0].length ?? 0
  return {
    format: 'rfc3164',
    version: null,
    timestamp: null,
    ...(date === undefined ? {} : { timestampText: date.trimEnd() }),
    hostname: host?.trimEnd() ?? null,
    appname: tag?.[1] ?? null,
    procid: tag?.[2] ?? null,
    msgid: null,
    structuredData: {},
    ...messageOf(bytes.subarray(at))
  }
}
