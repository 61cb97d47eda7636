/**
 * The bytes of recent keys, kept and shared: keys repeat, and the appender holds on
 * to them until they are acknowledged. Bounded: two generations, of which the older
 * is dropped whole when the younger is full.
 */

/** Keys of one generation. */
const CACHED_COUNT = 16_384
/** Longer keys are not kept: they hardly repeat, and they would make the cache's memory depend on them. */
const CACHED_TEXT_MAX = 128

/** Keeps bytes of keys by the text they are made of. */
export class KeyCache {
  readonly #make: (text: string) => Buffer
  #young = new Map<string, Buffer>()
  #old = new Map<string, Buffer>()

  /** @param make - The bytes of a key. Always the same for the same text. */
  constructor(make: (text: string) => Buffer) {
    this.#make = make
  }

  /** The bytes for a text. Not to be changed: records share them. */
  bytesOf(text: string): Buffer {
    const young = this.#young.get(text)
    if (young !== undefined) return young
    if (text.length > CACHED_TEXT_MAX) return this.#make(text)
    const key = this.#old.get(text) ?? this.#make(text)
    if (this.#young.size === CACHED_COUNT) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(text, key)
    return key
  }
}
