/** The records of one partition while they are enriched, and afterwards. */

import type { EnrichablePartition, EnrichedPartition, EnrichmentFailure } from './enricher.ts'
import { withMembers, withoutMembers } from './json-text.ts'
import { valueAtPath } from './record-key.ts'
import { parsedValue, type Slot } from './source.ts'

/** What an enrichment adds, and how. */
export interface AddedMember {
  /** Place in the configuration. */
  readonly index: number
  readonly name: string
  /** `"driver":` */
  readonly literal: string
  readonly isReplacing: boolean
}

const GRAVITY = { skip: 1, deadLetter: 2, retry: 3 } as const

/** The records of one partition. */
export class EnrichedRecords implements EnrichedPartition {
  readonly partition: EnrichablePartition
  readonly texts: Map<number, string> = new Map()
  readonly failures: Map<number, EnrichmentFailure> = new Map()
  readonly #members: readonly AddedMember[]
  /** By enrichment, then by record: what is added. */
  readonly #slots: readonly (Slot | undefined)[][]
  readonly #isReplacing: boolean

  constructor(partition: EnrichablePartition, members: readonly AddedMember[]) {
    this.partition = partition
    this.#members = members
    this.#slots = members.map(() => [])
    this.#isReplacing = members.some(each => each.isReplacing)
  }

  added(index: number, name: string): unknown {
    for (let member = 0; member < this.#members.length; member += 1) {
      if (this.#members[member]?.name === name) return valueOf(this.#slots[member]?.[index])
    }
    return undefined
  }

  /** Notes what is added to a record; `undefined` takes it back. */
  set(member: number, index: number, slot: Slot | undefined): void {
    const slots = this.#slots[member]
    if (slots !== undefined) slots[index] = slot
  }

  slot(member: number, index: number): Slot | undefined {
    return this.#slots[member]?.[index]
  }

  /** What stands at a path of a record, with what earlier enrichments have added. */
  valueAt(index: number, path: readonly string[], reads: ReadonlyMap<string, number>): unknown {
    const member = reads.get(path[0] ?? '')
    const slot = member === undefined ? undefined : this.#slots[member]?.[index]
    if (slot === undefined) return valueAtPath(this.partition.messages[index], path)
    return valueAtPath(valueOf(slot), path.slice(1))
  }

  fail(index: number, failure: EnrichmentFailure): void {
    const known = this.failures.get(index)
    if (known === undefined || GRAVITY[failure.action] > GRAVITY[known.action]) this.failures.set(index, failure)
  }

  /** All that are wanted come again. */
  failAll(reason: string): void {
    this.texts.clear()
    for (let index = 0; index < this.partition.messages.length; index += 1) {
      if (this.partition.isWanted?.(index) !== false) {
        this.failures.set(index, { action: 'retry', reason, isUnavailable: true })
      }
    }
  }

  /** Writes the texts, once everything is known. */
  write(budget: { bytesLeft: number }): void {
    for (let index = 0; index < this.partition.messages.length; index += 1) {
      if (this.failures.has(index)) continue
      const members = this.#membersOf(index)
      if (members === '') continue
      if (budget.bytesLeft < members.length) {
        const reason = 'the event would grow too large by what is added to it; this record waits for the next one'
        this.fail(index, { action: 'retry', reason, isUnavailable: true })
        continue
      }
      budget.bytesLeft -= members.length
      const text = this.#baseOf(index)
      const enriched = text === undefined ? undefined : withMembers(text, members)
      if (enriched !== undefined) this.texts.set(index, enriched)
    }
  }

  #membersOf(index: number): string {
    let members = ''
    for (let member = 0; member < this.#members.length; member += 1) {
      const resolution = this.#slots[member]?.[index]?.resolution
      if (resolution?.kind !== 'found') continue
      const literal = this.#members[member]?.literal ?? ''
      members = members === '' ? literal + resolution.text : `${members},${literal}${resolution.text}`
    }
    return members
  }

  /** The record's text, without what gives way. */
  #baseOf(index: number): string | undefined {
    const text = this.partition.textOf(index)
    if (text === undefined || !this.#isReplacing) return text
    const message = this.partition.messages[index]
    if (typeof message !== 'object' || message === null) return text
    const names = this.#members
      .filter(({ name, isReplacing }, member) => {
        return isReplacing && this.#slots[member]?.[index] !== undefined && Object.hasOwn(message, name)
      })
      .map(({ name }) => name)
    return names.length === 0 ? text : withoutMembers(text, new Set(names))
  }
}

function valueOf(slot: Slot | undefined): unknown {
  return slot?.resolution.kind === 'found' ? parsedValue(slot.resolution) : undefined
}
