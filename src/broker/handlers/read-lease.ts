/**
 * The buffers that one fetch reads records into. They come from a pool of all
 * fetches and go back when the answer is in the kernel's hands: fresh megabytes
 * for every partition of every fetch cost page faults, and the garbage
 * collections that they bring were four fifths of the broker's CPU time under a
 * fast consumer.
 *
 * Invariant: a buffer is given back once, and only when nothing reads it any
 * more. An answer that is never sent leaves its buffers to the garbage collector.
 */

import { FramePool } from '../server/frame-pool.ts'

/** Below this a buffer from the pool would be mostly air. */
const SIZE_BYTES_MIN = 64 * 1024
/** Consumers ask for 1 MiB of a partition unless they are told otherwise. */
const SIZE_BYTES_MAX = 4 * 1024 * 1024
/** Most bytes of unused buffers: two answers to a Java consumer of 12 partitions. */
const UNUSED_BYTES_MAX = 24 * 1024 * 1024

/** The pool that leases are taken from. */
export function createReadPool(): FramePool {
  return new FramePool(UNUSED_BYTES_MAX, SIZE_BYTES_MAX)
}

/** Buffers of one fetch. */
export class ReadLease {
  readonly #pool: FramePool
  #buffers: Buffer[] = []

  constructor(pool: FramePool) {
    this.#pool = pool
  }

  /** A buffer of exactly `sizeBytes` with any content. */
  acquire(sizeBytes: number): Buffer {
    // Not from Node's shared pool: an answer may be held for long.
    if (sizeBytes < SIZE_BYTES_MIN) return Buffer.allocUnsafeSlow(sizeBytes)
    const buffer = this.#pool.acquire(sizeBytes)
    this.#buffers.push(buffer)
    return buffer.subarray(0, sizeBytes)
  }

  /** Gives everything back that was acquired so far. */
  release(): void {
    const buffers = this.#buffers
    this.#buffers = []
    for (const buffer of buffers) this.#pool.release(buffer)
  }
}
