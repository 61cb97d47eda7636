/**
 * What is read of an event: declared once, before the first event, so that a
 * reader can look for just these fields and never build the whole object.
 *
 * What the text of a field is says `field-reader.ts`.
 */

import type { ChunkContext } from './chunk-context.ts'
import type { EventChunk } from './event-chunk.ts'
import { type FieldPath, fieldPath, type ParsedEvent } from './field-reader.ts'

/** The fields that router, keys, validation and headers read. Each says so when it is made. */
export class FieldSet {
  readonly #names = new Map<string, number>()
  readonly #paths: FieldPath[] = []
  #isParsedExpected = false

  /** The paths of the fields, by index. */
  get paths(): readonly FieldPath[] {
    return this.#paths
  }

  /** Whether somebody reads the whole of nearly every event: looking for single fields first would only cost time. */
  get isParsedExpected(): boolean {
    return this.#isParsedExpected
  }

  /**
   * Registers a field by its dotted name.
   *
   * @returns Its index; a name that is registered already keeps the one it has.
   */
  add(name: string): number {
    const known = this.#names.get(name)
    if (known !== undefined) return known
    const index = this.#paths.length
    this.#names.set(name, index)
    this.#paths.push(fieldPath(name))
    return index
  }

  /** Says that `parsed()` will be called for nearly every event. */
  expectParsed(): void {
    this.#isParsedExpected = true
  }
}

/** The fields of one event. */
export interface EventFields {
  /** The text of a field, by its index in the set; `undefined` if it is absent or no string, number or boolean. */
  text(field: number): string | undefined
  /**
   * A number for the text of a field, where the reader has one: within a generation, fields of the same number have the
   * same text, in whatever event. 0 or less = none. Less than 16,384.
   */
  textNumber?(field: number): number
  /** Generation of the numbers asked for last. Numbers of different generations mean nothing to each other. */
  readonly textGeneration?: number
  /** The whole event. Parsed when it is first asked for, then kept until the next event. */
  parsed(): ParsedEvent
}

/** An event of a chunk, and where it comes from. */
export interface OpenEvent extends EventFields {
  readonly chunk: EventChunk
  readonly context: ChunkContext
  /** Which event of the chunk it is. */
  readonly index: number
}
