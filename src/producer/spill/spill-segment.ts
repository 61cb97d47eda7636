/**
 * One segment file of a spill, and how its groups are read.
 *
 * The file is named after the number of its first record, in 20 digits. What
 * stands at or behind the first number of the next segment is left over from a
 * write that failed and was done again there: it does not count.
 */

import path from 'node:path'

import { GROUP_HEADER_BYTES, GROUP_MAGIC, type GroupHeader, isGroupSound, readGroupHeader } from './spill-group.ts'
import { readAll, type SpillDisk } from './spill-disk.ts'

const SUFFIX = '.spill'
const NAME = /^\d{20}\.spill$/
/** Bytes of one read: most groups are smaller. */
const READ_BYTES = 262_144
/** Bytes of one step of a search for the next group. */
const SEARCH_BYTES = 1_048_576

/** A segment file. */
export interface Segment {
  /** Number of its first record. */
  readonly firstNumber: number
  readonly path: string
  /** Bytes of whole groups that are durable, as far as is known. */
  sizeBytes: number
}

/** A whole group, checked. */
export interface FoundGroup extends GroupHeader {
  readonly bytes: Buffer
  readonly position: number
}

/** What is at a position: a sound group, the end, or bytes that are no sound group. */
export type Look =
  | { readonly kind: 'group'; readonly group: FoundGroup }
  | { readonly kind: 'end' }
  /** `isWhole`: they say that they are a group and all of it is there, but the checksum does not agree. */
  | { readonly kind: 'damaged'; readonly isWhole: boolean }

/** Path of the segment that begins with a number. */
export function segmentPath(folder: string, firstNumber: number): string {
  return path.join(folder, `${String(firstNumber).padStart(20, '0')}${SUFFIX}`)
}

/** Number of the first record of a segment by its file's name; `undefined` if it is no segment. */
export function segmentNumber(name: string): number | undefined {
  return NAME.test(name) ? Number(name.slice(0, -SUFFIX.length)) : undefined
}

/** Reads the groups of one open segment file. */
export class SegmentReader {
  readonly #disk: SpillDisk
  readonly #fd: number
  /** A piece of the file: whatever of it is durable never changes. */
  #piece: Buffer = Buffer.alloc(0)
  #pieceStart = 0

  constructor(disk: SpillDisk, fd: number) {
    this.#disk = disk
    this.#fd = fd
  }

  /** The group at a position of the first `sizeBytes` bytes. */
  async look(position: number, sizeBytes: number): Promise<Look> {
    if (position >= sizeBytes) return { kind: 'end' }
    const start = await this.#bytes(position, Math.min(GROUP_HEADER_BYTES, sizeBytes - position), sizeBytes)
    const header = readGroupHeader(start)
    if (header === undefined || position + header.sizeBytes > sizeBytes) return { kind: 'damaged', isWhole: false }
    const bytes = await this.#bytes(position, header.sizeBytes, sizeBytes)
    if (bytes.length < header.sizeBytes) return { kind: 'damaged', isWhole: false }
    if (!isGroupSound(bytes)) return { kind: 'damaged', isWhole: true }
    return { kind: 'group', group: { ...header, bytes, position } }
  }

  /** The first sound group behind a position whose number is at least that. */
  async search(from: number, sizeBytes: number, numberMin: number): Promise<FoundGroup | undefined> {
    const magic = Buffer.alloc(4)
    magic.writeUInt32BE(GROUP_MAGIC)
    for (let start = from; start < sizeBytes; start += SEARCH_BYTES) {
      const length = Math.min(SEARCH_BYTES + magic.length - 1, sizeBytes - start)
      const piece = Buffer.from(await this.#bytes(start, length, sizeBytes))
      for (let at = piece.indexOf(magic); at >= 0; at = piece.indexOf(magic, at + 1)) {
        const look = await this.look(start + at, sizeBytes)
        if (look.kind === 'group' && look.group.firstNumber >= numberMin) return look.group
      }
    }
    return undefined
  }

  /** At most `length` bytes from a position; fewer only at the end of the file. */
  async #bytes(position: number, length: number, sizeBytes: number): Promise<Buffer> {
    const pieceEnd = this.#pieceStart + this.#piece.length
    if (position < this.#pieceStart || position + length > pieceEnd) {
      // A new buffer: records that were read before are views into the old one.
      const fresh = Buffer.allocUnsafe(Math.min(sizeBytes - position, Math.max(length, READ_BYTES)))
      const count = await readAll(this.#disk, { fd: this.#fd, position }, fresh)
      this.#piece = fresh.subarray(0, count)
      this.#pieceStart = position
    }
    const start = position - this.#pieceStart
    return this.#piece.subarray(start, start + length)
  }
}
