/**
 * Dead letters: where records go that cannot be delivered, and what is told of them.
 *
 * A dead letter has the key, the value and the headers of its record, byte for
 * byte, and more headers that say where it came from and why. It counts as put
 * aside only when all in-sync replicas have it. While the topic cannot be
 * written the partition waits: nothing is ever dropped.
 */

import type { AppendHeader, AppendRecord, DeliveryListener } from '../client/index.ts'
import {
  type BackoffOptions,
  backoffMs,
  type Clock,
  messageOf,
  PipelineError,
  type Random,
  sleep
} from '../core/index.ts'
import type { Logger } from '../telemetry/index.ts'
import type { Aside, BatchContext } from './lane-surroundings.ts'
import type { Meters } from './meters.ts'
import type { RecordTable } from './record-table.ts'
import type { DeadRow } from './settlement.ts'

/** The part of the client's `Appender` that dead letters need. */
export interface DeadLetterAppender {
  append(record: AppendRecord, listener: DeliveryListener): boolean
  room(): Promise<void>
}

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

/** Headers that say why and from where. Values are text in UTF-8. */
export function deadLetterHeaders(table: RecordTable, dead: DeadRow, origin: DeadLetterOrigin): AppendHeader[] {
  const added: readonly (readonly [string, string])[] = [
    ['comporta-origin-topic', origin.topic],
    ['comporta-origin-partition', String(origin.partition)],
    ['comporta-origin-offset', String(table.offset(dead.row))],
    ['comporta-origin-timestamp', String(table.timestampMs(dead.row))],
    ['comporta-error-class', dead.errorClass],
    ['comporta-error-reason', dead.reason.slice(0, REASON_LENGTH_MAX)],
    ['comporta-attempts', String(dead.attempts)],
    ['comporta-group', origin.groupId],
    ['comporta-first-failure-ms', String(origin.firstFailureMs)],
    ['comporta-last-failure-ms', String(origin.lastFailureMs)]
  ]
  const headers = table.headers(dead.row)
  for (const [key, value] of added) headers.push({ key, value: Buffer.from(value, 'utf8') })
  return headers
}

/** Puts everything aside into the dead letter topic. */
export class DeadLetterAside implements Aside {
  readonly #options: DeadLetterAsideOptions

  constructor(options: DeadLetterAsideOptions) {
    this.#options = options
  }

  /** Writes dead letters and counts them once they are safe. `false` if the signal aborted before. */
  async put(batch: BatchContext, rows: readonly DeadRow[], signal: AbortSignal): Promise<boolean> {
    const { groupId, deadLetters, meters, clock } = this.#options
    const { topic, partition, table } = batch
    const nowMs = clock.now()
    const firstFailureMs = batch.firstFailureMs ?? nowMs
    const origin = { topic, partition, groupId, firstFailureMs, lastFailureMs: nowMs }
    const records = rows.map(row => ({
      key: table.key(row.row),
      value: table.value(row.row),
      headers: deadLetterHeaders(table, row, origin)
    }))
    if (!(await deadLetters.write(records, signal))) return false
    for (const { errorClass } of rows) meters.deadLettered(errorClass)
    return true
  }
}

/** What a dead letter writer is made from. */
export interface DeadLetterWriterOptions {
  readonly topic: string
  readonly appender: DeadLetterAppender
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

const BACKOFF: BackoffOptions = { initialMs: 200, maxMs: 30_000 }

/** Writes dead letters and waits until they are safe. */
export class DeadLetterWriter {
  readonly #options: DeadLetterWriterOptions

  constructor(options: DeadLetterWriterOptions) {
    this.#options = options
  }

  /**
   * Writes records to the dead letter topic, again and again until it has taken all of them.
   *
   * @returns `true` when all are acknowledged, `false` if the signal aborted before.
   */
  async write(records: readonly Omit<AppendRecord, 'topic'>[], signal: AbortSignal): Promise<boolean> {
    let left: readonly AppendRecord[] = records.map(record => ({ ...record, topic: this.#options.topic }))
    for (let failures = 1; ; failures += 1) {
      const attempt = await this.#append(left, signal)
      if (attempt === undefined) return false
      if (attempt.failed.length === 0) return true
      left = attempt.failed
      const waitMs = backoffMs(BACKOFF, failures, this.#options.random)
      const fields = { topic: this.#options.topic, records: left.length, failures, waitMs, code: attempt.error?.code }
      this.#options.logger.error(
        fields,
        `the dead letter topic does not take records, their partition waits: ${attempt.error?.message ?? ''}`
      )
      if (!(await sleep(this.#options.clock, waitMs, signal))) return false
    }
  }

  /** One try. `undefined` if it was given up. */
  async #append(
    records: readonly AppendRecord[],
    signal: AbortSignal
  ): Promise<{ failed: AppendRecord[]; error: PipelineError | undefined } | undefined> {
    const { appender } = this.#options
    const failed: AppendRecord[] = []
    let error: PipelineError | undefined
    let openCount = records.length
    let finish: () => void = () => undefined
    const finished = new Promise<void>(resolve => (finish = resolve))
    const settle = (count: number): void => {
      openCount -= count
      if (openCount === 0) finish()
    }
    const listener: DeliveryListener = {
      delivered: batch => settle(batch.recordCount),
      failed: (cause, given) => {
        error = cause
        failed.push(...given)
        settle(given.length)
      }
    }
    for (const [index, record] of records.entries()) {
      try {
        while (!appender.append(record, listener)) {
          await untilAborted(appender.room(), signal)
          if (signal.aborted) return undefined
        }
      } catch (cause) {
        const closed = PipelineError.is(cause)
          ? cause
          : new PipelineError('ERR_CORE_ABORTED', messageOf(cause), { cause })
        listener.failed(closed, records.slice(index))
        break
      }
    }
    await untilAborted(finished, signal)
    return openCount > 0 ? undefined : { failed, error }
  }
}

/** Resolves with the promise or when the signal aborts. */
async function untilAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  let stop: () => void = () => undefined
  const aborted = new Promise<void>(resolve => {
    stop = resolve
    signal.addEventListener('abort', stop, { once: true })
  })
  await Promise.race([promise, aborted])
  signal.removeEventListener('abort', stop)
}
