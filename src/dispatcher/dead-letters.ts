/**
 * Dead letters: where records go that cannot be delivered, and what is told of them.
 *
 * A dead letter has the key, the value and the headers of its record, byte for
 * byte, and more headers that say where it came from and why. It counts as put
 * aside only when all in-sync replicas have it. While the topic cannot be
 * written the partition waits: nothing is ever dropped.
 *
 * Our headers may push a record over the largest size of the topic. Then the
 * reason is left out, and if that is not enough, the value: what remains is a
 * *reference*, which says where the record lies. Or the partition waits, as
 * configured.
 */

import type { AppendHeader, AppendRecord } from '../client/index.ts'
import type { Clock, Random } from '../core/index.ts'
import type { Logger } from '../telemetry/index.ts'
import { type AsideAppender, AsideWriter } from './aside-writer.ts'
import type { Aside, BatchContext } from './lane-surroundings.ts'
import type { Meters } from './meters.ts'
import type { RecordTable } from './record-table.ts'
import type { DeadRow } from './settlement.ts'

/** What a dead letter says of where it comes from. */
export interface DeadLetterOrigin {
  readonly topic: string
  readonly partition: number
  readonly groupId: string
  /** When the batch failed first, and now; epoch milliseconds. */
  readonly firstFailureMs: number
  readonly lastFailureMs: number
}

/** What puts rows into the dead letter topic. */
export interface DeadLetterAsideOptions {
  readonly groupId: string
  readonly deadLetters: Pick<DeadLetterWriter, 'write'>
  readonly meters: Meters
  readonly clock: Clock
}

const REASON_LENGTH_MAX = 1000
const REASON_HEADER = 'comporta-error-reason'
/** Header of a reference: how many bytes the value has that is not in it. */
const VALUE_BYTES_HEADER = 'comporta-value-bytes'
/** Longest key that a reference keeps, in bytes. */
const REFERENCE_KEY_BYTES_MAX = 1024
/** Headers of ours, at the end of a dead letter. */
const OWN_HEADER_COUNT = 10

/** Headers that say why and from where. Values are text in UTF-8. */
export function deadLetterHeaders(table: RecordTable, dead: DeadRow, origin: DeadLetterOrigin): AppendHeader[] {
  const added: readonly (readonly [string, string])[] = [
    ['comporta-origin-topic', origin.topic],
    ['comporta-origin-partition', String(origin.partition)],
    ['comporta-origin-offset', String(table.offset(dead.row))],
    ['comporta-origin-timestamp', String(table.timestampMs(dead.row))],
    ['comporta-error-class', dead.errorClass],
    [REASON_HEADER, dead.reason.slice(0, REASON_LENGTH_MAX)],
    ['comporta-attempts', String(dead.attempts)],
    ['comporta-group', origin.groupId],
    ['comporta-first-failure-ms', String(origin.firstFailureMs)],
    ['comporta-last-failure-ms', String(origin.lastFailureMs)]
  ]
  const headers = table.headers(dead.row)
  for (const [key, value] of added) headers.push({ key, value: Buffer.from(value, 'utf8') })
  return headers
}

/**
 * A smaller dead letter in place of one that its topic finds too large: without the reason first, then without the
 * value and the record's own headers. `undefined` if it is as small as it gets.
 */
export function smallerDeadLetter(record: AppendRecord): AppendRecord | undefined {
  const headers = record.headers ?? []
  const own = headers.slice(-OWN_HEADER_COUNT)
  const reason = own.find(({ key }) => key === REASON_HEADER)
  if ((reason?.value?.length ?? 0) > 0) {
    const without = headers.map(header => (header === reason ? { key: header.key, value: Buffer.alloc(0) } : header))
    return { ...record, headers: without }
  }
  if (headers.at(-1)?.key === VALUE_BYTES_HEADER) return undefined
  const valueBytes = { key: VALUE_BYTES_HEADER, value: Buffer.from(String(record.value?.length ?? 0)) }
  const key = (record.key?.length ?? 0) > REFERENCE_KEY_BYTES_MAX ? null : record.key
  return { ...record, key, value: null, headers: [...own, valueBytes] }
}

/** Puts everything aside into the dead letter topic. */
export class DeadLetterAside implements Aside {
  readonly #options: DeadLetterAsideOptions

  constructor(options: DeadLetterAsideOptions) {
    this.#options = options
  }

  /** Writes dead letters and counts them once they are safe. `false` if the signal aborted before. */
  async put(batch: BatchContext, rows: readonly DeadRow[], signal: AbortSignal): Promise<boolean> {
    return await this.putSince(batch, rows, { signal, firstFailureMs: () => undefined })
  }

  /** As `put`, for rows that have failed before this batch: `firstFailureMs` says when. */
  async putSince(
    { topic, partition, table, firstFailureMs: batchFailureMs }: BatchContext,
    rows: readonly DeadRow[],
    { signal, firstFailureMs }: { signal: AbortSignal; firstFailureMs: (row: number) => number | undefined }
  ): Promise<boolean> {
    const { groupId, deadLetters, meters, clock } = this.#options
    const lastFailureMs = clock.now()
    const records = rows.map(row => {
      const failedMs = firstFailureMs(row.row) ?? batchFailureMs ?? lastFailureMs
      const origin = { topic, partition, groupId, firstFailureMs: failedMs, lastFailureMs }
      return { key: table.key(row.row), value: table.value(row.row), headers: deadLetterHeaders(table, row, origin) }
    })
    if (!(await deadLetters.write(records, signal))) return false
    for (const { errorClass } of rows) meters.deadLettered(errorClass)
    return true
  }
}

/** What a dead letter writer is made from. */
export interface DeadLetterWriterOptions {
  readonly topic: string
  readonly appender: AsideAppender
  /** What becomes of a dead letter that the topic finds too large. Default `reference`. */
  readonly tooLarge?: 'reference' | 'wait'
  /** Told when a value was left out. */
  readonly onReference?: () => void
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** Writes dead letters and waits until they are safe. */
export class DeadLetterWriter {
  readonly #options: DeadLetterWriterOptions
  readonly #writer: AsideWriter

  constructor(options: DeadLetterWriterOptions) {
    this.#options = options
    this.#writer = new AsideWriter({ ...options, what: 'dead letter topic' })
  }

  /**
   * Writes records to the dead letter topic, again and again until it has taken all of them.
   *
   * @returns `true` when all are acknowledged, `false` if the signal aborted before.
   */
  async write(records: readonly Omit<AppendRecord, 'topic'>[], signal: AbortSignal): Promise<boolean> {
    const letters = records.map(record => ({ ...record, topic: this.#options.topic }))
    return await this.#writer.write(letters, { signal, tooLarge: record => shrinkDeadLetter(record, this.#options) })
  }
}

/** What is tried instead of a dead letter that its topic finds too large: itself if it may not or cannot be smaller. */
export function shrinkDeadLetter(
  record: AppendRecord,
  options: Pick<DeadLetterWriterOptions, 'tooLarge' | 'onReference' | 'logger'>
): AppendRecord {
  const { tooLarge = 'reference', onReference, logger } = options
  const smaller = tooLarge === 'wait' ? undefined : smallerDeadLetter(record)
  if (smaller === undefined) return record
  if (smaller.headers?.at(-1)?.key === VALUE_BYTES_HEADER) {
    const origin = Object.fromEntries(
      (smaller.headers ?? []).map(({ key, value }) => [key.replace('comporta-', ''), value?.toString() ?? ''])
    )
    const text = 'a dead letter is too large for its topic: its value is left out, it lies where the origin says'
    logger.error({ topic: record.topic, ...origin }, text)
    onReference?.()
  }
  return smaller
}
