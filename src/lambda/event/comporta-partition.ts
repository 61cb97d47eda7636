/**
 * Comporta's payload: `{"topic","partition","messages":[…],"offsets":[…],"timestamps":[…],"keys":[…],"headers":[…]}`,
 * with the lists that `payload.include` names.
 *
 * Messages are parsed with the event, so their bytes here are written anew: numbers beyond 2^53 are rounded, as in
 * every JavaScript function, and a tombstone is the same as the value `null`.
 */

import { type EventPartition, type RecordHeader, textOf } from './event-partition.ts'
import { isOffset, isRecord, unrecognised } from './event-problem.ts'
import { keyText, textBytes } from './record-bytes.ts'

const NO_PROBLEMS: ReadonlyMap<number, string> = new Map()

/** Reads a payload. Throws what `readEvent` throws. */
export function readComporta(event: Record<string, unknown>, messages: unknown[]): EventPartition {
  const { topic, partition, offsets } = event
  if (typeof topic !== 'string' || topic === '') throw unrecognised('"topic" is missing')
  if (!isOffset(partition)) throw unrecognised('"partition" is not a number of at least 0')
  if (!Array.isArray(offsets)) {
    throw unrecognised('"offsets" is missing; without them no failure could be told. Add offsets to payload.include')
  }
  const wrong = offsets.findIndex(each => !isOffset(each))
  // Not repeated: it may be anything, nested too deep for a text, for example.
  if (wrong !== -1) throw unrecognised(`offsets.${wrong} is not a whole number from 0 to 2^53`)
  for (const name of ['offsets', 'timestamps', 'keys', 'headers']) {
    const list = event[name]
    if (list === undefined || list === null) continue
    if (!Array.isArray(list) || list.length !== messages.length) {
      throw unrecognised(`"${name}" is not a list with one entry per message`)
    }
  }
  return new ComportaPartition({ topic, partition, offsets, messages, event })
}

interface ComportaParts {
  readonly topic: string
  readonly partition: number
  readonly offsets: readonly number[]
  readonly messages: readonly unknown[]
  readonly event: Record<string, unknown>
}

class ComportaPartition implements EventPartition {
  readonly topic: string
  readonly partition: number
  readonly offsets: readonly number[]
  readonly messages: readonly unknown[]
  readonly texts: (string | undefined)[] = []
  readonly problems = NO_PROBLEMS
  readonly #event: Record<string, unknown>
  #keys: readonly (string | null)[] | undefined

  constructor({ topic, partition, offsets, messages, event }: ComportaParts) {
    this.topic = topic
    this.partition = partition
    this.offsets = offsets
    this.messages = messages
    this.#event = event
  }

  get name(): string {
    return `${this.topic}-${this.partition}`
  }

  get timestamps(): readonly number[] | undefined {
    const list = this.#list('timestamps')
    return isNumberList(list) ? list : undefined
  }

  get keys(): readonly (string | null)[] | undefined {
    const list = this.#list('keys')
    if (list === undefined) return undefined
    return (this.#keys ??= list.map(each => {
      if (typeof each === 'string') return each
      const bytes = textBytes(each)
      return bytes === null || bytes === undefined ? null : keyText(bytes)
    }))
  }

  timestampType(): undefined {
    return undefined
  }

  keyBytes(index: number): Buffer | null | undefined {
    return textBytes(this.#list('keys')?.[index] ?? null)
  }

  valueBytes(index: number): Buffer | null | undefined {
    if (this.messages[index] === null) return null
    const text = textOf(this, index)
    return text === undefined ? undefined : Buffer.from(text, 'utf8')
  }

  headers(index: number): readonly RecordHeader[] | undefined {
    const list = this.#list('headers')
    return list === undefined ? [] : readHeaders(list[index], textBytes)
  }

  source(): undefined {
    return undefined
  }

  #list(name: string): readonly unknown[] | undefined {
    const list = this.#event[name]
    return Array.isArray(list) ? list : undefined
  }
}

function isNumberList(list: readonly unknown[] | undefined): list is readonly number[] {
  return list?.every(each => typeof each === 'number') === true
}

/** Headers as both events write them: a list of objects, mostly with one member each. */
export function readHeaders(
  list: unknown,
  bytesOf: (value: unknown) => Buffer | null | undefined
): readonly RecordHeader[] | undefined {
  if (list === undefined || list === null) return []
  if (!Array.isArray(list)) return undefined
  const headers: RecordHeader[] = []
  for (const entry of list as readonly unknown[]) {
    if (!isRecord(entry)) return undefined
    for (const [name, given] of Object.entries(entry)) {
      const value = bytesOf(given)
      if (value === undefined) return undefined
      headers.push({ name, value })
    }
  }
  return headers
}
