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

import type { RecordCursor } from '../protocol/index.ts'
import { ByteOutput, jsonStringBytes } from './byte-output.ts'
import { isJsonValue, isUtf8Range } from './json-check.ts'
import { KERNEL_COLUMNS, type RecordKernel, recordKernel } from './kernel/record-kernel.ts'
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

/** The records in front of a cursor, to the end of their record batch. */
export interface RecordRun {
  /** Moves as records are taken. */
  readonly cursor: RecordCursor
  readonly isLogAppendTime: boolean
  /** Distance of the record batch from the table's base offset. */
  readonly deltaBase: number
  /** Distance of the row in front, -1 if there is none. Moves as records are taken. */
  deltaLast: number
  /** Rows that the table may have in the end. */
  readonly rowsMax: number
}

/** Writes the rows of a table as one payload. */
export interface PayloadEncoder {
  readonly contentType: string
  /** Rows taken since `begin`. */
  readonly rowCount: number
  /** Bytes of memory held. */
  readonly capacity: number
  /** Starts a payload. `isShared`: somebody may still read the bytes that the last `finish` gave. */
  begin(topic: string, partition: number, isShared: boolean): void
  /**
   * Takes a row if it fits. One that was taken `before` is sent again: only the target's own limit counts for it, as
   * the limit of batches may have been lowered meanwhile, and it must not be left out.
   */
  append(table: RecordTable, row: number, before?: boolean): AppendVerdict
  /**
   * Adds records to the table and takes them, as many as it can in one go. It stops in front of the first that needs
   * a closer look, whatever it is: that one is for `append`. Absent where there is no quicker way than `append`.
   *
   * @returns How many records it took.
   */
  appendRun?(table: RecordTable, run: RecordRun): number
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
  /** Whether the WebAssembly kernel does what it can of `json`. Default true; without it the reference does it all. */
  readonly isKernelUsed?: boolean
}

/** Makes an encoder; it is reused batch after batch. */
export function createPayloadEncoder(options: PayloadOptions): PayloadEncoder {
  if (options.format === 'json') {
    return new JsonEncoder(options.include, options.limits, options.isKernelUsed === false ? undefined : recordKernel())
  }
  return new EsmEncoder(options.origin, options.limits)
}

const CONTENT_TYPE = 'application/json'

class JsonEncoder implements PayloadEncoder {
  readonly contentType = CONTENT_TYPE
  readonly #limits: PayloadLimits
  readonly #kernel: RecordKernel | undefined
  readonly #kernelColumns: number
  readonly #out = new ByteOutput()
  /** Lists that follow the messages, in the order of the payload. */
  readonly #columns: Column[] = []
  readonly #offsets: ByteOutput | undefined
  readonly #timestamps: ByteOutput | undefined
  readonly #keys: ByteOutput | undefined
  readonly #headers: ByteOutput | undefined
  readonly #cursor = new HeaderCursor()
  /** Bytes that `finish` will add to what is written: names and brackets. */
  readonly #tailBytes: number
  #rowCount = 0

  constructor(include: readonly PayloadColumn[], limits: PayloadLimits, kernel: RecordKernel | undefined) {
    this.#limits = limits
    this.#kernel = kernel
    let kernelColumns = 0
    const column = (name: PayloadColumn): ByteOutput | undefined => {
      if (!include.includes(name)) return undefined
      const out = new ByteOutput(4096)
      this.#columns.push({ opening: `,"${name}":[`, out })
      kernelColumns |= KERNEL_COLUMNS[name]
      return out
    }
    this.#offsets = column('offsets')
    this.#timestamps = column('timestamps')
    this.#keys = column('keys')
    this.#headers = column('headers')
    this.#kernelColumns = kernelColumns
    this.#tailBytes = this.#columns.reduce((bytes, { opening }) => bytes + opening.length + 1, ']}'.length)
  }

  get rowCount(): number {
    return this.#rowCount
  }

  get capacity(): number {
    return this.#columns.reduce((bytes, { out }) => bytes + out.capacity, this.#out.capacity)
  }

  begin(topic: string, partition: number, isShared: boolean): void {
    const out = this.#out
    out.reset(isShared)
    for (const column of this.#columns) column.out.reset(false)
    this.#rowCount = 0
    out.ascii('{"topic":')
    out.bytes(jsonStringBytes(topic))
    out.ascii(',"partition":')
    out.integer(partition)
    out.ascii(',"messages":[')
  }

  append(table: RecordTable, row: number, before = false): AppendVerdict {
    const valueStart = table.valueStart(row)
    const valueEnd = table.valueEnd(row)
    const isFirst = this.#rowCount === 0
    const bytesMax = isFirst || before ? this.#limits.bodyBytesMax : this.#limits.bytesMax
    if (this.#size() + (valueEnd - valueStart) > bytesMax) return isFirst ? 'tooLarge' : 'full'
    const buffer = table.bufferOf(row)
    if (valueStart >= 0 && !this.#isJsonValue(buffer, valueStart, valueEnd)) return 'malformed'

    const lengthBefore = this.#out.length
    for (const column of this.#columns) column.lengthBefore = column.out.length
    if (!isFirst) this.#out.byte(0x2c)
    if (valueStart < 0) this.#out.ascii('null')
    else this.#out.slice(buffer, valueStart, valueEnd)
    this.#appendColumns(table, row)
    if (this.#size() > bytesMax) {
      this.#out.truncate(lengthBefore)
      for (const column of this.#columns) column.out.truncate(column.lengthBefore ?? 0)
      return isFirst ? 'tooLarge' : 'full'
    }
    this.#rowCount += 1
    return 'added'
  }

  appendRun(table: RecordTable, run: RecordRun): number {
    const kernel = this.#kernel
    const offsetBase = table.baseOffsetNumber
    if (kernel === undefined || offsetBase === undefined) return 0
    const { cursor } = run
    const countBefore = table.count
    let isShare = true
    for (;;) {
      const rowsMax = Math.min(cursor.recordsLeft, run.rowsMax - table.count)
      const start = cursor.nextPosition
      const bytesLeft = cursor.recordsEnd - start
      if (rowsMax <= 0 || bytesLeft <= 0) break
      // Records of a batch are mostly alike: there is no need to look at much more than the share of those asked for.
      const share = isShare ? Math.ceil((bytesLeft * rowsMax * WINDOW_MARGIN) / cursor.recordsLeft) : bytesLeft
      const end = start + Math.min(bytesLeft, share)
      const rowCount = kernel.takeRun({
        source: cursor.recordBuffer,
        start,
        end,
        rowsMax,
        offsetBase,
        deltaBase: run.deltaBase,
        deltaLast: run.deltaLast,
        timeBaseMs: cursor.timeBaseMs,
        isTimeFixed: cursor.isTimeFixed,
        bytesLeft: this.#limits.bytesMax - this.#size(),
        columns: this.#kernelColumns,
        isFirst: this.#rowCount === 0
      })
      if (rowCount === 0 && !isShare) break
      isShare = rowCount > 0
      if (rowCount === 0) continue
      this.#takeOver(kernel, rowCount)
      table.addRun(cursor.recordBuffer, run.isLogAppendTime, kernel)
      run.deltaLast = kernel.deltaLast
      cursor.skipTo(kernel.next, rowCount)
      // With all of them in sight, it stopped for a reason that is for others to see.
      if (end === cursor.recordsEnd && end - start <= kernel.inputBytesMax) break
    }
    return table.count - countBefore
  }

  /** Takes over the texts of a run. */
  #takeOver(kernel: RecordKernel, rowCount: number): void {
    const { memory } = kernel
    this.#out.slice(memory, kernel.messagesStart, kernel.messagesEnd)
    this.#offsets?.slice(memory, kernel.offsetsStart, kernel.offsetsEnd)
    this.#timestamps?.slice(memory, kernel.timestampsStart, kernel.timestampsEnd)
    this.#keys?.slice(memory, kernel.keysStart, kernel.keysEnd)
    const headers = this.#headers
    // A run holds no records with headers if they are wanted.
    if (headers !== undefined) {
      for (let index = 0; index < rowCount; index += 1) headers.ascii(headers.length === 0 ? '[]' : ',[]')
    }
    this.#rowCount += rowCount
  }

  finish(): Buffer {
    const out = this.#out
    out.reserve(this.#size() - out.length)
    out.byte(0x5d)
    for (const column of this.#columns) {
      out.ascii(column.opening)
      out.bytes(column.out.view())
      out.byte(0x5d)
    }
    out.byte(0x7d)
    return out.view()
  }

  #isJsonValue(buffer: Buffer, start: number, end: number): boolean {
    return this.#kernel?.isJsonValue(buffer, start, end) ?? isJsonValue(buffer, start, end)
  }

  #size(): number {
    let size = this.#out.length + this.#tailBytes
    for (const column of this.#columns) size += column.out.length
    return size
  }

  #appendColumns(table: RecordTable, row: number): void {
    const isFirst = this.#rowCount === 0
    if (!isFirst) for (const column of this.#columns) column.out.byte(0x2c)
    if (this.#offsets !== undefined) writeOffset(this.#offsets, table, row)
    this.#timestamps?.integer(table.timestampMs(row))
    if (this.#keys !== undefined) {
      writeText(this.#keys, { buffer: table.bufferOf(row), start: table.keyStart(row), end: table.keyEnd(row) })
    }
    if (this.#headers === undefined) return
    table.openHeaders(row, this.#cursor)
    writeHeaders(this.#headers, this.#cursor)
  }
}

/** A list of the payload. */
interface Column {
  readonly opening: string
  readonly out: ByteOutput
  /** Length before the row that is being added. */
  lengthBefore?: number
}

/** How much more than their share of the bytes the records asked for may have. */
const WINDOW_MARGIN = 1.1

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

  append(table: RecordTable, row: number, before = false): AppendVerdict {
    const isFirst = this.#rowCount === 0
    const bytesMax = (isFirst || before ? this.#limits.bodyBytesMax : this.#limits.bytesMax) - ']}}'.length
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

function writeOffset(out: ByteOutput, table: RecordTable, row: number): void {
  const offset = table.offsetNumber(row)
  if (offset === undefined) out.ascii(table.offset(row).toString())
  else out.integer(offset)
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
