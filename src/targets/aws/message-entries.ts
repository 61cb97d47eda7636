/**
 * Messages for queues and topics, made from records: one per record, or one for
 * as many as fit (`message: batch`), which saves requests.
 *
 * The body of the second is what an HTTP service gets:
 *
 * ```
 * {"source":{"topic":"mt-c300","partition":3},"messages":[{…},{…}],"offsets":[1001,1003],
 *  "idempotencyKeys":["mt-c300-3-1001","mt-c300-3-1003"]}
 * ```
 *
 * A message counts in bytes of UTF-8: its body and, of each attribute, name, type and value.
 */

import { parseExact, readsValue, type RecordTemplate, renderTemplate } from '../sinks/record-template.ts'
import type { SinkFailure, SinkRequest } from '../sinks/record-sink.ts'
import type { Entry } from './entry-plan.ts'
import { deduplicationIdOf, groupIdOf, hasRefusedCharacters, safeJsonText, sha256 } from './message-text.ts'

/** A message attribute: its type, and text or bytes. */
export interface MessageAttribute {
  readonly DataType: 'String' | 'Number' | 'Binary'
  readonly StringValue?: string
  readonly BinaryValue?: Uint8Array
}

/** One message. */
export interface MessageEntry extends Entry {
  readonly body: string
  readonly attributes: Readonly<Record<string, MessageAttribute>> | undefined
  readonly groupId: string | undefined
  readonly deduplicationId: string | undefined
}

/** An attribute to be made. */
export interface AttributeTemplate {
  readonly name: string
  readonly template: RecordTemplate
}

/** How messages are made. */
export interface MessageSettings {
  readonly mode: 'record' | 'batch'
  /** A FIFO queue or topic: every message has a group and a deduplication id, and groups stay in order. */
  readonly isFifo: boolean
  /** Group of a message. Without it only those of FIFO queues have one. */
  readonly group: RecordTemplate | undefined
  /** FIFO: what a record is deduplicated by. Default: its id, which is also for a record that has nothing for it. */
  readonly deduplicationId?: RecordTemplate | undefined
  readonly attributes: readonly AttributeTemplate[]
  /** Most bytes of one message. */
  readonly bytesMax: number
  /** Most records of one message in mode `batch`. */
  readonly messageRecordsMax: number
}

/** Messages, and the records that cannot be in any. */
export interface MadeMessages {
  readonly entries: readonly MessageEntry[]
  readonly refused: ReadonlyMap<number, SinkFailure>
}

/** Makes the messages of one request. */
export function makeMessages(request: SinkRequest, settings: MessageSettings): MadeMessages {
  const maker = new MessageMaker(request, settings)
  for (let index = 0; index < request.texts.length; index += 1) maker.add(index)
  return maker.finish()
}

/** Records that will be one message. */
interface Collected {
  readonly indexes: number[]
  readonly texts: string[]
  /** What each of them is deduplicated by. */
  readonly ids: string[]
  readonly group: string | undefined
  readonly attributes: Readonly<Record<string, MessageAttribute>>
  bytes: number
}

class MessageMaker {
  readonly #request: SinkRequest
  readonly #settings: MessageSettings
  readonly #needsValue: boolean
  readonly #entries: MessageEntry[] = []
  readonly #refused = new Map<number, SinkFailure>()
  readonly #open = new Map<string | undefined, Collected>()
  /** Bytes of a batch's body around its records. */
  readonly #frameBytes: number

  constructor(request: SinkRequest, settings: MessageSettings) {
    this.#request = request
    this.#settings = settings
    const templates = settings.attributes.map(({ template }) => template)
    for (const template of [settings.group, settings.deduplicationId]) {
      if (template !== undefined) templates.push(template)
    }
    this.#needsValue = templates.some(readsValue)
    this.#frameBytes = Buffer.byteLength(batchBody(request, { indexes: [], texts: [] }))
  }

  add(index: number): void {
    const text = safeJsonText(this.#request.texts[index] ?? 'null')
    const value = this.#needsValue ? parseExact(text) : undefined
    const group = this.#groupOf(index, value)
    if (this.#settings.mode === 'batch') return this.#collect(index, text, { group, value })
    const attributes = this.#attributesOf(index, value)
    const ownBytes = Buffer.byteLength(text) + attributeBytes(attributes)
    if (ownBytes > this.#settings.bytesMax) return this.#refuse(index, ownBytes)
    const bytes = ownBytes + this.#addTrace(attributes, this.#settings.bytesMax - ownBytes)
    const id = this.#idOf(index, value)
    this.#entries.push(this.#entry({ indexes: [index], bytes, body: text }, { attributes, group, id }))
  }

  finish(): MadeMessages {
    for (const collected of this.#open.values()) this.#close(collected)
    return { entries: this.#entries, refused: this.#refused }
  }

  #collect(index: number, text: string, of: { group: string | undefined; value: unknown }): void {
    const { bytesMax, messageRecordsMax } = this.#settings
    const { offsets, recordIds } = this.#request
    // With the commas that stand before each of them.
    const own = [text, String(offsets[index]), JSON.stringify(recordIds[index] ?? '')]
    const bytes = own.reduce((sum, each) => sum + Buffer.byteLength(each) + 1, 0)
    const attributes = this.#attributesOf(index, of.value)
    const ownBytes = this.#frameBytes + bytes + attributeBytes(attributes)
    if (ownBytes > bytesMax) return this.#refuse(index, ownBytes)
    const aloneBytes = ownBytes + this.#addTrace(attributes, bytesMax - ownBytes)
    const open = this.#open.get(of.group)
    if (open !== undefined && open.indexes.length < messageRecordsMax && open.bytes + bytes <= bytesMax) {
      open.indexes.push(index)
      open.texts.push(text)
      open.ids.push(this.#idOf(index, of.value))
      open.bytes += bytes
      return
    }
    if (open !== undefined) this.#close(open)
    const ids = [this.#idOf(index, of.value)]
    this.#open.set(of.group, { indexes: [index], texts: [text], ids, group: of.group, attributes, bytes: aloneBytes })
  }

  #close({ indexes, texts, ids, group, attributes, bytes }: Collected): void {
    const body = batchBody(this.#request, { indexes, texts })
    const id = ids.length === 1 ? (ids[0] ?? '') : sha256(ids.join('\n'))
    this.#entries.push(this.#entry({ indexes, bytes, body }, { attributes, group, id }))
  }

  #entry(
    entry: Pick<MessageEntry, 'indexes' | 'bytes' | 'body'>,
    of: {
      readonly attributes: Readonly<Record<string, MessageAttribute>>
      readonly group: string | undefined
      readonly id: string
    }
  ): MessageEntry {
    const { isFifo } = this.#settings
    return {
      ...entry,
      attributes: Object.keys(of.attributes).length === 0 ? undefined : of.attributes,
      groupId: of.group,
      // A standard queue spreads by its groups and keeps no order.
      group: isFifo ? of.group : undefined,
      deduplicationId: isFifo ? deduplicationIdOf(of.id) : undefined
    }
  }

  /** What a record is deduplicated by. */
  #idOf(index: number, value: unknown): string {
    const { isFifo, deduplicationId } = this.#settings
    if (!isFifo) return ''
    const id = this.#request.recordIds[index] ?? ''
    if (deduplicationId === undefined) return id
    return renderTemplate(deduplicationId, this.#request, { index, value }) || id
  }

  #groupOf(index: number, value: unknown): string | undefined {
    const { group, isFifo } = this.#settings
    const text = group === undefined ? undefined : renderTemplate(group, this.#request, { index, value })
    if (text !== undefined && text !== '') return groupIdOf(text)
    return isFifo ? groupIdOf(`${this.#request.topic}-${this.#request.partition}`) : undefined
  }

  #attributesOf(index: number, value: unknown): Record<string, MessageAttribute> {
    const attributes: Record<string, MessageAttribute> = {}
    for (const { name, template } of this.#settings.attributes) {
      const text = renderTemplate(template, this.#request, { index, value })
      // AWS takes no empty value.
      if (text !== undefined && text !== '') attributes[name] = attributeOf(template, text)
    }
    return attributes
  }

  /**
   * Adds where in a trace the request is, as far as there is room: no message is refused for it, and what the
   * configuration asks for goes first. Returns the bytes that came with it.
   */
  #addTrace(attributes: Record<string, MessageAttribute>, roomBytes: number): number {
    const { trace } = this.#request
    let bytes = 0
    for (const [name, text] of Object.entries(trace ?? {})) {
      const added = { [name]: { DataType: 'String', StringValue: text } } as const
      const addedBytes = attributeBytes(added)
      const isFull = Object.keys(attributes).length >= ATTRIBUTES_MAX || bytes + addedBytes > roomBytes
      if (isFull || attributes[name] !== undefined) continue
      Object.assign(attributes, added)
      bytes += addedBytes
    }
    return bytes
  }

  #refuse(index: number, bytes: number): void {
    const reason = `the message would have ${bytes} bytes, and ${this.#settings.bytesMax} is the most`
    this.#refused.set(index, { action: 'deadLetter', reason })
  }
}

/** Most attributes of a message. Source: SQS developer guide, "Message attributes". */
const ATTRIBUTES_MAX = 10
const NUMBERS: readonly string[] = ['partition', 'offset', 'timestamp']

function attributeOf(template: RecordTemplate, text: string): MessageAttribute {
  const [only] = template.places
  const isAlone = template.places.length === 1 && template.literals.every(literal => literal === '')
  if (isAlone && only !== undefined && NUMBERS.includes(only.kind)) return { DataType: 'Number', StringValue: text }
  // A value has the same characters as a body, and no escapes: as bytes it is exact.
  if (hasRefusedCharacters(text)) return { DataType: 'Binary', BinaryValue: Buffer.from(text) }
  return { DataType: 'String', StringValue: text }
}

function attributeBytes(attributes: Readonly<Record<string, MessageAttribute>>): number {
  let bytes = 0
  for (const [name, { DataType, StringValue, BinaryValue }] of Object.entries(attributes)) {
    const value = BinaryValue === undefined ? Buffer.byteLength(StringValue ?? '') : BinaryValue.length
    bytes += Buffer.byteLength(name) + DataType.length + value
  }
  return bytes
}

function batchBody(
  { topic, partition, offsets, recordIds }: SinkRequest,
  { indexes, texts }: { readonly indexes: readonly number[]; readonly texts: readonly string[] }
): string {
  const source = `{"topic":${JSON.stringify(topic)},"partition":${partition}}`
  const ids = JSON.stringify(indexes.map(index => recordIds[index] ?? ''))
  const numbers = indexes.map(index => offsets[index] ?? 0).join(',')
  return `{"source":${source},"messages":[${texts.join(',')}],"offsets":[${numbers}],"idempotencyKeys":${ids}}`
}
