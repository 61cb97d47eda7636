/**
 * Where a source of bytes goes on, and how it knows that the bytes are those of
 * the last time.
 *
 * A position alone would be believed of any input. So it carries hashes of the
 * first bytes and of the bytes right before it: a file that was replaced,
 * truncated or rewritten differs in one of them or is too short. Device and inode
 * find a file again that was renamed; they prove nothing, because inodes are used
 * again and a copy of a file has another one.
 */

import { createHash } from 'node:crypto'

/** Most bytes of the beginning that are hashed. */
export const HEAD_BYTES_MAX = 4096
/** Most bytes before the position that are hashed. */
export const TAIL_BYTES_MAX = 1024

const LF = 0x0a
const CR = 0x0d

/** Some bytes of an input, by their hash. */
export interface BytesDigest {
  readonly bytes: number
  /** SHA-256 as 64 hexadecimal digits. */
  readonly sha256: string
}

/** Where a file lies: both as decimal digits, because inodes have 64 bits. */
export interface FileIdentity {
  readonly device: string
  readonly inode: string
}

/** A position in an input, and what the input looks like before it. */
export interface ResumePoint {
  /** Bytes from the start of the input; of a compressed file, of what is in it. */
  readonly bytes: number
  /** Lines that end before it. */
  readonly lines: number
  /** Whether the last of them ended with a newline; else with the end of the input. */
  readonly isLineEnded: boolean
  /** The first bytes of the input. */
  readonly head: BytesDigest
  /** The bytes right before the position. */
  readonly tail: BytesDigest
  /** Where the file was; absent for standard input. */
  readonly file?: FileIdentity
}

/** A position while a source runs: hashes are only made when it is written. */
export interface LineMark {
  readonly bytes: number
  readonly lines: number
  /** The last bytes before it, at most `TAIL_BYTES_MAX`. */
  readonly tail: Buffer
}

/** The hash of bytes. */
export function digestOf(bytes: Buffer): BytesDigest {
  return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
}

/** The point of a mark. `head` has the first bytes of the input, as many as are known. */
export function pointOf(mark: LineMark, head: Buffer, file?: FileIdentity): ResumePoint {
  return {
    bytes: mark.bytes,
    lines: mark.lines,
    isLineEnded: mark.tail.length === 0 || mark.tail.at(-1) === LF,
    head: digestOf(head.subarray(0, Math.min(mark.bytes, HEAD_BYTES_MAX))),
    tail: digestOf(mark.tail),
    ...(file === undefined ? {} : { file })
  }
}

/** A point out of a state file; `undefined` if it is none. */
export function readPoint(value: unknown): ResumePoint | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { bytes, lines, isLineEnded, head, tail, file } = value as { [K in keyof ResumePoint]?: unknown }
  if (!isCount(bytes) || !isCount(lines) || typeof isLineEnded !== 'boolean') return undefined
  if (!isDigest(head) || !isDigest(tail) || head.bytes > bytes || tail.bytes > bytes) return undefined
  const point = { bytes, lines, isLineEnded, head, tail }
  if (file === undefined) return point
  return isIdentity(file) ? { ...point, file } : undefined
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function isDigest(value: unknown): value is BytesDigest {
  if (typeof value !== 'object' || value === null) return false
  const { bytes, sha256 } = value as { [K in keyof BytesDigest]?: unknown }
  return isCount(bytes) && typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256)
}

function isIdentity(value: unknown): value is FileIdentity {
  if (typeof value !== 'object' || value === null) return false
  const { device, inode } = value as { [K in keyof FileIdentity]?: unknown }
  return typeof device === 'string' && typeof inode === 'string'
}

/** Whether an input is the one that a point belongs to; if not, why not. */
export type PointCheck =
  | {
      readonly kind: 'same'
      /** Bytes to leave out in all: those of the point, and a newline that its last line has got since. */
      readonly skipBytes: number
    }
  | { readonly kind: 'other'; readonly reason: string }

/** Reads a part of an input; shorter only if the input ends before. */
export type PartReader = (position: number, bytes: number) => Promise<Buffer>

/** Looks at an input that can be read at any place. */
export async function checkPoint(point: ResumePoint, read: PartReader): Promise<PointCheck> {
  const head = await read(0, point.head.bytes)
  const tailStart = point.bytes - point.tail.bytes
  const behind = await read(tailStart, point.tail.bytes + 2)
  return judge(point, { head, tail: behind.subarray(0, point.tail.bytes), next: behind.subarray(point.tail.bytes) })
}

function judge(
  point: ResumePoint,
  found: { readonly head: Buffer; readonly tail: Buffer; readonly next: Buffer }
): PointCheck {
  if (found.head.length < point.head.bytes || found.tail.length < point.tail.bytes) {
    return {
      kind: 'other',
      reason: `it ends before byte ${point.bytes}, which was reached: it is another one, or was cut`
    }
  }
  if (digestOf(found.head).sha256 !== point.head.sha256) return { kind: 'other', reason: 'it begins with other bytes' }
  if (digestOf(found.tail).sha256 !== point.tail.sha256) {
    return { kind: 'other', reason: `the bytes before byte ${point.bytes}, which was reached, are others` }
  }
  if (point.isLineEnded || found.next.length === 0) return { kind: 'same', skipBytes: point.bytes }
  if (found.next[0] === LF) return { kind: 'same', skipBytes: point.bytes + 1 }
  if (found.next[0] === CR && found.next[1] === LF) return { kind: 'same', skipBytes: point.bytes + 2 }
  const reason = `line ${point.lines} was published when the input ended with it, and goes on now`
  return { kind: 'other', reason }
}

/** Leaves out the bytes of a stream that were published, and looks at them meanwhile. */
export class StreamSkipper {
  readonly #point: ResumePoint
  #position = 0
  #head: Buffer = Buffer.alloc(0)
  /** The bytes from the tail's start on, as far as they have come. */
  #behind: Buffer = Buffer.alloc(0)

  constructor(point: ResumePoint) {
    this.#point = point
  }

  /** The first bytes of the stream, as many as were kept. */
  get head(): Buffer {
    return this.#head
  }

  /**
   * Takes the next bytes.
   *
   * @returns What was found out and the bytes behind the position, or `undefined` as long as more must come.
   */
  push(bytes: Buffer): { readonly check: PointCheck; readonly rest: Buffer } | undefined {
    if (this.#head.length < HEAD_BYTES_MAX) {
      this.#head = Buffer.concat([this.#head, bytes.subarray(0, HEAD_BYTES_MAX - this.#head.length)])
    }
    const tailStart = this.#point.bytes - this.#point.tail.bytes
    const from = Math.max(0, tailStart - this.#position)
    this.#position += bytes.length
    if (from < bytes.length) this.#behind = Buffer.concat([this.#behind, bytes.subarray(from)])
    // A line without its end needs two bytes more, to see how it goes on.
    const neededBytes = this.#point.bytes + (this.#point.isLineEnded ? 0 : 2)
    return this.#position < neededBytes ? undefined : this.end()
  }

  /** The stream has ended, or enough of it has come. */
  end(): { readonly check: PointCheck; readonly rest: Buffer } {
    const { bytes, head, tail } = this.#point
    const check = judge(this.#point, {
      head: this.#head.subarray(0, head.bytes),
      tail: this.#behind.subarray(0, tail.bytes),
      next: this.#behind.subarray(tail.bytes)
    })
    const skippedBytes = check.kind === 'same' ? check.skipBytes - bytes : 0
    return { check, rest: this.#behind.subarray(tail.bytes + skippedBytes) }
  }
}
