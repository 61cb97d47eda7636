/** Makes new traces, as headers of records. Pure but for the random bytes of new ids. */

import { randomFillSync } from 'node:crypto'

const NO_TRACE = '0'.repeat(32)
const NO_PARENT = '0'.repeat(16)
const ID_BYTES = 24
const POOL_IDS = 256

/** Fills a buffer with random bytes. */
export type RandomFill = (bytes: Buffer) => void

/** Makes new traces. */
export class TraceMaker {
  readonly #pool = Buffer.alloc(ID_BYTES * POOL_IDS)
  readonly #fill: RandomFill
  readonly #sampledFrom: number
  #position = this.#pool.length

  /**
   * @param sampledRatio - Share of the traces that are marked as sampled, 0 to 1.
   * @param fill - Default: the system's generator.
   */
  constructor(sampledRatio: number, fill: RandomFill = randomFillSync) {
    // As in OpenTelemetry: the last 56 bits of the trace id decide. Of these the upper 48 are enough here.
    this.#sampledFrom = Math.round((1 - sampledRatio) * 2 ** 48)
    this.#fill = fill
  }

  /** A `traceparent` with new ids. */
  next(): string {
    if (this.#position >= this.#pool.length) {
      this.#fill(this.#pool)
      this.#position = 0
    }
    const start = this.#position
    this.#position += ID_BYTES
    const flags = this.#pool.readUIntBE(start + 9, 6) >= this.#sampledFrom ? '01' : '00'
    const traceId = this.#pool.toString('hex', start, start + 16)
    const parentId = this.#pool.toString('hex', start + 16, start + ID_BYTES)
    // Ids of zeros alone are invalid: that never happens with random bytes, but would be passed on for ever.
    if (traceId === NO_TRACE || parentId === NO_PARENT) return this.next()
    return `00-${traceId}-${parentId}-${flags}`
  }
}
