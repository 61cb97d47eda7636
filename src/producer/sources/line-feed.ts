/**
 * From bytes to chunks of lines, with the mark behind each chunk: where a reader
 * would go on that has all events up to there.
 */

import type { EventChunk } from '../event-chunk.ts'
import { LineSplitter } from '../line-splitter.ts'
import { HEAD_BYTES_MAX, type LineMark, type ResumePoint, TAIL_BYTES_MAX } from './resume-point.ts'
import { type TextLines, wrapLines } from './text-lines.ts'

/** Lines, and where they end. */
export interface FedLines {
  /** The events; `undefined` if there were blank lines only. */
  readonly chunk: EventChunk | undefined
  readonly mark: LineMark
}

/** What a line feed is made of. */
export interface LineFeedOptions {
  /** Longest event, in bytes. */
  readonly recordBytesMax: number
  /** Lines are text: what they become. Default: a line is an event. */
  readonly text?: TextLines | undefined
  /** Where the bytes begin. Default: at the start of the input. */
  readonly from?: Pick<ResumePoint, 'bytes' | 'lines'> | undefined
  /** The first bytes of the input, if they do not come through this feed. */
  readonly head?: Buffer | undefined
}

/** Cuts one input into lines. */
export class LineFeed {
  readonly #lines: LineSplitter
  readonly #text: TextLines | undefined
  #head: Buffer
  #last: LineMark

  constructor(options: LineFeedOptions) {
    const from = options.from ?? { bytes: 0, lines: 0 }
    this.#lines = new LineSplitter(options.recordBytesMax, from)
    this.#text = options.text
    this.#head = options.head ?? Buffer.alloc(0)
    this.#last = { bytes: from.bytes, lines: from.lines, tail: Buffer.alloc(0) }
  }

  /** The first bytes of the input, at most `HEAD_BYTES_MAX`. */
  get head(): Buffer {
    return this.#head
  }

  /** Bytes that were pushed, and those before them. */
  get position(): number {
    return this.#lines.position
  }

  /** Behind the last whole line. */
  get mark(): LineMark {
    return this.#last
  }

  /** Takes the next bytes; gives the lines that they finish. */
  push(bytes: Buffer): FedLines | undefined {
    const start = this.#lines.position
    if (this.#head.length === start && start < HEAD_BYTES_MAX) {
      this.#head = Buffer.concat([this.#head, bytes.subarray(0, HEAD_BYTES_MAX - start)])
    }
    const newline = bytes.lastIndexOf(0x0a)
    const chunk = this.#lines.push(bytes)
    if (newline < 0) return undefined
    return this.#fed(chunk, { bytes: start + newline + 1, before: bytes.subarray(0, newline + 1) })
  }

  /** The input has ended: gives its last line, if that had no newline. */
  end(): FedLines | undefined {
    const bytes = this.#lines.position
    if (bytes === this.#last.bytes) return undefined
    const chunk = this.#lines.end()
    // Enough to tell that the line had no end; more of it lies before what was pushed last.
    const before = chunk === undefined ? Buffer.alloc(0) : chunk.bytes
    return this.#fed(chunk, { bytes, before })
  }

  #fed(chunk: EventChunk | undefined, end: { readonly bytes: number; readonly before: Buffer }): FedLines {
    const tail = Buffer.from(end.before.subarray(-TAIL_BYTES_MAX)) // a copy: marks live longer than chunks
    this.#last = { bytes: end.bytes, lines: this.#lines.lineCount, tail }
    const wrapped = chunk !== undefined && this.#text !== undefined ? wrapLines(chunk, this.#text) : chunk
    return { chunk: wrapped, mark: this.#last }
  }
}
