/**
 * Cuts the bytes of one connection into Kafka's frames.
 *
 *   frame => length i32 | payload
 *
 * A frame that lies within one received chunk is a view into it: no copy. A
 * frame that spans chunks is gathered in a buffer that grows with what has
 * arrived, so an announced length alone costs nothing. Frames are taken one at
 * a time; what follows waits inside the chunk, and the connection stops reading
 * its socket while it cannot take more.
 *
 * Invariants: memory in use is at most twice the bytes received and not yet
 * taken, plus the smallest size of the pool; a frame is not written to before it
 * is released.
 */

import { PipelineError } from '../../core/index.ts'
import { FramePool } from './frame-pool.ts'

/** Smallest request: the fixed part of its header, in bytes. */
export const REQUEST_BYTES_MIN = 8
const LENGTH_BYTES = 4

/** One request without its length. */
export interface Frame {
  readonly bytes: Buffer
  /** The buffer that `release` gives back when nothing uses the bytes any more; none for a view into a socket read. */
  readonly pooled: Buffer | undefined
}

/** How frames are read. */
export interface FrameReaderOptions {
  /** Largest payload, in bytes. Kafka `socket.request.max.bytes`. */
  readonly frameBytesMax: number
  /** Smallest payload. Default `REQUEST_BYTES_MIN`. */
  readonly frameBytesMin?: number
  /** Where buffers of gathered frames come from. Default: a pool of its own. */
  readonly pool?: FramePool
}

/** Frames of one connection, in order. */
export class FrameReader {
  #frameBytesMax: number
  #frameBytesMin: number
  readonly #pool: FramePool
  /** Received and not yet looked at. */
  #chunks: Buffer[] = []
  #waitingBytes = 0
  #gathered: Buffer | undefined
  #gatheredBytes = 0
  #frameBytes = -1

  constructor(options: FrameReaderOptions) {
    this.#frameBytesMax = options.frameBytesMax
    this.#frameBytesMin = options.frameBytesMin ?? REQUEST_BYTES_MIN
    this.#pool = options.pool ?? new FramePool()
  }

  /** Changes the sizes of frames, from the next length on. */
  setLimits(limits: { readonly frameBytesMin: number; readonly frameBytesMax: number }): void {
    this.#frameBytesMin = limits.frameBytesMin
    this.#frameBytesMax = limits.frameBytesMax
  }

  /** Bytes received and not yet returned in a frame. */
  get bufferedBytes(): number {
    return this.#waitingBytes + this.#gatheredBytes
  }

  /** Adds what the socket received. The chunk must not change afterwards. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#waitingBytes += chunk.length
  }

  /**
   * The next whole frame without its length, or `undefined` until more arrives.
   *
   * @throws PipelineError `ERR_BROKER_INVALID_FRAME` if the announced length cannot be a request.
   */
  next(): Frame | undefined {
    if (this.#frameBytes === -1) {
      if (this.#waitingBytes < LENGTH_BYTES) return undefined
      this.#frameBytes = this.#takeLength()
    }
    const first = this.#chunks[0]
    if (this.#gathered === undefined && first !== undefined && first.length >= this.#frameBytes) {
      return this.#finish(this.#take(first, this.#frameBytes), undefined)
    }
    while (this.#gatheredBytes < this.#frameBytes) {
      const chunk = this.#chunks[0]
      if (chunk === undefined) return undefined
      this.#gather(this.#take(chunk, Math.min(chunk.length, this.#frameBytes - this.#gatheredBytes)))
    }
    const gathered = this.#gathered ?? Buffer.alloc(0)
    return this.#finish(gathered.subarray(0, this.#frameBytes), gathered)
  }

  /** Takes a frame back whose bytes nothing uses any more. */
  release(frame: Frame): void {
    if (frame.pooled !== undefined) this.#pool.release(frame.pooled)
  }

  #finish(bytes: Buffer, pooled: Buffer | undefined): Frame {
    this.#frameBytes = -1
    this.#gathered = undefined
    this.#gatheredBytes = 0
    return { bytes, pooled }
  }

  #takeLength(): number {
    let length = 0
    for (let index = 0; index < LENGTH_BYTES; index++) {
      const chunk = this.#chunks[0]
      if (chunk === undefined) break
      length = (length << 8) | (this.#take(chunk, 1)[0] ?? 0)
    }
    if (length < this.#frameBytesMin || length > this.#frameBytesMax) {
      throw new PipelineError(
        'ERR_BROKER_INVALID_FRAME',
        `a frame of ${length} bytes was announced; a request has ${this.#frameBytesMin} to ${this.#frameBytesMax}`,
        { fields: { frameBytes: length, frameBytesMax: this.#frameBytesMax } }
      )
    }
    return length
  }

  /** Removes `count` bytes from the front of the first chunk. */
  #take(chunk: Buffer, count: number): Buffer {
    this.#waitingBytes -= count
    if (count === chunk.length) {
      this.#chunks.shift()
      return chunk
    }
    this.#chunks[0] = chunk.subarray(count)
    return chunk.subarray(0, count)
  }

  #gather(part: Buffer): void {
    const needed = this.#gatheredBytes + part.length
    let target = this.#gathered
    if (target === undefined || target.length < needed) {
      const grown = this.#pool.acquire(Math.min(this.#frameBytes, 2 * needed))
      target?.copy(grown, 0, 0, this.#gatheredBytes)
      if (target !== undefined) this.#pool.release(target)
      target = grown
      this.#gathered = target
    }
    part.copy(target, this.#gatheredBytes)
    this.#gatheredBytes = needed
  }
}
