/**
 * `GET /api/dead-letters`: the newest dead letters of a topic, taken apart.
 *
 * The newest 2000 are looked at, once: pages of the same list, and a page that is drawn anew, are answered from memory
 * while nothing has been added and half a minute has not passed.
 */

import { isDeepStrictEqual } from 'node:util'

import { partitionKeyOf } from '../../client/index.ts'
import { PipelineError, printableText } from '../../core/index.ts'
import {
  type DeadLetterFacts,
  keptRecord,
  readDeadLetter,
  type ReadRecord,
  type RecordMatcher
} from '../../ops/index.ts'
import {
  type DeadLetterRow,
  type DeadLetters,
  LETTERS_LOOKED_MAX,
  LIST_BYTES,
  type RecordShape
} from '../api/records.ts'
import { hiddenParts, MASK, maskRecord, topicsOf } from '../server/masking.ts'
import type { Caller, ConsoleContext } from '../server/server-types.ts'
import { pipelineNames, roleOfTopic } from '../world/pipeline-names.ts'
import { readPage } from './read-records.ts'
import { shownRecord } from './shown-record.ts'

/** Which dead letters, and how they are shown. */
export interface LettersQuery {
  readonly topic: string
  readonly class: string | undefined
  readonly origin: string | undefined
  readonly fromMs: number | undefined
  readonly toMs: number | undefined
  readonly matcher: RecordMatcher | undefined
  /** Of the matcher, to tell one search from another. */
  readonly find: string
  readonly shape: RecordShape
  readonly offset: number
  readonly limit: number
}

/** A dead letter before anything of it is hidden. */
export interface Letter {
  readonly record: ReadRecord
  readonly facts: DeadLetterFacts
  /** Of the value, where not all of it is held. */
  readonly valueBytes?: number
}

interface Look {
  readonly of: unknown
  readonly takenAtMs: number
  readonly durationMs: number
  readonly letters: readonly Letter[]
  readonly searched: number
  readonly isComplete: boolean
  readonly troubles: readonly string[]
}

const KEPT_MS = 30_000
/** Bytes of values that are held for a look; longer ones are cut, and found in full when one is opened. */
const HELD_BYTES = 4 * LIST_BYTES

/** Dead letters of all topics; holds one look. */
export class DeadLetterBox {
  readonly #context: ConsoleContext
  #last: Look | undefined

  constructor(context: ConsoleContext) {
    this.#context = context
  }

  /** Topics of dead letters: those of the pipeline, and those that are named like one. */
  topics(): readonly string[] {
    const { pipeline, operations, world } = this.#context
    const names = pipelineNames(pipeline, operations)
    const found = [...(world.latest()?.scan.topics ?? new Map()).values()]
    const named = found.filter(({ topic, isInternal }) => roleOfTopic(topic, isInternal, names) === 'deadLetters')
    return [...new Set([...names.deadLetters, ...named.map(({ topic }) => topic)])]
  }

  /**
   * A page of them.
   *
   * @throws PipelineError `ERR_OPS_NOT_FOUND`, and those of the reader.
   */
  async read(query: LettersQuery, caller: Caller, signal: AbortSignal): Promise<DeadLetters> {
    const look = await this.#look(query, signal)
    const inTime = look.letters.filter(({ record }) => isWithin(record.timestampMs, query))
    const ofOrigin = inTime.filter(({ facts }) => query.origin === undefined || facts.origin?.topic === query.origin)
    const chosen = ofOrigin.filter(({ facts }) => query.class === undefined || facts.errorClass === query.class)
    const { offset, limit } = query
    const origins = inTime.flatMap(({ facts }) => facts.origin?.topic ?? [])
    const { takenAtMs, durationMs, troubles } = look
    return {
      freshness: { takenAtMs, durationMs, problems: troubles },
      topic: query.topic,
      topics: this.topics(),
      letters: {
        rows: chosen
          .slice(offset, offset + limit)
          .map(letter => rowOf(letter, { shape: query.shape, caller, bytesMax: LIST_BYTES })),
        total: chosen.length,
        offset
      },
      classes: countsOf(ofOrigin.map(({ facts }) => facts.errorClass)).map(([name, count]) => ({ class: name, count })),
      origins: countsOf(origins).map(([topic, count]) => ({ topic, count })),
      looked: look.searched,
      isComplete: look.isComplete
    }
  }

  async #look({ topic, matcher, find }: LettersQuery, signal: AbortSignal): Promise<Look> {
    const { cluster, admin, clock } = this.#context
    const of = { topic, find, ends: await this.#endsOf(topic) }
    const last = this.#last
    if (last !== undefined && isDeepStrictEqual(last.of, of) && clock.now() - last.takenAtMs < KEPT_MS) return last
    const startedMs = clock.monotonicMs()
    const query = { topic, partition: undefined, from: 'latest', fromOffset: 0n, limit: LETTERS_LOOKED_MAX } as const
    const page = await readPage(query, { cluster, admin, matcher, signal, keep: letterOf })
    const look: Look = {
      of,
      takenAtMs: clock.now(),
      durationMs: clock.monotonicMs() - startedMs,
      letters: page.kept,
      searched: page.searched,
      isComplete: page.positions.size === 0,
      troubles: page.troubles
    }
    if (!signal.aborted) this.#last = look
    return look
  }

  async #endsOf(topic: string): Promise<readonly string[]> {
    const { admin } = this.#context
    const { topics } = await admin.describeTopics([topic])
    const partitions = topics[0]?.partitions ?? []
    if (partitions.length === 0) throw new PipelineError('ERR_OPS_NOT_FOUND', `there is no topic ${topic}`)
    const ends = await admin.listOffsets(
      partitions.map(({ partition }) => ({ topic, partition, at: 'latest' as const }))
    )
    return ends.map(end => `${partitionKeyOf(end)}@${end.offset}`)
  }
}

/** Bytes of its own, and not too many. */
function letterOf(record: ReadRecord): Letter {
  const facts = readDeadLetter(record)
  const { value } = record
  // A cut value says so by the length that it had: the page shows where to find the rest.
  const kept = keptRecord(value !== null && value.length > HELD_BYTES ? { ...record, value: head(value) } : record)
  const length = kept.value?.length === value?.length ? {} : { valueBytes: value?.length ?? 0 }
  return { record: kept, facts: { ...facts, headers: [] }, ...length }
}

function head(value: Buffer): Buffer {
  return value.subarray(0, HELD_BYTES)
}

function isWithin(timestampMs: number, { fromMs, toMs }: LettersQuery): boolean {
  return timestampMs >= (fromMs ?? Number.NEGATIVE_INFINITY) && timestampMs < (toMs ?? Number.POSITIVE_INFINITY)
}

function countsOf(names: readonly string[]): [string, number][] {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts].toSorted((left, right) => right[1] - left[1])
}

/** How a dead letter is shown, and to whom. */
export interface RowOptions {
  readonly shape: RecordShape
  readonly caller: Caller
  readonly bytesMax: number
}

/** A dead letter as this user may see it: what is hidden of its origin's records is hidden of it. */
export function rowOf({ record, facts, valueBytes }: Letter, { shape, caller, bytesMax }: RowOptions): DeadLetterRow {
  const whole = shownRecord(record, shape, bytesMax)
  const { value } = whole
  const length = value === null || valueBytes === undefined ? {} : { value: { ...value, byteLength: valueBytes } }
  const topics = topicsOf(record)
  const masked = maskRecord({ ...whole, ...length }, caller, topics)
  const origin = facts.origin?.topic
  const hidden = hiddenParts(caller, ...topics)
  // Reasons quote what they did not understand.
  const isReasonHidden = hidden.key || hidden.value || hidden.headers
  const textOf = (name: string): string | undefined =>
    record.headers
      .findLast(({ key }) => key === name)
      ?.value?.toString('utf8')
      .slice(0, 300)
  return {
    partition: record.partition,
    offset: String(record.offset),
    atMs: record.timestampMs,
    class: printableText(facts.errorClass.slice(0, 300)),
    reason: isReasonHidden ? MASK : printableText(facts.reason.slice(0, 4000)),
    originTopic: origin === undefined ? null : printableText(origin),
    originPartition: facts.origin === undefined || facts.origin.partition < 0 ? null : facts.origin.partition,
    originOffset: facts.origin === undefined || facts.origin.offset < 0n ? null : String(facts.origin.offset),
    attempts: numberOf(textOf('comporta-attempts')),
    group: textOf('comporta-group') ?? null,
    firstFailureMs: numberOf(textOf('comporta-first-failure-ms')),
    lastFailureMs: numberOf(textOf('comporta-last-failure-ms')),
    redrives: facts.redriveCount,
    isWhole: facts.value === 'here',
    record: masked
  }
}

function numberOf(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null
}
