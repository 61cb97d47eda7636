/**
 * AWS's Kafka event (MSK and self-managed): `{"records":{"topic-partition":[{"topic","partition","offset",…}]}}`, key
 * and value in Base64, header values as lists of signed bytes.
 *
 * A value that is one JSON value is passed on exactly as it was produced; any other is a problem of that record. The
 * name of a list is what the answer must repeat; topic and partition are taken from the records, because a topic's
 * name may hold dashes and digits itself.
 */

import { readHeaders } from './comporta-partition.ts'
import type { EventPartition, RecordHeader } from './event-partition.ts'
import { isOffset, isRecord, unrecognised } from './event-problem.ts'
import { base64Bytes, headerBytes, keyText, utf8Text } from './record-bytes.ts'

type EsmRecord = Readonly<Record<string, unknown>>

/** Reads the member `records`. Throws what `readEvent` throws. */
export function readEsm(records: Record<string, unknown>): EventPartition[] {
  const partitions: EventPartition[] = []
  for (const [name, list] of Object.entries(records)) {
    if (list === null) continue
    if (!Array.isArray(list)) throw unrecognised(`records of "${name}" are not a list`)
    if (list.length > 0) partitions.push(readPartition(name, list))
    else placeOf(name)
  }
  return partitions
}

function readPartition(name: string, list: readonly unknown[]): EventPartition {
  const records: EsmRecord[] = []
  const offsets: number[] = []
  let place: { readonly topic: string; readonly partition: number } | undefined
  for (const record of list) {
    if (!isRecord(record)) throw unrecognised(`"${name}" has a record that is not an object`)
    const { offset, topic } = record
    if (!isOffset(offset)) throw unrecognised(`"${name}" has an offset that is not a whole number from 0 to 2^53`)
    const partition = partitionNumber(record['partition'])
    if (typeof topic === 'string' && partition !== undefined) {
      if (place !== undefined && (place.topic !== topic || place.partition !== partition)) {
        throw unrecognised(`"${name}" has records of several partitions`)
      }
      place ??= { topic, partition }
    }
    records.push(record)
    offsets.push(offset)
  }
  return new EsmPartition({ name, ...(place ?? placeOf(name)), records, offsets })
}

/** Old examples have it as a text. */
function partitionNumber(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value
  return isOffset(number) ? number : undefined
}

function placeOf(name: string): { topic: string; partition: number } {
  const dash = name.lastIndexOf('-')
  const partition = partitionNumber(name.slice(dash + 1))
  if (dash < 1 || partition === undefined) throw unrecognised(`"${name}" is not a topic-partition`)
  return { topic: name.slice(0, dash), partition }
}

interface EsmParts {
  readonly name: string
  readonly topic: string
  readonly partition: number
  readonly records: readonly EsmRecord[]
  readonly offsets: readonly number[]
}

/** What the values are once somebody has asked for them. */
interface Values {
  readonly messages: readonly unknown[]
  readonly problems: ReadonlyMap<number, string>
}

class EsmPartition implements EventPartition {
  readonly name: string
  readonly topic: string
  readonly partition: number
  readonly offsets: readonly number[]
  readonly texts: (string | undefined)[] = []
  readonly #records: readonly EsmRecord[]
  #values: Values | undefined
  #keys: readonly (string | null)[] | undefined
  #timestamps: readonly number[] | undefined

  constructor({ name, topic, partition, records, offsets }: EsmParts) {
    this.name = name
    this.topic = topic
    this.partition = partition
    this.offsets = offsets
    this.#records = records
  }

  get timestamps(): readonly number[] {
    return (this.#timestamps ??= this.#records.map(({ timestamp }) => (typeof timestamp === 'number' ? timestamp : -1)))
  }

  get keys(): readonly (string | null)[] {
    return (this.#keys ??= this.#records.map(({ key }) => {
      if (typeof key !== 'string') return null
      const bytes = base64Bytes(key)
      // Spoiled, and still the same for every record that has it.
      return bytes === undefined ? `base64:${key}` : keyText(bytes)
    }))
  }

  get messages(): readonly unknown[] {
    return (this.#values ??= this.#readValues()).messages
  }

  get problems(): ReadonlyMap<number, string> {
    return (this.#values ??= this.#readValues()).problems
  }

  timestampType(index: number): 'CREATE_TIME' | 'LOG_APPEND_TIME' | undefined {
    const type = this.#records[index]?.['timestampType']
    return type === 'CREATE_TIME' || type === 'LOG_APPEND_TIME' ? type : undefined
  }

  keyBytes(index: number): Buffer | null | undefined {
    return bytesOf(this.#records[index]?.['key'])
  }

  valueBytes(index: number): Buffer | null | undefined {
    return bytesOf(this.#records[index]?.['value'])
  }

  headers(index: number): readonly RecordHeader[] | undefined {
    return readHeaders(this.#records[index]?.['headers'], headerBytes)
  }

  source(index: number): EsmRecord | undefined {
    return this.#records[index]
  }

  #readValues(): Values {
    const messages: unknown[] = []
    const problems = new Map<number, string>()
    for (const [index, { value }] of this.#records.entries()) {
      const read = typeof value === 'string' ? readValue(value) : NO_VALUE
      if ('problem' in read) {
        problems.set(index, read.problem)
        messages.push(undefined)
      } else {
        this.texts[index] = read.text
        messages.push(read.message)
      }
    }
    return { messages, problems }
  }
}

const NO_VALUE = { problem: 'the record has no value' } as const

function bytesOf(value: unknown): Buffer | null | undefined {
  if (value === undefined || value === null) return null
  return typeof value === 'string' ? base64Bytes(value) : undefined
}

function readValue(base64: string): { text: string; message: unknown } | { problem: string } {
  const bytes = base64Bytes(base64)
  if (bytes === undefined) return { problem: 'the value is not Base64' }
  const text = utf8Text(bytes)
  if (text === undefined) return { problem: 'the value is not UTF-8' }
  try {
    return { text, message: JSON.parse(text) }
  } catch {
    return { problem: 'the value is not JSON' }
  }
}
