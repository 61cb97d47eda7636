/**
 * What a record in a retry topic says of itself.
 *
 * Its own headers come first, unchanged; then ours, in one block that ends with
 * `comporta-retry`, whose value is the length of the block. So a record that
 * already had headers of these names (a dead letter that was sent in again)
 * gets all of its own back, and a record without the block is not one of ours.
 */

import type { AppendHeader } from '../../client/index.ts'

/** Where a record comes from and what it has been through. */
export interface RetryHistory {
  /** Topic, partition, offset and timestamp of the record itself. */
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  readonly timestampMs: number
  readonly groupId: string
  /** Times that it was sent so far. 0: it followed an earlier record of its key. */
  readonly attempts: number
  /** What it failed of last. */
  readonly errorClass: string
  readonly reason: string
  /** When it failed first and last, in epoch milliseconds; of one that only followed, when it was put aside. */
  readonly firstFailureMs: number
  readonly lastFailureMs: number
  /** When it was put into the topic, by the clock of the writer. */
  readonly parkedMs: number
  /** Topic and offset that it was moved from, in the same partition. */
  readonly fromTopic: string
  readonly fromOffset: bigint
}

/** A record of a retry topic, read. */
export interface HistoryRead {
  readonly history: RetryHistory
  /** The record's own headers. */
  readonly headers: AppendHeader[]
}

const REASON_LENGTH_MAX = 1000
const BLOCK_END = 'comporta-retry'
const INTEGER = /^-?\d{1,19}$/

/** Headers of a record for a retry topic. */
export function withHistory(own: readonly AppendHeader[], history: RetryHistory): AppendHeader[] {
  const fields: readonly (readonly [string, string])[] = [
    ['comporta-origin-topic', history.topic],
    ['comporta-origin-partition', String(history.partition)],
    ['comporta-origin-offset', String(history.offset)],
    ['comporta-origin-timestamp', String(history.timestampMs)],
    ['comporta-group', history.groupId],
    ['comporta-attempts', String(history.attempts)],
    ['comporta-error-class', history.errorClass],
    ['comporta-error-reason', history.reason.slice(0, REASON_LENGTH_MAX)],
    ['comporta-first-failure-ms', String(history.firstFailureMs)],
    ['comporta-last-failure-ms', String(history.lastFailureMs)],
    ['comporta-retry-parked-ms', String(history.parkedMs)],
    ['comporta-retry-from-topic', history.fromTopic],
    ['comporta-retry-from-offset', String(history.fromOffset)]
  ]
  const block = [...fields, [BLOCK_END, String(fields.length + 1)] as const]
  return [...own, ...block.map(([key, value]) => ({ key, value: Buffer.from(value, 'utf8') }))]
}

/** Reads the headers of a record of a retry topic. `undefined` if this is not a record that a dispatcher put there. */
export function readHistory(headers: readonly AppendHeader[]): HistoryRead | undefined {
  const last = headers.at(-1)
  if (last?.key !== BLOCK_END) return undefined
  const length = Number(textOf(last))
  if (!Number.isInteger(length) || length < 1 || length > headers.length) return undefined
  const block = new Map(headers.slice(headers.length - length).map(header => [header.key, textOf(header)]))
  const history = historyOf(block)
  return history === undefined ? undefined : { history, headers: headers.slice(0, headers.length - length) }
}

function historyOf(block: ReadonlyMap<string, string>): RetryHistory | undefined {
  const text = (name: string): string => block.get(`comporta-${name}`) ?? ''
  const whole = (name: string): bigint | undefined => (INTEGER.test(text(name)) ? BigInt(text(name)) : undefined)
  const partition = whole('origin-partition')
  const offset = whole('origin-offset')
  const fromOffset = whole('retry-from-offset')
  const topic = text('origin-topic')
  if (topic === '' || partition === undefined || offset === undefined || fromOffset === undefined) return undefined
  if (partition < 0n || offset < 0n) return undefined
  const number = (name: string): number => Number(whole(name) ?? 0n)
  return {
    topic,
    partition: Number(partition),
    offset,
    timestampMs: number('origin-timestamp'),
    groupId: text('group'),
    attempts: Math.max(0, number('attempts')),
    errorClass: text('error-class'),
    reason: text('error-reason'),
    firstFailureMs: number('first-failure-ms'),
    lastFailureMs: number('last-failure-ms'),
    parkedMs: number('retry-parked-ms'),
    fromTopic: text('retry-from-topic'),
    fromOffset
  }
}

function textOf(header: AppendHeader): string {
  return header.value?.toString('utf8') ?? ''
}
