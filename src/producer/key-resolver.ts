/**
 * The key of a record, from fields of the event.
 *
 * `field`: the field's text. `fields`: the texts joined by the separator.
 * `hash`: the texts joined by `|`, hashed by FNV-1a (64 bits), as 16 lower-case
 * hexadecimal digits. `template`: the texts between literal text. `none`: no key.
 * All as UTF-8. Hot keys may become several (sub-keys.ts). What the text of a field
 * is says field-reader.ts. The partition is Kafka's business.
 */

import { PipelineError, readTextTemplate } from '../core/index.ts'
import type { EventFields, FieldSet } from './event-fields.ts'
import { fnv1a64Hex } from './fnv1a64.ts'
import { KeyTable } from './keys/key-table.ts'
import { KeyTree, type MadeKey } from './keys/key-tree.ts'
import { SubKeys } from './keys/sub-keys.ts'
import type { KeyConfig } from './options.ts'

const HASH_SEPARATOR = '|'

/** What a key is made of: literal text before, between and behind fields. */
interface KeyParts {
  readonly fields: readonly string[]
  readonly literals: readonly string[]
}

/** Makes keys. */
export class KeyResolver {
  /** Names of the fields a key needs. */
  readonly fields: readonly string[]
  readonly #indexes: readonly number[]
  readonly #literals: readonly string[]
  readonly #make: (text: string) => Buffer
  readonly #tree = new KeyTree()
  /** For keys of one or two fields whose texts have numbers. */
  #table: KeyTable | undefined
  readonly #subKeys: SubKeys | undefined
  /** The key of the last event that had one; `null` with the strategy `none`. Not to be changed: records share it. */
  key: Buffer | null = null
  /** The text that this key is made of, before any hash and without the number of a sub-key; `undefined` = no key. */
  text: string | undefined

  /** @throws PipelineError `ERR_CONFIG_INVALID` for a template that is none. */
  constructor(config: KeyConfig, fields: FieldSet) {
    const parts = partsOf(config)
    this.fields = parts.fields
    this.#literals = parts.literals
    this.#indexes = this.fields.map(name => fields.add(name))
    const make = config.strategy === 'hash' ? (text: string) => fnv1a64Hex(Buffer.from(text)) : bytesOf
    this.#make = make
    const subKeys = config.strategy === 'none' ? undefined : config.subKeys
    this.#subKeys = subKeys === undefined ? undefined : new SubKeys(subKeys, fields, make)
  }

  /**
   * Resolves the key of an event into `key`.
   *
   * @returns The name of the first field that the event lacks, or `undefined` if it has a key.
   */
  resolve(event: EventFields): string | undefined {
    const indexes = this.#indexes
    if (indexes.length === 0) return undefined
    const made = indexes.length > 2 || event.textNumber === undefined ? this.#find(event) : this.#lookUp(event)
    if (typeof made === 'string') return made
    this.text = made.text
    this.key = this.#subKeys?.keyOf(event, made.text) ?? made.bytes
    return undefined
  }

  /** By the numbers of texts, where they have some. */
  #lookUp(event: EventFields): MadeKey | string {
    const first = event.textNumber?.(this.#indexes[0] ?? 0) ?? 0
    const second = this.#indexes.length === 1 ? 0 : (event.textNumber?.(this.#indexes[1] ?? 0) ?? 0)
    if (first <= 0 || (second <= 0 && this.#indexes.length === 2)) return this.#find(event)
    const generation = event.textGeneration ?? 0
    this.#table ??= new KeyTable()
    const known = this.#table.find(generation, first, second)
    if (known !== undefined) return known
    const made = this.#find(event)
    if (typeof made !== 'string') this.#table.add(made, generation, [first, second])
    return made
  }

  /** By the texts; or the name of the first field that is missing. */
  #find(event: EventFields): MadeKey | string {
    const indexes = this.#indexes
    let branch = this.#tree.root
    for (let index = 0; index < indexes.length; index += 1) {
      const part = event.text(indexes[index] ?? 0)
      if (part === undefined) return this.fields[index] ?? ''
      branch = this.#tree.branch(branch, part)
    }
    branch.made ??= this.#makeOf(event)
    return branch.made
  }

  /** The key of an event that has all fields. */
  #makeOf(event: EventFields): MadeKey {
    let text = this.#literals[0] ?? ''
    for (const [index, field] of this.#indexes.entries()) {
      text += (event.text(field) ?? '') + (this.#literals[index + 1] ?? '')
    }
    return { text, bytes: this.#make(text) }
  }
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text)
}

function partsOf(config: KeyConfig): KeyParts {
  switch (config.strategy) {
    case 'none':
      return { fields: [], literals: [''] }
    case 'field':
      return { fields: [config.field], literals: ['', ''] }
    case 'template': {
      const template = readTextTemplate(config.template)
      if (typeof template !== 'string') return template
      throw new PipelineError('ERR_CONFIG_INVALID', `producer.key.template: ${template}`)
    }
    case 'fields':
    case 'hash': {
      const separator = config.strategy === 'fields' ? config.separator : HASH_SEPARATOR
      return { fields: config.fields, literals: ['', ...config.fields.slice(1).map(() => separator), ''] }
    }
  }
}
