/**
 * LZ4 frames, reading. Writing is left to a library: what we write is trusted
 * and bounded, what we read is neither.
 *
 *     frame => magic:u32le flags:u8 blockDescriptor:u8 [contentSize:u64le] [dictionaryId:u32le] headerChecksum:u8
 *              (size:u32le data [checksum:u32le])* 0:u32le [contentChecksum:u32le]
 *
 * The top bit of a block's size means that it is stored. Blocks may refer to
 * earlier ones (linked blocks), frames may follow each other. The checksums of
 * blocks and content are skipped: the batch has its own CRC.
 *
 * Source: LZ4 frame format 1.6.2, LZ4 block format, xxHash 32.
 */

import { OutputBuffer, putCopy, putLiterals } from './decompression-output.ts'

const MAGIC = 0x184d2204
const STORED_BIT = 0x8000_0000
const MATCH_BYTES_MIN = 4
/** Most bytes that one byte of a block can stand for, rounded up. */
const RATIO_MAX = 256

const PRIME_1 = 0x9e3779b1
const PRIME_2 = 0x85ebca77
const PRIME_3 = 0xc2b2ae3d
const PRIME_4 = 0x27d4eb2f
const PRIME_5 = 0x165667b1

/** xxHash 32 with seed 0 of fewer than 16 bytes: all that a frame's header needs. */
function xxHash32(bytes: Uint8Array): number {
  let hash = PRIME_5 + bytes.length
  let at = 0
  for (; at + 4 <= bytes.length; at += 4) {
    const lane =
      (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)
    hash = (hash + Math.imul(lane, PRIME_3)) | 0
    hash = Math.imul((hash << 17) | (hash >>> 15), PRIME_4)
  }
  for (; at < bytes.length; at++) {
    hash = (hash + Math.imul(bytes[at] ?? 0, PRIME_5)) | 0
    hash = Math.imul((hash << 11) | (hash >>> 21), PRIME_1)
  }
  hash = Math.imul(hash ^ (hash >>> 15), PRIME_2)
  hash = Math.imul(hash ^ (hash >>> 13), PRIME_3)
  return (hash ^ (hash >>> 16)) >>> 0
}

interface FrameHeader {
  readonly blockBytesMax: number
  readonly hasBlockChecksums: boolean
  readonly hasContentChecksum: boolean
  readonly bytes: number
}

function readFrameHeader(input: Buffer, start: number): FrameHeader {
  if (input.readUInt32LE(start) !== MAGIC) throw new Error('it does not begin like an LZ4 frame')
  const flags = input.readUInt8(start + 4)
  const descriptor = input.readUInt8(start + 5)
  if (flags >>> 6 !== 1) throw new Error(`its frame version is ${flags >>> 6}`)
  const checkedEnd = start + 6 + (flags & 0x08 ? 8 : 0) + (flags & 0x01 ? 4 : 0)
  const checksum = input.readUInt8(checkedEnd)
  if (((xxHash32(input.subarray(start + 4, checkedEnd)) >>> 8) & 0xff) !== checksum) {
    throw new Error("its frame header's checksum is wrong")
  }
  const sizeId = (descriptor >>> 4) & 0x07
  if (sizeId < 4) throw new Error(`its block size id is ${sizeId}`)
  return {
    blockBytesMax: 1 << (8 + 2 * sizeId),
    hasBlockChecksums: (flags & 0x10) !== 0,
    hasContentChecksum: (flags & 0x04) !== 0,
    bytes: checkedEnd + 1 - start
  }
}

/** Decompresses one or more frames. Throws any error on malformed input: the caller gives it its code. */
export function lz4Decompress(input: Buffer, bytesMax: number): Buffer {
  const output = new OutputBuffer(input.length * 4, bytesMax)
  let at = 0
  do at = readFrame(input, at, output)
  while (at < input.length)
  return output.result()
}

function readFrame(input: Buffer, start: number, output: OutputBuffer): number {
  const header = readFrameHeader(input, start)
  const frameStart = output.length
  let at = start + header.bytes
  for (;;) {
    const sizeField = input.readUInt32LE(at)
    at += 4
    if (sizeField === 0) return at + (header.hasContentChecksum ? 4 : 0)
    const isStored = sizeField >= STORED_BIT
    const size = isStored ? sizeField - STORED_BIT : sizeField
    if (size > header.blockBytesMax || at + size > input.length)
      throw new Error(`a block of ${size} bytes is not possible`)
    output.reserve(isStored ? size : Math.min(header.blockBytesMax, size * RATIO_MAX))
    if (isStored) {
      output.buffer.set(input.subarray(at, at + size), output.length)
      output.length += size
    } else output.length = readBlock(input, { start: at, end: at + size }, { output, frameStart })
    at += size + (header.hasBlockChecksums ? 4 : 0)
  }
}

interface BlockTarget {
  readonly output: OutputBuffer
  /** Where the frame's output begins: no match may reach before it. */
  readonly frameStart: number
}

/** Decodes one block behind what the output holds; returns the new length. */
function readBlock(
  input: Buffer,
  block: { readonly start: number; readonly end: number },
  target: BlockTarget
): number {
  const out = target.output.buffer
  const capacity = target.output.reserved
  const { end } = block
  let at = block.start
  let to = target.output.length
  for (;;) {
    const token = input[at++] ?? 0
    let count = token >>> 4
    if (count === 15) {
      let more = 255
      for (; more === 255 && at < end; count += more) more = input[at++] ?? 0
    }
    if (at + count > end) throw new Error('literals go beyond their block')
    if (to + count > capacity) throw target.output.overflow()
    putLiterals({ from: input, to: out }, { at, position: to, count })
    at += count
    to += count
    // The last sequence has no match.
    if (at === end) return to
    if (at + 2 > end) throw new Error('a match is cut off')
    const distance = (input[at] ?? 0) | ((input[at + 1] ?? 0) << 8)
    at += 2
    let length = token & 15
    if (length === 15) {
      let more = 255
      for (; more === 255 && at < end; length += more) more = input[at++] ?? 0
    }
    length += MATCH_BYTES_MIN
    if (distance === 0 || to - distance < target.frameStart) throw new Error('a match points before its frame')
    if (to + length > capacity) throw target.output.overflow()
    putCopy(out, { distance, position: to, count: length })
    to += length
  }
}
