/**
 * How much may be open: chunks that were handed over and are not settled.
 *
 * A record that waits for Kafka holds the bytes of the whole chunk it came in,
 * and chunks settle out of order: records of one slow partition could hold a
 * chunk each, long after all others have gone on. The outlet's limit counts only
 * records, so chunks are counted here, with their bytes. Whoever does not fit
 * waits in line. A chunk larger than the limit enters alone. Pure.
 */

/** Counts what is open. */
export class OpenBudget {
  readonly #countMax: number
  readonly #bytesMax: number
  readonly #line: { readonly bytes: number; readonly enter: () => void }[] = []
  #idleWaits: (() => void)[] = []
  #count = 0
  #bytes = 0

  /** @param limits - Most chunks, and most bytes of all of them together. */
  constructor(limits: { readonly countMax: number; readonly bytesMax: number }) {
    this.#countMax = limits.countMax
    this.#bytesMax = limits.bytesMax
  }

  /** How many are open. */
  get count(): number {
    return this.#count
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** How many wait to enter. */
  get waitingCount(): number {
    return this.#line.length
  }

  /** Whether `enter` would have to wait. */
  mustWait(bytes: number): boolean {
    return this.#line.length > 0 || !this.#hasRoom(bytes)
  }

  /** Resolves when there is room, in the order of the calls. Must be followed by one `leave` with the same bytes. */
  enter(bytes: number): Promise<void> {
    if (!this.mustWait(bytes)) {
      this.#add(bytes)
      return Promise.resolve()
    }
    return new Promise(resolve => this.#line.push({ bytes, enter: resolve }))
  }

  /** Gives back what has entered. */
  leave(bytes: number): void {
    this.#count -= 1
    this.#bytes -= bytes
    for (let next = this.#line[0]; next !== undefined && this.#hasRoom(next.bytes); next = this.#line[0]) {
      this.#line.shift()
      this.#add(next.bytes)
      next.enter()
    }
    if (this.#count === 0) for (const wake of this.#idleWaits.splice(0)) wake()
  }

  /** Resolves when nothing is open and nobody waits. */
  idle(): Promise<void> {
    if (this.#count === 0) return Promise.resolve()
    return new Promise(resolve => this.#idleWaits.push(resolve))
  }

  #hasRoom(bytes: number): boolean {
    return this.#count === 0 || (this.#count < this.#countMax && this.#bytes + bytes <= this.#bytesMax)
  }

  #add(bytes: number): void {
    this.#count += 1
    this.#bytes += bytes
  }
}
