/**
 * Cuts the byte stream of a connection into answers, one Buffer each.
 *
 * ```
 * stream   => response*
 * response => length payload
 *   length => INT32, bytes of the payload
 * ```
 * An answer that lies in one chunk is a view into it; a longer one gets memory
 * once, at its announced length, and is filled: no byte is copied twice. The
 * announced length is checked before anything is allocated.
 *
 * A socket that reads into a given buffer goes without chunks: `target` names
 * the place for the next bytes, the rest of a large answer itself if there is
 * one under way, and `advance` says how many came.
 */

import { PipelineError } from '../core/index.ts'

const lengthBytes = 4
/** An answer has at least its correlation id. */
const payloadBytesMin = 4
/** Place for the beginning of answers, and for small ones. */
const scratchBytes = 65_536

/** Turns chunks into whole answers. */
export class ResponseAssembler {
  readonly #bytesMax: number
  readonly #onResponse: (payload: Buffer) => void
  readonly #allocate: (length: number) => Buffer
  #scratch: Buffer | undefined
  /** The first bytes of a length that a chunk boundary cut. */
  readonly #lengthPart = Buffer.alloc(lengthBytes)
  #lengthPartBytes = 0
  #payload: Buffer | undefined
  #payloadBytes = 0

  /**
   * @param bytesMax - Largest payload that is accepted, in bytes.
   * @param onResponse - Called with every whole payload, in order.
   * @param allocate - Gives memory for a payload. Default: new memory.
   */
  constructor(
    bytesMax: number,
    onResponse: (payload: Buffer) => void,
    allocate: (length: number) => Buffer = length => Buffer.allocUnsafeSlow(length)
  ) {
    this.#bytesMax = bytesMax
    this.#onResponse = onResponse
    this.#allocate = allocate
  }

  /** Where the next bytes of the stream belong, never empty. Valid until `advance` or `push`. */
  target(): Buffer {
    if (this.#payload !== undefined) return this.#payload.subarray(this.#payloadBytes)
    this.#scratch ??= Buffer.allocUnsafeSlow(scratchBytes)
    return this.#scratch
  }

  /**
   * Takes bytes that were written to `target`.
   *
   * @throws PipelineError as `push` does.
   */
  advance(target: Buffer, byteCount: number): void {
    if (target === this.#scratch) this.push(target.subarray(0, byteCount))
    else if (this.#payload !== undefined) this.#filled(this.#payload, byteCount)
  }

  /**
   * Takes the next bytes of the stream.
   *
   * @throws PipelineError `ERR_CLIENT_RESPONSE_INVALID` if the announced length is not possible: the stream has no
   *   known boundary from there on, so the connection must be closed.
   */
  push(chunk: Buffer): void {
    let position = 0
    while (position < chunk.length) {
      position = this.#payload === undefined ? this.#begin(chunk, position) : this.#fill(this.#payload, chunk, position)
    }
  }

  /** Reads a length; answers that are whole within the chunk are handed out as views. */
  #begin(chunk: Buffer, position: number): number {
    if (this.#lengthPartBytes === 0 && position + lengthBytes <= chunk.length) {
      const length = this.#checked(chunk.readInt32BE(position))
      const start = position + lengthBytes
      if (start + length > chunk.length) {
        this.#payload = this.#allocate(length)
        return start
      }
      const payload = chunk.subarray(start, start + length)
      // The scratch is written over by what comes next.
      this.#onResponse(chunk.buffer === this.#scratch?.buffer ? Buffer.from(payload) : payload)
      return start + length
    }
    this.#lengthPart[this.#lengthPartBytes] = chunk[position] ?? 0
    this.#lengthPartBytes += 1
    if (this.#lengthPartBytes === lengthBytes) {
      this.#payload = this.#allocate(this.#checked(this.#lengthPart.readInt32BE(0)))
      this.#lengthPartBytes = 0
    }
    return position + 1
  }

  #fill(payload: Buffer, chunk: Buffer, position: number): number {
    const copied = chunk.copy(payload, this.#payloadBytes, position)
    this.#filled(payload, copied)
    return position + copied
  }

  #filled(payload: Buffer, byteCount: number): void {
    this.#payloadBytes += byteCount
    if (this.#payloadBytes < payload.length) return
    this.#payload = undefined
    this.#payloadBytes = 0
    this.#onResponse(payload)
  }

  #checked(length: number): number {
    if (length >= payloadBytesMin && length <= this.#bytesMax) return length
    throw new PipelineError(
      'ERR_CLIENT_RESPONSE_INVALID',
      `an answer of ${length} bytes was announced; possible are ${payloadBytesMin} to ${this.#bytesMax}. ` +
        (isTlsRecord(length) ? 'The first bytes look like TLS: set tls for this listener.' : tlsOrLimitHint),
      { fields: { length, responseBytesMax: this.#bytesMax } }
    )
  }
}

const tlsOrLimitHint = 'Check that this is a Kafka listener, or raise responseBytesMax.'

/** Whether the four bytes begin a TLS record (alert or handshake, version 3.x), as TLS listeners answer plain text. */
function isTlsRecord(length: number): boolean {
  const contentType = length >>> 24
  return (contentType === 0x15 || contentType === 0x16) && ((length >>> 16) & 0xff) === 0x03
}
