/**
 * The two events a distributor understands, as one form: lists by partition.
 *
 * - Ours: `{"topic","partition","messages":[…],"offsets":[…],"keys":[…]?}`. Messages are parsed with the event, so
 *   they are written again for the services: numbers beyond 2^53 are rounded, as in every JavaScript function.
 * - AWS's Kafka event (MSK and self-managed): records by `topic-partition`, key and value in Base64. A value that is
 *   one JSON value is passed on exactly as it was produced; any other is a problem of that record.
 *
 * Source of the second: Lambda developer guide, "Using Lambda with Amazon MSK" and "… self-managed Apache Kafka".
 */

import { isUtf8 } from 'node:buffer'

import { PipelineError } from '../../core/index.ts'
import { isRecord } from '../distributor/options.ts'

/** The records of one partition in an event; all lists have one entry per record. */
export interface EventPartition {
  readonly topic: string
  readonly partition: number
  /** In the order of the event, which is the order of the log. */
  readonly offsets: readonly number[]
  readonly messages: readonly unknown[]
  /** JSON text of each message; filled in when it is first needed. */
  readonly texts: (string | undefined)[]
  /** Keys as texts that tell them apart; `undefined` if the event has none. */
  readonly keys: readonly (string | null)[] | undefined
  /** Why a record cannot be passed on, by its index. */
  readonly problems: ReadonlyMap<number, string>
}

/** An event and the form its answer takes. */
export interface DistributorEvent {
  readonly format: 'json' | 'esm'
  readonly partitions: readonly EventPartition[]
}

/**
 * Reads an event.
 *
 * @throws PipelineError `ERR_LAMBDA_EVENT_UNRECOGNISED` if it has neither form.
 */
export function readEvent(event: unknown): DistributorEvent {
  if (isRecord(event)) {
    if (Array.isArray(event['messages'])) return { format: 'json', partitions: [readOurs(event, event['messages'])] }
    if (isRecord(event['records'])) return { format: 'esm', partitions: readRecords(event['records']) }
  }
  throw unrecognised('it has neither "messages" nor "records"')
}

/** The JSON text of one message, or `undefined` if it cannot be written: reading has no limit of depth, writing has. */
export function textOf(partition: EventPartition, index: number): string | undefined {
  const known = partition.texts[index]
  if (known !== undefined) return known
  try {
    const text = JSON.stringify(partition.messages[index]) ?? 'null'
    partition.texts[index] = text
    return text
  } catch {
    return undefined
  }
}

function unrecognised(what: string): PipelineError {
  return new PipelineError('ERR_LAMBDA_EVENT_UNRECOGNISED', `not an event for the distributor: ${what}`)
}

function readOurs(event: Record<string, unknown>, messages: unknown[]): EventPartition {
  const { topic, partition, offsets, keys } = event
  if (typeof topic !== 'string' || typeof partition !== 'number') throw unrecognised('topic or partition is missing')
  if (!isOffsetList(offsets) || offsets.length !== messages.length) {
    throw unrecognised('"offsets" is not one number per message; without them no failure could be told')
  }
  const isKeyed = isKeyList(keys) && keys.length === messages.length
  return {
    topic,
    partition,
    offsets,
    messages,
    texts: [],
    keys: isKeyed ? keys : undefined,
    problems: new Map()
  }
}

function isOffsetList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(each => typeof each === 'number')
}

function isKeyList(value: unknown): value is (string | null)[] {
  return Array.isArray(value) && value.every(each => each === null || typeof each === 'string')
}

function readRecords(records: Record<string, unknown>): EventPartition[] {
  return Object.entries(records).map(([name, list]) => {
    if (!Array.isArray(list)) throw unrecognised(`records of "${name}" are not a list`)
    return readEsmPartition(name, list)
  })
}

function readEsmPartition(name: string, list: readonly unknown[]): EventPartition {
  const dash = name.lastIndexOf('-')
  const partition = {
    topic: name.slice(0, dash),
    partition: Number(name.slice(dash + 1)),
    offsets: new Array<number>(),
    messages: new Array<unknown>(),
    texts: new Array<string | undefined>(),
    keys: new Array<string | null>(),
    problems: new Map<number, string>()
  }
  if (dash < 1 || !Number.isInteger(partition.partition)) throw unrecognised(`"${name}" is not a topic-partition`)
  for (const [index, record] of list.entries()) {
    if (!isRecord(record) || typeof record['offset'] !== 'number') throw unrecognised(`"${name}" has a bad record`)
    partition.offsets.push(record['offset'])
    // Compared, never sent: the Base64 text tells keys apart as well as their bytes.
    partition.keys.push(typeof record['key'] === 'string' ? record['key'] : null)
    const { value } = record
    const text = typeof value === 'string' ? decodeText(value) : undefined
    const parsed = text === undefined ? undefined : parse(text)
    partition.texts.push(text)
    partition.messages.push(parsed?.message)
    if (typeof value !== 'string') partition.problems.set(index, 'the record has no value')
    else if (parsed === undefined) partition.problems.set(index, 'the value is not JSON')
  }
  return partition
}

function decodeText(base64: string): string | undefined {
  const bytes = Buffer.from(base64, 'base64')
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined
}

function parse(text: string): { readonly message: unknown } | undefined {
  try {
    return { message: JSON.parse(text) }
  } catch {
    return undefined
  }
}
