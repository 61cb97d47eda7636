/**
 * One record as a handler sees it. Nothing is decoded before it is asked for, and nothing twice.
 *
 * What cannot be decoded is thrown as a `DeadLetterRecord`: a handler that reads such a record dead-letters it without
 * a line of its own, and one that never looks is not bothered.
 */

import type { KafkaEventRecord } from '../event/event-types.ts'
import type { EventPartition, RecordHeader } from '../event/event-partition.ts'
import { utf8Text } from '../event/record-bytes.ts'
import { DeadLetterRecord } from './record-outcomes.ts'

/** A key or a value. Every method throws `DeadLetterRecord` for content that it cannot give. */
export interface RecordContent {
  /**
   * The bytes as they were produced. Comporta's payload carries parsed values: their bytes are written anew, with
   * numbers beyond 2^53 rounded and white space lost; `payload.format: esm` carries the bytes themselves.
   */
  bytes(): Buffer
  /** The text, if it is UTF-8. */
  text(): string
  /** The parsed JSON value. Of Comporta's payload it is the object of the event, not a copy. */
  json(): unknown
}

/** Headers of a record, in order. A name may be repeated. Reading spoiled ones throws `DeadLetterRecord`. */
export interface RecordHeaders extends Iterable<RecordHeader> {
  /** Bytes of the last header of that name, as Kafka's `lastHeader`; `undefined` if there is none. */
  get(name: string): Buffer | null | undefined
  /** Text of the last header of that name; `undefined` if there is none, it is null or not UTF-8. */
  text(name: string): string | undefined
  /** Bytes of all headers of that name, in order. */
  all(name: string): (Buffer | null)[]
}

/** One record. */
export interface KafkaRecord<Data = unknown> {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** `topic-partition-offset`: names the record for good, at every attempt. */
  readonly id: string
  /** Epoch milliseconds; `undefined` if Comporta's payload does not include timestamps. */
  readonly timestamp: number | undefined
  /** Whose time that is; AWS's event says so. */
  readonly timestampType: 'CREATE_TIME' | 'LOG_APPEND_TIME' | undefined
  /** `null` for a record without a key, and for all records of a payload that does not include keys. */
  readonly key: RecordContent | null
  /** `null` for a tombstone. */
  readonly value: RecordContent | null
  readonly headers: RecordHeaders
  /** The parsed value, as the schema gives it; without a schema `value.json()`, and `null` for a tombstone. */
  readonly data: Data
  /** The record as AWS's event has it, with the ids of schemas; `undefined` for Comporta's payload. */
  readonly source: KafkaEventRecord | undefined
}

/** A record of an event. `data` is set by whoever checks it against a schema. */
export class EventRecord<Data> implements KafkaRecord<Data> {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly #from: EventPartition
  readonly #index: number
  #key: RecordContent | null | undefined
  #value: RecordContent | null | undefined
  #headers: RecordHeaders | undefined
  #data: { readonly value: Data } | undefined

  constructor(from: EventPartition, index: number) {
    this.topic = from.topic
    this.partition = from.partition
    this.offset = from.offsets[index] ?? 0
    this.#from = from
    this.#index = index
  }

  get id(): string {
    return `${this.topic}-${this.partition}-${this.offset}`
  }

  get timestamp(): number | undefined {
    return this.#from.timestamps?.[this.#index]
  }

  get timestampType(): 'CREATE_TIME' | 'LOG_APPEND_TIME' | undefined {
    return this.#from.timestampType(this.#index)
  }

  get key(): RecordContent | null {
    if (this.#key === undefined) {
      const bytes = this.#from.keyBytes(this.#index)
      this.#key = bytes === null ? null : new BytesContent('key', bytes)
    }
    return this.#key
  }

  get value(): RecordContent | null {
    if (this.#value === undefined) {
      const parsed = this.#from.source(this.#index) === undefined ? this.#from.messages[this.#index] : undefined
      if (parsed === null) this.#value = null
      else if (parsed !== undefined) this.#value = new ParsedContent(parsed, this.#from, this.#index)
      else {
        const bytes = this.#from.valueBytes(this.#index)
        this.#value = bytes === null ? null : new BytesContent('value', bytes)
      }
    }
    return this.#value
  }

  get headers(): RecordHeaders {
    if (this.#headers === undefined) {
      const list = this.#from.headers(this.#index)
      if (list === undefined) throw new DeadLetterRecord('the headers of the record cannot be read')
      this.#headers = new HeaderList(list)
    }
    return this.#headers
  }

  get data(): Data {
    // Without a schema the type of Data is `unknown`, or what the caller of kafkaBatch vouches for.
    this.#data ??= { value: (this.value === null ? null : this.value.json()) as Data }
    return this.#data.value
  }

  /** Replaces `data` by what a schema made of it. */
  setData(value: Data): void {
    this.#data = { value }
  }

  get source(): KafkaEventRecord | undefined {
    // As the event has it: what it is made of was only looked at as far as it was needed.
    return this.#from.source(this.#index) as KafkaEventRecord | undefined
  }

  /** What is worth telling in a log; contents are not. */
  toJSON(): object {
    return { topic: this.topic, partition: this.partition, offset: this.offset }
  }
}

class BytesContent implements RecordContent {
  readonly #what: string
  readonly #bytes: Buffer | undefined
  #json: { readonly value: unknown } | undefined

  constructor(what: string, bytes: Buffer | undefined) {
    this.#what = what
    this.#bytes = bytes
  }

  bytes(): Buffer {
    if (this.#bytes === undefined) throw new DeadLetterRecord(`the ${this.#what} of the record is not Base64`)
    return this.#bytes
  }

  text(): string {
    const text = utf8Text(this.bytes())
    if (text === undefined) throw new DeadLetterRecord(`the ${this.#what} of the record is not UTF-8`)
    return text
  }

  json(): unknown {
    if (this.#json === undefined) {
      const text = this.text()
      try {
        this.#json = { value: JSON.parse(text) }
      } catch {
        throw new DeadLetterRecord(`the ${this.#what} of the record is not JSON`)
      }
    }
    return this.#json.value
  }
}

/** A value that came parsed. */
class ParsedContent implements RecordContent {
  readonly #value: unknown
  readonly #from: EventPartition
  readonly #index: number

  constructor(value: unknown, from: EventPartition, index: number) {
    this.#value = value
    this.#from = from
    this.#index = index
  }

  bytes(): Buffer {
    const bytes = this.#from.valueBytes(this.#index)
    if (bytes === undefined || bytes === null) throw new DeadLetterRecord('the value of the record is nested too deep')
    return bytes
  }

  text(): string {
    return this.bytes().toString('utf8')
  }

  json(): unknown {
    return this.#value
  }
}

class HeaderList implements RecordHeaders {
  readonly #list: readonly RecordHeader[]

  constructor(list: readonly RecordHeader[]) {
    this.#list = list
  }

  get(name: string): Buffer | null | undefined {
    return this.#list.findLast(header => header.name === name)?.value
  }

  text(name: string): string | undefined {
    const value = this.get(name)
    return value === undefined || value === null ? undefined : utf8Text(value)
  }

  all(name: string): (Buffer | null)[] {
    return this.#list.filter(header => header.name === name).map(header => header.value)
  }

  [Symbol.iterator](): Iterator<RecordHeader> {
    return this.#list[Symbol.iterator]()
  }
}
