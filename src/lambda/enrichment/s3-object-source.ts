/** Look-ups in S3 where each key has an object of its own, `drivers/{key}.json`. */

import type { S3Objects } from './s3-objects.ts'
import type { LookupSource, SourceAnswer } from './source.ts'
import { KEY_PLACE } from './source-settings.ts'

/** Longest name of an object, in bytes. Source: Amazon S3 user guide, "Naming Amazon S3 objects". */
const NAME_BYTES_MAX = 1_024

/** Objects of a bucket, one for each key. */
export class S3ObjectSource implements LookupSource {
  readonly name: string
  readonly keysMax: number = 1
  readonly #objects: S3Objects
  readonly #template: readonly string[]
  readonly #bytesMax: number

  /** @param options - `key` with the place for the key; `bytesMax` is the largest object that is read. */
  constructor(objects: S3Objects, options: { readonly key: string; readonly bytesMax: number }) {
    this.name = objects.name
    this.#objects = objects
    this.#template = options.key.split(KEY_PLACE)
    this.#bytesMax = options.bytesMax
  }

  isPossible(key: string): boolean {
    const name = this.#nameOf(key)
    // A step up would leave the folder, for any program that takes the name for a path.
    return Buffer.byteLength(name) <= NAME_BYTES_MAX && !/(?:^|\/)\.{1,2}(?:\/|$)/.test(name) && !/\p{Cc}/u.test(name)
  }

  async ask([key = '']: readonly string[], signal: AbortSignal): Promise<SourceAnswer> {
    const read = await this.#objects.read(this.#nameOf(key), { bytesMax: this.#bytesMax, signal })
    switch (read.kind) {
      case 'absent':
      case 'unchanged':
        return { kind: 'answered', texts: new Map() }
      case 'read':
        return this.#answer(key, read.text)
      case 'rejected':
      case 'unavailable':
        return read
    }
  }

  close(): Promise<void> {
    return this.#objects.close()
  }

  #nameOf(key: string): string {
    return this.#template.join(key)
  }

  #answer(key: string, text: string): SourceAnswer {
    try {
      JSON.parse(text)
    } catch {
      return { kind: 'rejected', reason: `${this.name} has an object that is not JSON` }
    }
    const value = text.trim()
    return { kind: 'answered', texts: new Map(value === 'null' ? [] : [[key, value]]) }
  }
}
