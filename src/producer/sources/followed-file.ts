/**
 * One file that is being followed: open, read up to where it ended, and able to
 * say whether what was read is still there.
 *
 * The handle outlives renames: a file that was rotated away is read to its end
 * whatever its name is. Before new bytes are believed, the first bytes of the file
 * and those before the position are looked at: a file that was truncated and
 * written again can be longer than before.
 */

import type { FileHandle } from 'node:fs/promises'

import { readPart } from './file-input.ts'
import { type FedLines, LineFeed } from './line-feed.ts'
import {
  checkPoint,
  digestOf,
  type FileIdentity,
  HEAD_BYTES_MAX,
  pointOf,
  type ResumePoint,
  TAIL_BYTES_MAX
} from './resume-point.ts'
import { type LogFile, openListed } from './rotated-files.ts'
import type { TextLines } from './text-lines.ts'

/** Bytes of one read. */
const READ_BYTES = 262_144
/** Bytes of the beginning, and before the position, that are compared before each reading. */
const COMPARED_BYTES = 256

/** How a file is opened. */
export interface FollowedFileOptions {
  readonly log: LogFile
  /** Where to go on; must have been checked. Default: at its start. */
  readonly from?: { readonly bytes: number; readonly lines: number }
  readonly recordBytesMax: number
  readonly text: TextLines | undefined
}

/** What a look at a file says. */
export type FileLook =
  | { readonly kind: 'same' }
  | { readonly kind: 'grown' }
  /** It is shorter than what was read, or holds other bytes. */
  | { readonly kind: 'cut' }

/** What a reading gives: lines, if the bytes finish some; the end of the file; or that it was cut. */
export type FileReading =
  { readonly kind: 'read'; readonly lines: FedLines | undefined } | { readonly kind: 'end' } | { readonly kind: 'cut' }

/** A file that is read as it grows. */
export class FollowedFile {
  readonly path: string
  readonly file: FileIdentity
  readonly #handle: FileHandle
  readonly #feed: LineFeed
  readonly #fromBytes: number
  /** Bytes that were read. */
  #position: number
  /** The last bytes that were read. */
  #tail: Buffer
  #modifiedMs: number

  private constructor(
    handle: FileHandle,
    options: FollowedFileOptions,
    seen: { file: FileIdentity; head: Buffer; tail: Buffer; modifiedMs: number }
  ) {
    const { log, from = { bytes: 0, lines: 0 }, recordBytesMax, text } = options
    this.path = log.path
    this.file = seen.file
    this.#handle = handle
    this.#feed = new LineFeed({ recordBytesMax, text, from, head: seen.head.subarray(0, from.bytes) })
    this.#fromBytes = from.bytes
    this.#position = from.bytes
    this.#tail = seen.tail
    this.#modifiedMs = seen.modifiedMs
  }

  /** Opens a file, if it still has the name that it was listed under. */
  static async open(options: FollowedFileOptions): Promise<FollowedFile | undefined> {
    const handle = await openListed(options.log)
    if (handle === undefined) return undefined
    try {
      const bytes = options.from?.bytes ?? 0
      const head = await readPart(handle, 0, Math.min(bytes, HEAD_BYTES_MAX))
      const tailBytes = Math.min(bytes, TAIL_BYTES_MAX)
      const tail = await readPart(handle, bytes - tailBytes, tailBytes)
      const { file, modifiedMs } = options.log
      return new FollowedFile(handle, options, { file, head, tail, modifiedMs })
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** Bytes that were read here: those before the place where reading began do not count. */
  get readBytes(): number {
    return this.#position - this.#fromBytes
  }

  /** The position where reading began. */
  get fromBytes(): number {
    return this.#fromBytes
  }

  /** When it was last written, in milliseconds since 1970, as of the last look. */
  get modifiedMs(): number {
    return this.#modifiedMs
  }

  /** Hash of its beginning: an inode that is used again belongs to another beginning. */
  headDigest(): ResumePoint['head'] {
    return digestOf(this.#feed.head)
  }

  /** Looks whether there is more to read. */
  async look(): Promise<FileLook> {
    const { size, mtimeMs } = await this.#handle.stat()
    const isTouched = mtimeMs !== this.#modifiedMs
    this.#modifiedMs = mtimeMs
    if (size < this.#position) return { kind: 'cut' }
    if (size === this.#position && !isTouched) return { kind: 'same' }
    if (!(await this.#isSame())) return { kind: 'cut' }
    return { kind: size > this.#position ? 'grown' : 'same' }
  }

  /**
   * Reads the next bytes, together with those before them: between a look and a
   * reading the file may be truncated and grow beyond the position again.
   */
  async read(): Promise<FileReading> {
    const before = this.#tail.subarray(-COMPARED_BYTES)
    // In one call: of two, the second could read another file's worth of bytes.
    const buffer = Buffer.allocUnsafe(before.length + READ_BYTES)
    const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, this.#position - before.length)
    const all = buffer.subarray(0, bytesRead)
    if (!all.subarray(0, before.length).equals(before)) return { kind: 'cut' }
    const bytes = all.subarray(before.length)
    if (bytes.length === 0) return { kind: 'end' }
    this.#position += bytes.length
    const tail = bytes.length >= TAIL_BYTES_MAX ? bytes : Buffer.concat([this.#tail, bytes])
    this.#tail = Buffer.from(tail.subarray(-TAIL_BYTES_MAX))
    return { kind: 'read', lines: this.#feed.push(bytes) }
  }

  /** Nothing more will come: gives the last line, if it has no end. */
  end(): FedLines | undefined {
    return this.#feed.end()
  }

  /** The point behind a mark of this file. */
  pointOf(mark: FedLines['mark']): ResumePoint {
    return pointOf(mark, this.#feed.head, this.file)
  }

  /** The point behind the last whole line that was read. */
  get point(): ResumePoint {
    return this.pointOf(this.#feed.mark)
  }

  /** Whether another file begins with all that was read of this one: it is a copy, made before this one was cut. */
  async isCopiedTo(log: LogFile): Promise<boolean> {
    if (this.#position === 0) return false
    const read: ResumePoint = {
      ...pointOf({ bytes: this.#position, lines: 0, tail: this.#tail }, this.#feed.head),
      isLineEnded: true // a line that goes on in the copy is what is looked for
    }
    const handle = await openListed(log)
    if (handle === undefined) return false
    try {
      return (await checkPoint(read, (position, bytes) => readPart(handle, position, bytes))).kind === 'same'
    } finally {
      await handle.close()
    }
  }

  /** Gives the file back. Idempotent. */
  async close(): Promise<void> {
    await this.#handle.close().catch(() => undefined) // it was only read
  }

  async #isSame(): Promise<boolean> {
    const head = this.#feed.head.subarray(0, COMPARED_BYTES)
    const tail = this.#tail.subarray(-COMPARED_BYTES)
    const headNow = await readPart(this.#handle, 0, head.length)
    const tailNow = await readPart(this.#handle, this.#position - tail.length, tail.length)
    return headNow.equals(head) && tailNow.equals(tail)
  }
}
