/**
 * What a topic target makes of a batch: records to append, from what the user's function returns.
 *
 * The function gets the records of a batch and returns those to be written, as
 * many as it likes, in the order they are to have per key. `null` or an empty
 * list: nothing is written. It says which topic and which key a record has, never
 * which partition: the key decides. Pure but for the function itself.
 */

import type { AppendHeader, AppendRecord } from '../client/index.ts'
import { loadFunction } from './load-function.ts'
import type { BatchRecords } from './target.ts'

/** A record as the function gets it. Its buffers are views: treat as read-only, and copy what is to be kept. */
export interface TopicInput {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  /** Milliseconds since 1970. */
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly AppendHeader[]
  /** The value parsed; `null` for a tombstone. @throws SyntaxError if it is not JSON. */
  json(): unknown
}

/** A record to be written. */
export interface TopicOutput {
  /** Default: what the target is configured for. The topic that the batch was read from counts as not said. */
  readonly topic?: string
  /** Bytes or text; records of one key keep their order. Default `null`: no key, no order. */
  readonly key?: Uint8Array | string | null
  /** Bytes as they are; `null` = a tombstone; anything else is written as JSON. */
  readonly value: unknown
  readonly headers?: readonly AppendHeader[]
  /** Milliseconds since 1970. Default: now. */
  readonly timestampMs?: number
}

/** What the function is told besides the records. */
export interface TopicContext {
  readonly topic: string
  readonly partition: number
  /** 1 for the first try of these records. */
  readonly attempt: number
  /** Aborts when the answer is no longer waited for. */
  readonly signal: AbortSignal
}

/** A user's function. It may be called again for the same records: its other effects happen at least once. */
export type TopicTransform = (
  records: readonly TopicInput[],
  context: TopicContext
) => readonly TopicOutput[] | null | Promise<readonly TopicOutput[] | null>

/** Where records go whose function does not say: by a header or a field of their JSON value, else to `topic`. */
export interface TopicRoute {
  readonly topic?: string | undefined
  readonly topicFrom?: { readonly header?: string | undefined; readonly field?: string | undefined } | undefined
}

/** Where records go, and the topic that they come from. */
export interface OutputPlace extends TopicRoute {
  readonly from: string
}

/** A record of the function that cannot be written: says which rule it breaks. */
class TopicOutputError extends Error {
  constructor(errorClass: 'InvalidReply' | 'NoTopic', message: string) {
    super(message)
    this.name = errorClass
  }
}

const TOPIC_NAME = /^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$/

/** Records of a batch as the function gets them. */
export function topicInputs(
  batch: { readonly topic: string; readonly partition: number },
  records: BatchRecords
): TopicInput[] {
  const { topic, partition } = batch
  return Array.from({ length: records.count }, (_, index) => {
    const value = records.value(index)
    return {
      topic,
      partition,
      offset: records.offset(index),
      timestampMs: records.timestampMs(index),
      key: records.key(index),
      value,
      headers: records.headers(index),
      json: () => (value === null ? null : (JSON.parse(value.toString('utf8')) as unknown))
    }
  })
}

/** Without a function: every record as it is. */
export const copyRecords: TopicTransform = records => records

/**
 * What the function has returned, as records to append.
 *
 * @throws TopicOutputError if it is not a list of records, or a record has no topic it can go to.
 */
export function appendRecords(returned: unknown, place: OutputPlace): AppendRecord[] {
  if (returned === null) return []
  if (!Array.isArray(returned)) {
    // Nothing at all is what a function gives that forgot its return: to drop records it has to say so.
    throw new TopicOutputError('InvalidReply', 'the function returned neither a list of records nor null')
  }
  return (returned as readonly unknown[]).map(output => appendRecord(output, place))
}

function appendRecord(output: unknown, place: OutputPlace): AppendRecord {
  if (typeof output !== 'object' || output === null || !('value' in output) || output.value === undefined) {
    throw new TopicOutputError('InvalidReply', 'the function returned a record without "value"')
  }
  const { key, value, headers, timestampMs } = output as TopicOutput
  const topic = topicOf(output as TopicOutput, place)
  if (topic === undefined) throw new TopicOutputError('NoTopic', 'a record says of no topic where it is to go')
  if (!TOPIC_NAME.test(topic)) throw new TopicOutputError('NoTopic', 'a record names a topic that cannot exist')
  return {
    topic,
    key: bytesOf(key ?? null, 'key'),
    value: valueBytes(value),
    ...(headers === undefined ? {} : { headers: headers.map(checkedHeader) }),
    ...(typeof timestampMs === 'number' ? { timestampMs } : {})
  }
}

function topicOf(output: TopicOutput, { topic, topicFrom, from }: OutputPlace): string | undefined {
  // An input that is handed on has the topic it was read from: that is not where it is to go.
  if (output.topic !== undefined && output.topic !== from) return String(output.topic)
  const { header, field } = topicFrom ?? {}
  if (header !== undefined) {
    const found = output.headers?.findLast(each => each.key === header)?.value
    if (found !== undefined && found !== null) return found.toString('utf8')
  }
  if (field !== undefined) {
    const found = fieldOf(output.value, field)
    if (typeof found === 'string') return found
  }
  return topic
}

function fieldOf(value: unknown, path: string): unknown {
  let found: unknown
  try {
    found = value instanceof Uint8Array ? JSON.parse(Buffer.from(value).toString('utf8')) : value
  } catch {
    // Not JSON: it has no fields, so the record goes where those go that have none.
    return undefined
  }
  for (const name of path.split('.')) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined
    found = (found as Readonly<Record<string, unknown>>)[name]
  }
  return found
}

function bytesOf(value: unknown, what: string): Buffer | null {
  if (value === null) return null
  if (typeof value === 'string') return Buffer.from(value, 'utf8')
  if (value instanceof Uint8Array) return Buffer.isBuffer(value) ? value : Buffer.from(value)
  throw new TopicOutputError('InvalidReply', `a ${what} of the function is neither text nor bytes`)
}

function valueBytes(value: unknown): Buffer | null {
  if (value === null) return null
  if (value instanceof Uint8Array) return Buffer.isBuffer(value) ? value : Buffer.from(value)
  const text = JSON.stringify(value) as string | undefined
  if (text === undefined)
    throw new TopicOutputError('InvalidReply', 'a value of the function cannot be written as JSON')
  return Buffer.from(text, 'utf8')
}

function checkedHeader(header: unknown): AppendHeader {
  if (typeof header === 'object' && header !== null && 'key' in header && typeof header.key === 'string') {
    return { key: header.key, value: 'value' in header ? bytesOf(header.value ?? null, 'header') : null }
  }
  throw new TopicOutputError('InvalidReply', 'a header of the function has no "key"')
}

/**
 * Imports the `transform` export of a file.
 *
 * @param file - Path of the module, relative ones from `baseDir`.
 * @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` if it cannot be imported or has no such function.
 */
export async function loadTopicTransform(file: string, baseDir: string): Promise<TopicTransform> {
  const code = 'ERR_DISPATCHER_TARGET_INVALID'
  return await loadFunction({ file, baseDir, name: 'transform', what: 'target file', code })
}
