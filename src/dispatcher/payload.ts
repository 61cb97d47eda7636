/**
 * Payload encoders: what a target is sent, written straight from record bytes.
 *
 * `json`: `{"topic","partition","messages":[…],"offsets":[…],"timestamps":[…],"keys":[…],"headers":[…]}`; values are
 * copied verbatim, so each is checked first to be exactly one JSON value; a tombstone is `null`. Keys and header
 * values are strings where they are UTF-8, else `{"base64":"…"}`.
 *
 * `esm`: the event of AWS Lambda's Kafka event source mapping, byte for byte as AWS writes it: base64 keys and
 * values, header bytes as signed integers, absent instead of `null`. Any bytes are accepted.
 *
 * An encoder takes rows until the next one would pass the size limit: what `finish` gives is never larger.
 */

import { ByteOutput, digitCount, jsonStringBytes } from './byte-output.ts'
import { isJsonValue, isUtf8Range } from './json-check.ts'
import { HeaderCursor, type RecordTable } from './record-table.ts'

/** Lists that the `json` payload carries beside `messages`. */
export type PayloadColumn = 'offsets' | 'timestamps' | 'keys' | 'headers'

/** What the `esm` event says about its origin. */
export interface EventOrigin {
  /** `aws:kafka` for Amazon MSK, `SelfManagedKafka` for any other cluster. Default: by whether there is an ARN. */
  readonly eventSource?: 'aws:kafka' | 'SelfManagedKafka'
  /** ARN of the MSK cluster. Only MSK events carry one. */
  readonly eventSourceArn?: string
  /** `host:port`, comma separated. */
  readonly bootstrapServers: string
}

/** Size limits of a payload, in bytes. */
export interface PayloadLimits {
  /** A batch is closed before it passes this. */
  readonly bytesMax: number
  /** What the target takes at most: a record that does not fit alone can never be delivered. */
  readonly bodyBytesMax: number
}

/**
 * What became of a row: taken, left for the next batch, or never deliverable
 * (`malformed` = not one JSON value, `tooLarge` = alone above the target's limit).
 */
export type AppendVerdict = 'added' | 'full' | 'malformed' | 'tooLarge'

/** Writes the rows of a table as one payload. */
export interface PayloadEncoder {
  readonly contentType: string
  /** Rows taken since `begin`. */
  readonly rowCount: number
  /** Bytes of memory held. */
  readonly capacity: number
  /** Starts a payload. `isShared`: somebody may still read the bytes that the last `finish` gave. */
  begin(topic: string, partition: number, isShared: boolean): void
  /** Takes a row if it fits. */
  append(table: RecordTable, row: number): AppendVerdict
  /** The whole payload, valid until the next `begin` (unless that is told it is shared). */
  finish(table: RecordTable): Buffer
}

/** What an encoder is made from. */
export interface PayloadOptions {
  readonly format: 'json' | 'esm'
  /** Columns of `json`. */
  readonly include: readonly PayloadColumn[]
  readonly limits: PayloadLimits
  /** Origin told in `esm` events. */
  readonly origin: EventOrigin
}

/** Makes an encoder; it is reused batch after batch. */
export function createPayloadEncoder(options: PayloadOptions): PayloadEncoder {
  if (options.format === 'json') return new JsonEncoder(options.include, options.limits)
  return new EsmEncoder(options.origin, options.limits)
}

const CONTENT_TYPE = 'application/json'

class JsonEncoder implements PayloadEncoder {
  readonly contentType = CONTENT_TYPE
  readonly #limits: PayloadLimits
  readonly #hasOffsets: boolean
  readonly #hasTimestamps: boolean
  readonly #keys: ByteOutput | undefined
  readonly #headers: ByteOutput | undefined
  readonly #out = new ByteOutput()
  readonly #cursor = new HeaderCursor()
  #rows = new Int32Array(512)
  #rowCount = 0
  /** Bytes that `finish` will add for what is only numbered so far, brackets included. */
  #tailBytes = 0

  constructor(include: readonly PayloadColumn[], limits: PayloadLimits) {
    this.#limits = limits
    this.#hasOffsets = include.includes('offsets')
    this.#hasTimestamps = include.includes('timestamps')
    this.#keys = include.includes('keys') ? new ByteOutput(4096) : undefined
    this.#headers = include.includes('headers') ? new ByteOutput(4096) : undefined
  }

  get rowCount(): number {
    return this.#rowCount
  }

  get capacity(): number {
    return this.#out.capacity + (this.#keys?.capacity ?? 0) + (this.#headers?.capacity ?? 0)
  }

  begin(topic: string, partition: number, isShared: boolean): void {
    const out = this.#out
    out.reset(isShared)
    this.#keys?.reset(false)
    this.#headers?.reset(false)
    this.#rowCount = 0
    this.#tailBytes = ']}'.length
    if (this.#hasOffsets) this.#tailBytes += ',"offsets":[]'.length
    if (this.#hasTimestamps) this.#tailBytes += ',"timestamps":[]'.length
    if (this.#keys !== undefined) this.#tailBytes += ',"keys":[]'.length
    if (this.#headers !== undefined) this.#tailBytes += ',"headers":[]'.length
    out.ascii('{"topic":')
    out.bytes(jsonStringBytes(topic))
    out.ascii(',"partition":')
    out.integer(partition)
    out.ascii(',"messages":[')
  }

  append(table: RecordTable, row: number): AppendVerdict {
    const valueStart = table.valueStart(row)
    const valueEnd = table.valueEnd(row)
    const isFirst = this.#rowCount === 0
    const bytesMax = isFirst ? this.#limits.bodyBytesMax : this.#limits.bytesMax
    if (this.#size() + (valueEnd - valueStart) > bytesMax) return isFirst ? 'tooLarge' : 'full'
    const buffer = table.bufferOf(row)
    if (valueStart >= 0 && !isJsonValue(buffer, valueStart, valueEnd)) return 'malformed'

    const lengthBefore = this.#out.length
    const keysBefore = this.#keys?.length ?? 0
    const headersBefore = this.#headers?.length ?? 0
    const tailBefore = this.#tailBytes
    if (!isFirst) this.#out.byte(0x2c)
    if (valueStart < 0) this.#out.ascii('null')
    else this.#out.slice(buffer, valueStart, valueEnd)
    this.#appendColumns(table, row, isFirst)
    if (this.#size() > bytesMax) {
      this.#out.truncate(lengthBefore)
      this.#keys?.truncate(keysBefore)
      this.#headers?.truncate(headersBefore)
      this.#tailBytes = tailBefore
      return isFirst ? 'tooLarge' : 'full'
    }
    if (this.#rowCount === this.#rows.length) this.#rows = grown(this.#rows)
    this.#rows[this.#rowCount] = row
    this.#rowCount += 1
    return 'added'
  }

  finish(table: RecordTable): Buffer {
    const out = this.#out
    out.reserve(this.#tailBytes + (this.#keys?.length ?? 0) + (this.#headers?.length ?? 0))
    out.byte(0x5d)
    if (this.#hasOffsets) {
      out.ascii(',"offsets":[')
      for (let index = 0; index < this.#rowCount; index += 1) {
        if (index > 0) out.byte(0x2c)
        writeOffset(out, table, this.#rows[index] ?? 0)
      }
      out.byte(0x5d)
    }
    if (this.#hasTimestamps) {
      out.ascii(',"timestamps":[')
      for (let index = 0; index < this.#rowCount; index += 1) {
        if (index > 0) out.byte(0x2c)
        out.integer(table.timestampMs(this.#rows[index] ?? 0))
      }
      out.byte(0x5d)
    }
    if (this.#keys !== undefined) writeColumn(out, ',"keys":[', this.#keys)
    if (this.#headers !== undefined) writeColumn(out, ',"headers":[', this.#headers)
    out.byte(0x7d)
    return out.view()
  }

  #size(): number {
    return this.#out.length + this.#tailBytes + (this.#keys?.length ?? 0) + (this.#headers?.length ?? 0)
  }

  #appendColumns(table: RecordTable, row: number, isFirst: boolean): void {
    const comma = isFirst ? 0 : 1
    if (this.#hasOffsets) this.#tailBytes += offsetDigits(table, row) + comma
    if (this.#hasTimestamps) {
      const timestampMs = table.timestampMs(row)
      this.#tailBytes += (timestampMs < 0 ? digitCount(-timestampMs) + 1 : digitCount(timestampMs)) + comma
    }
    const keys = this.#keys
    if (keys !== undefined) {
      if (!isFirst) keys.byte(0x2c)
      writeText(keys, { buffer: table.bufferOf(row), start: table.keyStart(row), end: table.keyEnd(row) })
    }
    const headers = this.#headers
    if (headers === undefined) return
    if (!isFirst) headers.byte(0x2c)
    table.openHeaders(row, this.#cursor)
    writeHeaders(headers, this.#cursor)
  }
}

class EsmEncoder implements PayloadEncoder {
  readonly contentType = CONTENT_TYPE
  readonly #limits: PayloadLimits
  readonly #prefix: Buffer
  readonly #out = new ByteOutput()
  readonly #cursor = new HeaderCursor()
  #recordPrefix = ''
  #rowCount = 0

  constructor(origin: EventOrigin, limits: PayloadLimits) {
    this.#limits = limits
    const isMsk = (origin.eventSource ?? (origin.eventSourceArn === undefined ? '' : 'aws:kafka')) === 'aws:kafka'
    const fields = isMsk
      ? { eventSource: 'aws:kafka', eventSourceArn: origin.eventSourceArn, bootstrapServers: origin.bootstrapServers }
      : { eventSource: 'SelfManagedKafka', bootstrapServers: origin.bootstrapServers }
    this.#prefix = Buffer.from(`${JSON.stringify(fields).slice(0, -1)},"records":{`, 'utf8')
  }

  get rowCount(): number {
    return this.#rowCount
  }

  get capacity(): number {
    return this.#out.capacity
  }

  begin(topic: string, partition: number, isShared: boolean): void {
    this.#out.reset(isShared)
    this.#rowCount = 0
    // Topic names are ASCII letters, digits, '.', '_' and '-': nothing to escape.
    this.#recordPrefix = `{"topic":"${topic}","partition":${partition},"offset":`
    this.#out.bytes(this.#prefix)
    this.#out.ascii(`"${topic}-${partition}":[`)
  }

  append(table: RecordTable, row: number): AppendVerdict {
    const isFirst = this.#rowCount === 0
    const bytesMax = (isFirst ? this.#limits.bodyBytesMax : this.#limits.bytesMax) - ']}}'.length
    const out = this.#out
    const lengthBefore = out.length
    const valueStart = table.valueStart(row)
    const valueEnd = table.valueEnd(row)
    // The least that the value takes: what is far too large is not even written.
    if (lengthBefore + ((valueEnd - valueStart) * 4) / 3 > bytesMax) return isFirst ? 'tooLarge' : 'full'
    if (!isFirst) out.byte(0x2c)
    out.ascii(this.#recordPrefix)
    writeOffset(out, table, row)
    out.ascii(',"timestamp":')
    out.integer(table.timestampMs(row))
    out.ascii(table.isLogAppendTime(row) ? LOG_APPEND_TIME : CREATE_TIME)
    const buffer = table.bufferOf(row)
    if (table.keyStart(row) >= 0) {
      out.ascii(',"key":')
      out.base64(buffer, table.keyStart(row), table.keyEnd(row))
    }
    if (valueStart >= 0) {
      out.ascii(',"value":')
      out.base64(buffer, valueStart, valueEnd)
    }
    out.ascii(',"headers":[')
    const cursor = this.#cursor
    table.openHeaders(row, cursor)
    for (let isFirstHeader = true; cursor.next(); isFirstHeader = false) {
      out.ascii(isFirstHeader ? '{' : ',{')
      writeHeaderName(out, { buffer, start: cursor.keyStart, end: cursor.keyEnd })
      if (cursor.valueStart < 0) out.ascii('null')
      else out.signedBytes(buffer, cursor.valueStart, cursor.valueEnd)
      out.byte(0x7d)
    }
    out.ascii(']}')
    if (out.length > bytesMax) {
      out.truncate(lengthBefore)
      return isFirst ? 'tooLarge' : 'full'
    }
    this.#rowCount += 1
    return 'added'
  }

  finish(): Buffer {
    this.#out.ascii(']}}')
    return this.#out.view()
  }
}

const CREATE_TIME = ',"timestampType":"CREATE_TIME"'
const LOG_APPEND_TIME = ',"timestampType":"LOG_APPEND_TIME"'

/** A range of bytes; start -1 = null. */
interface ByteRange {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
}

function grown(rows: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const more = new Int32Array(rows.length * 2)
  more.set(rows)
  return more
}

function offsetDigits(table: RecordTable, row: number): number {
  const offset = table.offsetNumber(row)
  return offset === undefined ? table.offset(row).toString().length : digitCount(offset)
}

function writeOffset(out: ByteOutput, table: RecordTable, row: number): void {
  const offset = table.offsetNumber(row)
  if (offset === undefined) out.ascii(table.offset(row).toString())
  else out.integer(offset)
}

function writeColumn(out: ByteOutput, name: string, column: ByteOutput): void {
  out.ascii(name)
  out.bytes(column.view())
  out.byte(0x5d)
}

/** A JSON string if the bytes are UTF-8, else `{"base64":"…"}`; `null` if there are none. */
function writeText(out: ByteOutput, { buffer, start, end }: ByteRange): void {
  if (start < 0) {
    out.ascii('null')
  } else if (isUtf8Range(buffer, start, end)) {
    out.jsonString(buffer, start, end)
  } else {
    out.ascii('{"base64":')
    out.base64(buffer, start, end)
    out.byte(0x7d)
  }
}

/** A header's name and its colon. Names are strings: bytes that are not UTF-8 are replaced, as in Kafka's clients. */
function writeHeaderName(out: ByteOutput, { buffer, start, end }: ByteRange): void {
  if (isUtf8Range(buffer, start, end)) out.jsonString(buffer, start, end)
  else out.bytes(jsonStringBytes(buffer.toString('utf8', start, end)))
  out.byte(0x3a)
}

function writeHeaders(out: ByteOutput, cursor: HeaderCursor): void {
  const buffer = cursor.buffer
  out.byte(0x5b)
  for (let isFirst = true; cursor.next(); isFirst = false) {
    out.ascii(isFirst ? '{' : ',{')
    writeHeaderName(out, { buffer, start: cursor.keyStart, end: cursor.keyEnd })
    writeText(out, { buffer, start: cursor.valueStart, end: cursor.valueEnd })
    out.byte(0x7d)
  }
  out.byte(0x5d)
}
