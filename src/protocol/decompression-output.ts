/** What the LZ77 decoders (snappy, LZ4) write into: an output that grows up to a limit. */

import { PipelineError } from '../core/index.ts'

/** The error for data that would grow beyond the limit. */
export function tooLarge(bytesMax: number): PipelineError {
  return new PipelineError(
    'ERR_PROTOCOL_DECOMPRESSED_TOO_LARGE',
    `compressed data would grow beyond the limit of ${bytesMax} bytes`,
    { kafkaCode: 10, fields: { bytesMax } }
  )
}

/** A growing output with a limit. */
export class OutputBuffer {
  buffer: Buffer
  /** Bytes written. */
  length = 0
  /** Up to where may be written after the last `reserve`. */
  reserved = 0
  readonly #bytesMax: number

  constructor(sizeHint: number, bytesMax: number) {
    this.#bytesMax = bytesMax
    this.buffer = Buffer.allocUnsafe(Math.min(sizeHint, bytesMax))
  }

  /** Makes room for up to `count` more bytes: less if the limit comes first. */
  reserve(count: number): void {
    this.reserved = Math.min(this.length + count, this.#bytesMax)
    if (this.reserved <= this.buffer.length) return
    const grown = Buffer.allocUnsafe(Math.min(Math.max(this.reserved, this.buffer.length * 2), this.#bytesMax))
    this.buffer.copy(grown, 0, 0, this.length)
    this.buffer = grown
  }

  /** The error for output that does not fit what was reserved: the limit, or a block that lies about itself. */
  overflow(): Error {
    return this.reserved === this.#bytesMax
      ? tooLarge(this.#bytesMax)
      : new Error('a block is longer than its frame allows')
  }

  /** What was written. */
  result(): Buffer {
    return this.buffer.subarray(0, this.length)
  }
}

/** Below this count a loop is faster than a call. */
const LOOP_BYTES_MAX = 32

/** Copies literals. The caller has checked that all of it fits. */
export function putLiterals(
  buffers: { readonly from: Buffer; readonly to: Buffer },
  range: { readonly at: number; readonly position: number; readonly count: number }
): void {
  const { from, to } = buffers
  const { at, position, count } = range
  if (count > LOOP_BYTES_MAX) {
    to.set(from.subarray(at, at + count), position)
    return
  }
  for (let index = 0; index < count; index++) to[position + index] = from[at + index] ?? 0
}

/** Copies bytes of the output that lie `distance` back; they may overlap what is written. */
export function putCopy(
  out: Buffer,
  range: { readonly distance: number; readonly position: number; readonly count: number }
): void {
  const { distance, position, count } = range
  const from = position - distance
  if (count > LOOP_BYTES_MAX && distance >= count) {
    out.copyWithin(position, from, from + count)
    return
  }
  for (let index = 0; index < count; index++) out[position + index] = out[from + index] ?? 0
}
