/**
 * Snappy, raw and in the framing of snappy-java, which Kafka's Java client
 * writes and reads ("xerial"). Other clients write raw blocks: both are read.
 *
 *     xerial => 0x82 'SNAPPY' 0 version:i32 compatibleVersion:i32 (length:i32 raw)*
 *     raw    => uncompressedLength:uvarint (tag literal | tag copy)*
 *
 * Writing: xerial with blocks of 32 KiB, as Java does. The blocks themselves
 * are compressed by a library: what we write is trusted and bounded.
 *
 * Source: google/snappy format_description.txt, snappy-java SnappyOutputStream.
 */

import { OutputBuffer, putCopy, putLiterals } from './decompression-output.ts'
import { wasmCompression } from './wasm-compression.ts'

const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0])
const XERIAL_HEADER = Buffer.concat([XERIAL_MAGIC, Buffer.from([0, 0, 0, 1, 0, 0, 0, 1])])
const XERIAL_BLOCK_BYTES = 32_768

/** Compresses into xerial framing. */
export function snappyCompress(input: Buffer): Buffer {
  const { snappyCompress: snappyCompressRaw } = wasmCompression()
  const parts: Buffer[] = [XERIAL_HEADER]
  for (let at = 0; at < input.length; at += XERIAL_BLOCK_BYTES) {
    const block = snappyCompressRaw(input.subarray(at, at + XERIAL_BLOCK_BYTES))
    const length = Buffer.allocUnsafe(4)
    length.writeInt32BE(block.length, 0)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

/** Decompresses either form. Throws any error on malformed input: the caller gives it its code. */
export function snappyDecompress(input: Buffer, bytesMax: number): Buffer {
  const output = new OutputBuffer(0, bytesMax)
  if (!input.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) {
    readRaw(input, { start: 0, end: input.length }, output)
    return output.result()
  }
  let at = XERIAL_HEADER.length
  while (at < input.length) {
    const length = input.readInt32BE(at)
    at += 4
    if (length < 0 || at + length > input.length) throw new Error(`a block of ${length} bytes is not possible`)
    readRaw(input, { start: at, end: at + length }, output)
    at += length
  }
  return output.result()
}

/** Most bytes that one byte of raw snappy can stand for, rounded up: a copy of 64 bytes takes two. */
const RATIO_MAX = 64

function readRaw(input: Buffer, range: { readonly start: number; readonly end: number }, output: OutputBuffer): void {
  let at = range.start
  let size = 0
  for (let scale = 1; ; scale *= 128) {
    const byte = input[at++] ?? 0
    size += (byte & 0x7f) * scale
    if (byte < 0x80) break
    if (scale > 0x1000_0000 || at >= range.end) throw new Error('its length is malformed')
  }
  // A length that the input cannot yield is a lie: nothing is allocated for it.
  if (size > (range.end - range.start) * RATIO_MAX) throw new Error(`its length of ${size} bytes is not possible`)
  output.reserve(size)
  if (output.reserved < output.length + size) throw output.overflow()
  const to = readTags(input, { start: at, end: range.end }, output)
  if (to !== output.reserved) throw new Error('it is shorter than it says')
  output.length = to
}

function readTags(
  input: Buffer,
  range: { readonly start: number; readonly end: number },
  output: OutputBuffer
): number {
  const out = output.buffer
  const { end } = range
  const first = output.length
  const last = output.reserved
  let at = range.start
  let to = first
  while (at < end) {
    const tag = input[at++] ?? 0
    const kind = tag & 3
    let count = (tag >>> 2) + 1
    if (kind === 0) {
      const extra = count - 60
      if (extra > 0) {
        if (at + extra > end) throw new Error('a literal length is cut off')
        count = input.readUIntLE(at, extra) + 1
        at += extra
      }
      if (at + count > end || to + count > last) throw new Error('a literal does not fit')
      putLiterals({ from: input, to: out }, { at, position: to, count })
      at += count
    } else {
      const width = kind === 3 ? 4 : kind
      if (at + width > end) throw new Error('a copy is cut off')
      let distance = 0
      if (kind === 1) {
        count = ((tag >>> 2) & 7) + 4
        distance = ((tag >>> 5) << 8) | (input[at] ?? 0)
      } else distance = kind === 2 ? input.readUInt16LE(at) : input.readUInt32LE(at)
      at += width
      if (distance === 0 || to - distance < first || to + count > last) throw new Error('a copy does not fit')
      putCopy(out, { distance, position: to, count })
    }
    to += count
  }
  return to
}
