/**
 * Splits a stream of bytes into lines, a chunk at a time.
 *
 * A line ends with LF or CRLF, the last one also with the end of the stream. A
 * UTF-8 byte order mark at the very start is not part of the first line. Lines
 * that are empty or blank are skipped, but counted.
 *
 * Invariant: at most `lineBytesMax` bytes of an unfinished line are kept,
 * however long it is; the rest is counted and dropped, and the line is handed
 * over truncated so that it can be dead-lettered.
 */

import { ChunkBuilder, type EventChunk } from './event-chunk.ts'

const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const TAB = 0x09

/** Splits one stream into lines. */
export class LineSplitter {
  readonly #keptBytesMax: number
  readonly #builder = new ChunkBuilder()
  /** Pieces of the unfinished line. */
  #pieces: Buffer[] = []
  #keptBytes = 0
  #droppedBytes = 0
  #line: number
  #position: number

  /**
   * @param lineBytesMax - Longest line that is kept whole, in bytes.
   * @param from - What of the stream came before what will be pushed: whole lines, and their bytes. Default nothing.
   */
  constructor(lineBytesMax: number, from: { readonly lines: number; readonly bytes: number } = { lines: 0, bytes: 0 }) {
    this.#keptBytesMax = lineBytesMax + 1 // the CR of a line that is just short enough
    this.#line = from.lines + 1
    this.#position = from.bytes
  }

  /** Bytes pushed so far, and those before them. */
  get position(): number {
    return this.#position
  }

  /** Lines that have ended so far, blank ones and those before included. */
  get lineCount(): number {
    return this.#line - 1
  }

  /** Takes the next bytes; gives the lines that they finish, or `undefined` if they finish none. */
  push(bytes: Buffer): EventChunk | undefined {
    this.#position += bytes.length
    const newline = bytes.indexOf(LF)
    if (newline < 0) {
      this.#keep(bytes)
      return undefined
    }
    if (this.#keptBytes + this.#droppedBytes + newline > this.#keptBytesMax) return this.#afterLongLine(bytes, newline)
    const joined = this.#pieces.length === 0 ? bytes : Buffer.concat([...this.#pieces, bytes])
    this.#forget()
    return this.#split(joined, 0)
  }

  /** The stream has ended: gives the last line if it had no newline. */
  end(): EventChunk | undefined {
    if (this.#keptBytes === 0) return undefined
    const bytes = this.#takeUnfinished()
    return this.#builder.count === 0 ? undefined : this.#builder.build(bytes, this.#position)
  }

  /** All lines of a buffer from `from` on; what follows the last newline is kept. */
  #split(bytes: Buffer, from: number): EventChunk | undefined {
    let start = from
    for (let newline = bytes.indexOf(LF, start); newline >= 0; newline = bytes.indexOf(LF, start)) {
      this.#addLine(bytes, start, newline)
      start = newline + 1
    }
    // A copy, so that an unfinished line does not hold the whole buffer.
    if (start < bytes.length) this.#keep(Buffer.from(bytes.subarray(start)))
    if (this.#builder.count === 0) return undefined
    return this.#builder.build(bytes.subarray(0, start), this.#position - this.#keptBytes - this.#droppedBytes)
  }

  /** The unfinished line is too long to be kept: hands over its beginning, then the lines behind it. */
  #afterLongLine(bytes: Buffer, newline: number): EventChunk | undefined {
    this.#keep(bytes.subarray(0, newline))
    const head = this.#takeUnfinished()
    return this.#split(Buffer.concat([head, bytes.subarray(newline + 1)]), head.length)
  }

  /** Adds the unfinished line as an event, truncated if bytes of it were dropped; gives its bytes. */
  #takeUnfinished(): Buffer {
    const bytes = Buffer.concat(this.#pieces)
    const wholeBytes = this.#keptBytes + this.#droppedBytes
    this.#forget()
    const isAdded = this.#addLine(bytes, 0, bytes.length)
    if (isAdded && wholeBytes > bytes.length) this.#builder.markTruncated(wholeBytes)
    return bytes
  }

  /** Adds a line as an event; `false` if it is blank. */
  #addLine(bytes: Buffer, from: number, newline: number): boolean {
    const line = this.#line
    this.#line += 1
    const start = line === 1 ? from + byteOrderMarkLength(bytes, from) : from
    const end = newline > start && bytes[newline - 1] === CR ? newline - 1 : newline
    if (isBlank(bytes, start, end)) return false
    this.#builder.add(start, end, line)
    return true
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return
    const room = Math.max(0, this.#keptBytesMax - this.#keptBytes)
    if (room > 0) this.#pieces.push(bytes.subarray(0, room))
    this.#keptBytes += Math.min(room, bytes.length)
    this.#droppedBytes += Math.max(0, bytes.length - room)
  }

  #forget(): void {
    this.#pieces = []
    this.#keptBytes = 0
    this.#droppedBytes = 0
  }
}

/** The lines of bytes that are all there is; the last one may lack its end. `undefined` if none holds anything. */
export function splitLines(bytes: Buffer): EventChunk | undefined {
  const builder = new ChunkBuilder()
  let start = byteOrderMarkLength(bytes, 0)
  for (let line = 1; start < bytes.length; line += 1) {
    const newline = bytes.indexOf(LF, start)
    const next = newline < 0 ? bytes.length : newline
    const end = next > start && bytes[next - 1] === CR ? next - 1 : next
    if (!isBlank(bytes, start, end)) builder.add(start, end, line)
    start = next + 1
  }
  return builder.count === 0 ? undefined : builder.build(bytes, bytes.length)
}

function isBlank(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at]
    if (byte !== SPACE && byte !== TAB && byte !== CR) return false
  }
  return true
}

function byteOrderMarkLength(bytes: Buffer, at: number): number {
  return bytes[at] === 0xef && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf ? 3 : 0
}
