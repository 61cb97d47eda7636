/**
 * What a dead letter says of its record, and the record as it was before.
 *
 * The dispatcher appends ten headers behind the record's own, always the same in
 * the same order, and one more to a *reference*, whose value lies at its origin
 * only (docs/reference/outcomes.md). The producer puts its headers before those
 * of the event, whose source is no topic. Only these blocks are taken off: a
 * record may have headers of the same names by right.
 *
 * A record that is redriven gets four headers that go with it wherever it goes,
 * the dead letter topic included: how often, from where, when and by whom.
 */

import type { RecordHeader } from '../../protocol/index.ts'
import type { ReadRecord } from '../records/read-record.ts'

/** Headers of a redriven record. */
export const REDRIVE_HEADER = {
  /** How often it was redriven, in decimal digits. */
  count: 'comporta-redrive-count',
  /** The dead letter: `dead-letters-0@17`. */
  from: 'comporta-redriven-from',
  /** When, in milliseconds since 1970. */
  atMs: 'comporta-redriven-at-ms',
  /** Who. */
  by: 'comporta-redriven-by'
} as const

/** Where a record was when it could not be delivered. */
export interface LetterOrigin {
  readonly topic: string
  /** -1 where the dead letter does not say: the producer's. */
  readonly partition: number
  readonly offset: bigint
  readonly timestampMs: number | undefined
}

/** A dead letter, taken apart. */
export interface DeadLetterFacts {
  /** Who wrote it; `foreign`: neither dispatcher nor producer. */
  readonly writer: 'dispatcher' | 'producer' | 'foreign'
  readonly errorClass: string
  readonly reason: string
  /** Topic and place of its record; `undefined` where it never lay in a topic. */
  readonly origin: LetterOrigin | undefined
  /** Where the value is. `elsewhere`: at the origin; `cut`: only its beginning was kept. */
  readonly value: 'here' | 'elsewhere' | 'cut'
  /** How often the record has been redriven before. */
  readonly redriveCount: number
  /** The record's own headers, without those of the dead letter and of earlier redrives. */
  readonly headers: readonly RecordHeader[]
}

const DISPATCHER_BLOCK = [
  'comporta-origin-topic',
  'comporta-origin-partition',
  'comporta-origin-offset',
  'comporta-origin-timestamp',
  'comporta-error-class',
  'comporta-error-reason',
  'comporta-attempts',
  'comporta-group',
  'comporta-first-failure-ms',
  'comporta-last-failure-ms'
]
const REFERENCE = 'comporta-value-bytes'
const PRODUCER_BLOCK = ['comporta-error-class', 'comporta-error-reason', 'comporta-source', 'comporta-line']
/** May follow, in this order. */
const PRODUCER_MORE = ['comporta-error-rules', 'comporta-origin-topic', 'comporta-whole-bytes']

const redriveNames: ReadonlySet<string> = new Set(Object.values(REDRIVE_HEADER))

/** Takes a dead letter apart. Whatever its headers are, there is an answer. */
export function readDeadLetter(record: Pick<ReadRecord, 'headers'>): DeadLetterFacts {
  return fromDispatcher(record.headers) ?? fromProducer(record.headers) ?? foreign(record.headers)
}

function fromDispatcher(headers: readonly RecordHeader[]): DeadLetterFacts | undefined {
  const isReference = headers.at(-1)?.key === REFERENCE
  const end = headers.length - (isReference ? 1 : 0)
  const start = end - DISPATCHER_BLOCK.length
  if (start < 0 || DISPATCHER_BLOCK.some((name, index) => headers[start + index]?.key !== name)) return undefined
  const [topic = '', partition = '', offset = '', timestamp = '', errorClass = '', reason = ''] = headers
    .slice(start, end)
    .map(textOf)
  const own = headers.slice(0, start)
  return {
    writer: 'dispatcher',
    errorClass,
    reason,
    origin:
      topic === '' || !isDigits(partition) || !isDigits(offset)
        ? undefined
        : { topic, partition: Number(partition), offset: BigInt(offset), timestampMs: timeOf(timestamp) },
    value: isReference ? 'elsewhere' : 'here',
    ...ownHeaders(own)
  }
}

function fromProducer(headers: readonly RecordHeader[]): DeadLetterFacts | undefined {
  if (PRODUCER_BLOCK.some((name, index) => headers[index]?.key !== name)) return undefined
  let end = PRODUCER_BLOCK.length
  for (const name of PRODUCER_MORE) if (headers[end]?.key === name) end += 1
  const block = new Map(headers.slice(0, end).map(header => [header.key, textOf(header)]))
  const topic = block.get('comporta-origin-topic')
  return {
    writer: 'producer',
    errorClass: block.get('comporta-error-class') ?? '',
    reason: block.get('comporta-error-reason') ?? '',
    origin: topic === undefined ? undefined : { topic, partition: -1, offset: -1n, timestampMs: undefined },
    value: block.has('comporta-whole-bytes') ? 'cut' : 'here',
    ...ownHeaders(headers.slice(end))
  }
}

function foreign(headers: readonly RecordHeader[]): DeadLetterFacts {
  return { writer: 'foreign', errorClass: '', reason: '', origin: undefined, value: 'here', ...ownHeaders(headers) }
}

/** The headers of a record without those of redrives, and how often these say that it was redriven. */
export function ownHeaders(headers: readonly RecordHeader[]): Pick<DeadLetterFacts, 'headers' | 'redriveCount'> {
  const counted = headers.findLast(({ key }) => key === REDRIVE_HEADER.count)
  const text = counted === undefined ? '' : textOf(counted)
  return {
    redriveCount: /^\d{1,9}$/.test(text) ? Number(text) : 0,
    headers: headers.filter(({ key }) => !redriveNames.has(key))
  }
}

function textOf({ value }: RecordHeader): string {
  return value === null ? '' : value.toString('utf8')
}

function isDigits(text: string): boolean {
  return /^\d{1,19}$/.test(text)
}

function timeOf(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}
