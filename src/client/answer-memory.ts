/**
 * Memory for the large answers of one connection, used again and again.
 *
 * Megabytes that are used once are expensive twice: the kernel has to give each page, and the garbage collector runs
 * because of their weight, not of the heap's. So a fetch answer is read into memory that comes back when nobody needs
 * it any more.
 *
 * Memory comes back only by `release`, as often as there was a `retain`. Whoever forgets one does no harm: the garbage
 * collector takes the memory as any other, and the next answer gets new one. Whoever releases and goes on reading sees
 * other records: so each holder has a reference of its own, from before it is handed the bytes until after its last
 * look.
 *
 * Limits: at most `freeBytesMax` are kept for later.
 */

import { invariant } from '../core/index.ts'

/** Bytes that are lent. */
export interface Lease {
  /** Adds a holder. */
  retain(): void
  /** Takes a holder away; behind the last one the bytes are written over. */
  release(): void
}

/** Answers below this are given memory of their own: they weigh little, and those that wait for news are small. */
const LENT_BYTES_MIN = 65_536
/** Sizes are rounded up to this: answers of about one size fit one another's memory. */
const STEP_BYTES = 131_072

const leases = new WeakMap<ArrayBufferLike, CountedLease>()

/** The lease of memory that an answer lies in; `undefined` if it has memory of its own. */
export function leaseOf(bytes: Buffer): Lease | undefined {
  return leases.get(bytes.buffer)
}

class CountedLease implements Lease {
  readonly #memory: AnswerMemory
  readonly #buffer: Buffer
  #holders = 0
  #isOver = false

  constructor(memory: AnswerMemory, buffer: Buffer) {
    this.#memory = memory
    this.#buffer = buffer
  }

  retain(): void {
    invariant(!this.#isOver, 'bytes of an answer are held that were given back')
    this.#holders += 1
  }

  release(): void {
    invariant(this.#holders > 0, 'bytes of an answer are given back more often than they were held')
    this.#holders -= 1
    if (this.#holders > 0) return
    this.#isOver = true
    leases.delete(this.#buffer.buffer)
    this.#memory.giveBack(this.#buffer)
  }
}

/** Lends memory for answers. */
export class AnswerMemory {
  readonly #freeBytesMax: number
  readonly #free: Buffer[] = []
  #freeBytes = 0

  /** @param freeBytesMax - Most bytes kept while nobody needs them. Default 4 MiB. */
  constructor(freeBytesMax = 4_194_304) {
    this.#freeBytesMax = freeBytesMax
  }

  /** Bytes kept for later. */
  get freeBytes(): number {
    return this.#freeBytes
  }

  /** Memory for an answer of this length. `leaseOf` tells whether it is lent. */
  take(length: number): Buffer {
    if (length < LENT_BYTES_MIN) return Buffer.allocUnsafeSlow(length)
    // The most recent one is the one that the processor's caches still know.
    const index = this.#free.findLastIndex(({ length: size }) => size >= length && size <= 2 * length + STEP_BYTES)
    const buffer = index < 0 ? undefined : this.#free.splice(index, 1)[0]
    if (buffer !== undefined) this.#freeBytes -= buffer.length
    const memory = buffer ?? Buffer.allocUnsafeSlow(Math.ceil(length / STEP_BYTES) * STEP_BYTES)
    leases.set(memory.buffer, new CountedLease(this, memory))
    return memory.subarray(0, length)
  }

  /** Memory that nobody needs any more. */
  giveBack(buffer: Buffer): void {
    this.#free.push(buffer)
    this.#freeBytes += buffer.length
    while (this.#freeBytes > this.#freeBytesMax) this.#freeBytes -= this.#free.shift()?.length ?? 0
  }
}
