/**
 * The wire form of a spill: groups of records, each with its checksum.
 *
 * A group is what one fsync makes safe, or a part of it.
 *
 *   uint32  magic "CSP1"
 *   uint32  CRC-32C of everything behind it
 *   uint32  size of the whole group, in bytes
 *   uint32  count of records
 *   uint64  number of the first record; records are numbered without gaps
 *   int64   when the group was made, in milliseconds since 1970
 *   record* int32 length of topic, topic, int32 length of key (-1 = null), key,
 *           int32 length of value (-1 = null), value, float64 timestamp,
 *           int32 partition (-1 = by the key), int32 count of headers,
 *           header*: int32 length of name, name, int32 length of value (-1 = null), value
 *
 * Numbers are big-endian. Whoever reads gets views into the bytes read.
 */

import type { AppendHeader, AppendRecord } from '../../client/index.ts'
import { crc32c } from '../../protocol/index.ts'

/** Bytes of a group before its records. */
export const GROUP_HEADER_BYTES = 32

/** "CSP1". */
export const GROUP_MAGIC = 0x43_53_50_31

const RECORD_FIXED_BYTES = 28
const HEADER_FIXED_BYTES = 8
const FIRST_BUFFER_BYTES = 65_536

/** Bytes that a record takes in a group, exact. */
export function spilledBytesOf(record: AppendRecord): number {
  let bytes = RECORD_FIXED_BYTES + Buffer.byteLength(record.topic)
  bytes += (record.key?.length ?? 0) + (record.value?.length ?? 0)
  for (const header of record.headers ?? []) {
    bytes += HEADER_FIXED_BYTES + Buffer.byteLength(header.key) + (header.value?.length ?? 0)
  }
  return bytes
}

/** Builds one group. */
export class GroupBuilder {
  #buffer = Buffer.allocUnsafe(FIRST_BUFFER_BYTES)
  #end = GROUP_HEADER_BYTES
  #recordCount = 0

  get recordCount(): number {
    return this.#recordCount
  }

  /** Bytes of memory that it holds. */
  get heldBytes(): number {
    return this.#buffer.length
  }

  /** Bytes of the group so far, its header included. */
  get sizeBytes(): number {
    return this.#end
  }

  /** @param timestampMs - Of a record that has none: when it was accepted. */
  add(record: AppendRecord, timestampMs: number): void {
    this.#reserve(spilledBytesOf(record))
    this.#text(record.topic)
    this.#bytes(record.key)
    this.#bytes(record.value)
    this.#end = this.#buffer.writeDoubleBE(record.timestampMs ?? timestampMs, this.#end)
    this.#int32(record.partition ?? -1)
    const headers = record.headers ?? []
    this.#int32(headers.length)
    for (const header of headers) {
      this.#text(header.key)
      this.#bytes(header.value)
    }
    this.#recordCount += 1
  }

  /** Begins a new group in the same memory: what `build` gave before must be done with. */
  reset(): void {
    this.#end = GROUP_HEADER_BYTES
    this.#recordCount = 0
  }

  /** The whole group, a view into the builder's memory. */
  build(firstNumber: number, madeAtMs: number): Buffer {
    const group = this.#buffer.subarray(0, this.#end)
    group.writeUInt32BE(GROUP_MAGIC, 0)
    group.writeUInt32BE(group.length, 8)
    group.writeUInt32BE(this.#recordCount, 12)
    group.writeBigUInt64BE(BigInt(firstNumber), 16)
    group.writeBigInt64BE(BigInt(Math.trunc(madeAtMs)), 24)
    group.writeUInt32BE(crc32c(group, 8, group.length), 4)
    return group
  }

  #int32(value: number): void {
    this.#end = this.#buffer.writeInt32BE(value, this.#end)
  }

  #text(text: string): void {
    const length = this.#buffer.write(text, this.#end + 4)
    this.#int32(length)
    this.#end += length
  }

  #bytes(bytes: Buffer | null): void {
    this.#int32(bytes === null ? -1 : bytes.length)
    if (bytes !== null) this.#end += bytes.copy(this.#buffer, this.#end)
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#end + bytes))
    this.#buffer.copy(larger, 0, 0, this.#end)
    this.#buffer = larger
  }
}

/** What the first bytes of a group say. Not checked yet. */
export interface GroupHeader {
  readonly sizeBytes: number
  readonly recordCount: number
  readonly firstNumber: number
  readonly madeAtMs: number
}

/** The header of a group, or `undefined` if the bytes are none. */
export function readGroupHeader(bytes: Buffer, position = 0): GroupHeader | undefined {
  if (bytes.length - position < GROUP_HEADER_BYTES || bytes.readUInt32BE(position) !== GROUP_MAGIC) return undefined
  const sizeBytes = bytes.readUInt32BE(position + 8)
  const recordCount = bytes.readUInt32BE(position + 12)
  const firstNumber = Number(bytes.readBigUInt64BE(position + 16))
  const isSane = sizeBytes >= GROUP_HEADER_BYTES + recordCount * RECORD_FIXED_BYTES && recordCount > 0
  if (!isSane || !Number.isSafeInteger(firstNumber)) return undefined
  return { sizeBytes, recordCount, firstNumber, madeAtMs: Number(bytes.readBigInt64BE(position + 24)) }
}

/** Whether a whole group is as it was written. */
export function isGroupSound(group: Buffer): boolean {
  return group.readUInt32BE(4) === crc32c(group, 8, group.length)
}

/** The records of a group that is sound; views into it. */
export function readRecords(group: Buffer): AppendRecord[] {
  const reader = new RecordReader(group)
  const count = group.readUInt32BE(12)
  return Array.from({ length: count }, () => reader.next())
}

class RecordReader {
  readonly #group: Buffer
  #position = GROUP_HEADER_BYTES

  constructor(group: Buffer) {
    this.#group = group
  }

  next(): AppendRecord {
    const topic = this.#text()
    const key = this.#bytes()
    const value = this.#bytes()
    const timestampMs = this.#group.readDoubleBE(this.#position)
    this.#position += 8
    const partition = this.#int32()
    const headerCount = this.#int32()
    const headers: AppendHeader[] = []
    for (let index = 0; index < headerCount; index += 1) headers.push({ key: this.#text(), value: this.#bytes() })
    return {
      topic,
      key,
      value,
      timestampMs,
      ...(partition < 0 ? {} : { partition }),
      ...(headerCount === 0 ? {} : { headers })
    }
  }

  #int32(): number {
    const value = this.#group.readInt32BE(this.#position)
    this.#position += 4
    return value
  }

  #text(): string {
    const length = this.#int32()
    const text = this.#group.toString('utf8', this.#position, this.#position + length)
    this.#position += length
    return text
  }

  #bytes(): Buffer | null {
    const length = this.#int32()
    if (length < 0) return null
    const bytes = this.#group.subarray(this.#position, this.#position + length)
    this.#position += length
    return bytes
  }
}
