/**
 * The key of a record, from fields of the event.
 *
 * `field`: the field's text. `fields`: the texts joined by the separator.
 * `hash`: the texts joined by `|`, hashed by FNV-1a (64 bits), as 16 lower-case
 * hexadecimal digits. `none`: no key. All as UTF-8. What the text of a field is
 * says field-reader.ts. The partition is Kafka's business.
 *
 * The key is written into a buffer that the next call overwrites: the appender
 * copies it into its batch at once, so no key is allocated per record.
 */

import { type FieldPath, fieldPath, type ParsedEvent, readField } from './field-reader.ts'
import { FNV_HEX_BYTES, writeFnv1a64Hex } from './fnv1a64.ts'
import type { KeyConfig } from './options.ts'

const HASH_SEPARATOR = '|'
/** Keys up to this length have a view of their own that is used again. */
const CACHED_VIEW_BYTES = 128

/** Makes keys. */
export class KeyResolver {
  /** Names of the fields a key needs. */
  readonly fields: readonly string[]
  readonly #paths: readonly FieldPath[]
  readonly #separator: string
  readonly #isHash: boolean
  readonly #hash: Buffer = Buffer.alloc(FNV_HEX_BYTES)
  #scratch: Buffer = Buffer.alloc(1024)
  #views: (Buffer | undefined)[] = []
  /** The key of the last event that had one; overwritten by the next call. `null` with the strategy `none`. */
  key: Buffer | null = null

  constructor(config: KeyConfig) {
    this.fields = config.strategy === 'field' ? [config.field] : config.strategy === 'none' ? [] : config.fields
    this.#paths = this.fields.map(fieldPath)
    this.#separator = config.strategy === 'fields' ? config.separator : HASH_SEPARATOR
    this.#isHash = config.strategy === 'hash'
  }

  /**
   * Resolves the key of an event into `key`.
   *
   * @returns The name of the first field that the event lacks, or `undefined` if it has a key.
   */
  resolve(event: ParsedEvent, text: string): string | undefined {
    if (this.#paths.length === 0) return undefined
    let joined = ''
    for (let index = 0; index < this.#paths.length; index += 1) {
      const path = this.#paths[index]
      const part = path === undefined ? undefined : readField(event, path, text)
      if (part === undefined) return this.fields[index]
      joined = index === 0 ? part : joined + this.#separator + part
    }
    const length = this.#write(joined)
    if (this.#isHash) {
      writeFnv1a64Hex(this.#scratch, length, this.#hash)
      this.key = this.#hash
    } else {
      this.key = this.#view(length)
    }
    return undefined
  }

  /** Writes a text as UTF-8 into the scratch buffer; gives its length in bytes. */
  #write(text: string): number {
    if (text.length * 3 > this.#scratch.length) {
      this.#scratch = Buffer.alloc(text.length * 3)
      this.#views = []
    }
    if (text.length > 64) return this.#scratch.write(text, 'utf8')
    // Short ASCII is the common case, and faster by hand than through a call into native code.
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at)
      if (code > 0x7f) return this.#scratch.write(text, 'utf8')
      this.#scratch[at] = code
    }
    return text.length
  }

  #view(length: number): Buffer {
    if (length > CACHED_VIEW_BYTES) return this.#scratch.subarray(0, length)
    return (this.#views[length] ??= this.#scratch.subarray(0, length))
  }
}
