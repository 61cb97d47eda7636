/**
 * The key of a record, from fields of the event.
 *
 * `field`: the field's text. `fields`: the texts joined by the separator.
 * `hash`: the texts joined by `|`, hashed by FNV-1a (64 bits), as 16 lower-case
 * hexadecimal digits. `none`: no key. All as UTF-8. What the text of a field is
 * says field-reader.ts. The partition is Kafka's business.
 *
 * Keys repeat, and the appender holds on to them until they are acknowledged, so
 * the bytes of recent keys are kept and shared: a bounded cache in two
 * generations, of which the older is dropped whole when the younger is full.
 */

import type { EventFields, FieldSet } from './event-fields.ts'
import { fnv1a64Hex } from './fnv1a64.ts'
import type { KeyConfig } from './options.ts'

const HASH_SEPARATOR = '|'
/** Keys of one generation of the cache. */
const CACHED_COUNT = 16_384
/** Longer keys are not kept: they hardly repeat, and they would make the cache's memory depend on them. */
const CACHED_TEXT_MAX = 128

/** Makes keys. */
export class KeyResolver {
  /** Names of the fields a key needs. */
  readonly fields: readonly string[]
  readonly #indexes: readonly number[]
  readonly #separator: string
  readonly #isHash: boolean
  #young = new Map<string, Buffer>()
  #old = new Map<string, Buffer>()
  /** The key of the last event that had one; `null` with the strategy `none`. Not to be changed: records share it. */
  key: Buffer | null = null

  constructor(config: KeyConfig, fields: FieldSet) {
    this.fields = config.strategy === 'field' ? [config.field] : config.strategy === 'none' ? [] : config.fields
    this.#indexes = this.fields.map(name => fields.add(name))
    this.#separator = config.strategy === 'fields' ? config.separator : HASH_SEPARATOR
    this.#isHash = config.strategy === 'hash'
  }

  /**
   * Resolves the key of an event into `key`.
   *
   * @returns The name of the first field that the event lacks, or `undefined` if it has a key.
   */
  resolve(event: EventFields): string | undefined {
    const indexes = this.#indexes
    if (indexes.length === 0) return undefined
    let joined = ''
    for (let index = 0; index < indexes.length; index += 1) {
      const part = event.text(indexes[index] ?? 0)
      if (part === undefined) return this.fields[index]
      joined = index === 0 ? part : joined + this.#separator + part
    }
    this.key = joined.length > CACHED_TEXT_MAX ? this.#keyOf(joined) : this.#cachedKeyOf(joined)
    return undefined
  }

  #cachedKeyOf(text: string): Buffer {
    const young = this.#young.get(text)
    if (young !== undefined) return young
    const key = this.#old.get(text) ?? this.#keyOf(text)
    if (this.#young.size === CACHED_COUNT) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(text, key)
    return key
  }

  #keyOf(text: string): Buffer {
    const bytes = Buffer.from(text)
    return this.#isHash ? fnv1a64Hex(bytes) : bytes
  }
}
