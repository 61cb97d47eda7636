/**
 * Sub-keys: a hot key becomes several, so that it uses several partitions.
 *
 * `400` becomes `400#0`, `400#1`, … The number is the hash of another field (then the
 * events of one value of that field keep their order), or goes round. Between the
 * sub-keys of a key there is no order.
 */

import type { EventFields, FieldSet } from '../event-fields.ts'
import type { KeyConfig } from '../options.ts'
import { fnv1a32, mixed } from '../routing/weighted-choice.ts'
import { KeyCache } from './key-cache.ts'

type SubKeysConfig = NonNullable<Exclude<KeyConfig, { strategy: 'none' }>['subKeys']>

/** Makes sub-keys of hot keys. */
export class SubKeys {
  readonly #hot: ReadonlySet<string>
  readonly #field: number | undefined
  readonly #byField: number | undefined
  readonly #caches: readonly KeyCache[]
  #turn = 0

  /** @param make - The bytes of a whole key. */
  constructor(config: SubKeysConfig, fields: FieldSet, make: (text: string) => Buffer) {
    this.#hot = new Set(config.keys.map(String))
    this.#field = config.field === undefined ? undefined : fields.add(config.field)
    this.#byField = config.by === 'roundRobin' ? undefined : fields.add(config.by.field)
    this.#caches = Array.from({ length: config.count }, (_, number) => {
      const suffix = Buffer.from(`#${number}`)
      return new KeyCache(text => Buffer.concat([make(text), suffix]))
    })
  }

  /**
   * The sub-key of an event.
   *
   * @param text - The text of its key, before any hash.
   * @returns `undefined` if its key is not hot.
   */
  keyOf(event: EventFields, text: string): Buffer | undefined {
    const named = this.#field === undefined ? text : event.text(this.#field)
    if (named === undefined || !this.#hot.has(named)) return undefined
    return this.#caches[this.#numberOf(event)]?.bytesOf(text)
  }

  /** Without the field that chooses: 0, so that such events keep their order among themselves. */
  #numberOf(event: EventFields): number {
    const count = this.#caches.length
    if (this.#byField === undefined) {
      this.#turn = (this.#turn + 1) % count
      return this.#turn
    }
    const text = event.text(this.#byField)
    return text === undefined ? 0 : mixed(fnv1a32(Buffer.from(text))) % count
  }
}
