/** Which records have come, from the payloads themselves: each offset of each partition once, and each key in order. */

/** What has come. */
export interface DeliveryReport {
  /** Different records. */
  readonly distinct: number
  readonly duplicates: number
  /** Records of a key that came for the first time after a later one of that key. */
  readonly outOfOrder: number
  /** For each partition: one more than the highest offset that came. */
  readonly ends: readonly number[]
}

/** The payload that every program of the benchmarks sends. */
export interface Payload {
  readonly partition: number
  readonly messages: readonly unknown[]
  readonly offsets: readonly number[]
  readonly timestamps: readonly number[]
  readonly keys: readonly (string | null)[]
}

/** Gathers payloads. */
export class DeliveryCheck {
  readonly #seen: (Uint8Array | undefined)[] = []
  readonly #ends: number[] = []
  /** The highest offset of each key that has come; a key is always in one partition. */
  readonly #lastOfKey = new Map<string, number>()
  #distinct = 0
  #duplicates = 0
  #outOfOrder = 0

  /** Takes a request's body, and gives it as read. */
  take(body: Buffer): Payload {
    const payload = JSON.parse(body.toString()) as Payload // Written by the programs of the benchmarks.
    const { partition, messages, offsets, keys } = payload
    if (messages.length !== offsets.length || keys.length !== offsets.length) throw new Error('columns of two lengths')
    for (const [index, offset] of offsets.entries()) this.#record(partition, offset, keys[index] ?? '')
    return payload
  }

  report(): DeliveryReport {
    return {
      distinct: this.#distinct,
      duplicates: this.#duplicates,
      outOfOrder: this.#outOfOrder,
      ends: Array.from(this.#ends, end => end ?? 0)
    }
  }

  #record(partition: number, offset: number, key: string): void {
    let seen = this.#seen[partition]
    if (seen === undefined || seen.length <= offset) {
      const larger = new Uint8Array(2 ** Math.ceil(Math.log2(offset + 65_536)))
      if (seen !== undefined) larger.set(seen)
      this.#seen[partition] = seen = larger
    }
    this.#ends[partition] = Math.max(this.#ends[partition] ?? 0, offset + 1)
    if (seen[offset] === 1) {
      this.#duplicates += 1
      return
    }
    seen[offset] = 1
    this.#distinct += 1
    const last = this.#lastOfKey.get(key) ?? -1
    if (offset > last) this.#lastOfKey.set(key, offset)
    else this.#outOfOrder += 1
  }
}
