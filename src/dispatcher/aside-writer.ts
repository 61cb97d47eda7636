/**
 * Writes records somewhere safe and waits until they are: dead letters, and records that wait in retry topics.
 *
 * A record counts as written only when all in-sync replicas have it. While a
 * topic cannot be written the caller waits: nothing is ever dropped. What a
 * topic finds too large is handed back, since no waiting makes it smaller. What a
 * topic finds to be from the future (this machine's clock is ahead by more than
 * `message.timestamp.after.max.ms`) is written with the time of its origin, which
 * the cluster has taken before: a wrong clock must not stop a partition for good.
 */

import type { AppendRecord, DeliveryListener } from '../client/index.ts'
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

/** The part of the client's `Appender` that is needed. */
export interface AsideAppender {
  append(record: AppendRecord, listener: DeliveryListener): boolean
  room(): Promise<void>
}

/** What a writer is made from. */
export interface AsideWriterOptions {
  /** What the log calls the topics that are written. */
  readonly what: string
  readonly appender: AsideAppender
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/**
 * Says what becomes of a record that its topic finds too large: another one to write in its place, the record itself
 * to try it again, or `undefined` if the caller sees to it.
 */
export type TooLargeRule = (record: AppendRecord) => AppendRecord | undefined

interface Failure {
  readonly record: AppendRecord
  readonly error: PipelineError
}

/** Header of a dead letter with the time of the record that it was. */
const ORIGIN_TIMESTAMP = 'comporta-origin-timestamp'
const INVALID_TIMESTAMP = 32

const BACKOFF: BackoffOptions = { initialMs: 200, maxMs: 30_000 }

/** Writes records and waits until they are safe. */
export class AsideWriter {
  readonly #options: AsideWriterOptions

  constructor(options: AsideWriterOptions) {
    this.#options = options
  }

  /**
   * Writes records, again and again until their topics have taken all of them.
   *
   * @returns `true` when all are acknowledged (or seen to by `tooLarge`), `false` if the signal aborted before.
   */
  async write(
    records: readonly AppendRecord[],
    { signal, tooLarge }: { signal: AbortSignal; tooLarge: TooLargeRule }
  ): Promise<boolean> {
    let left: readonly AppendRecord[] = records
    for (let failures = 1; left.length > 0; failures += 1) {
      const failed = await this.#append(left, signal)
      if (failed === undefined) return false
      const again: AppendRecord[] = []
      let isReplaced = false
      for (const { record, error } of failed) {
        const next = error.code === 'ERR_CLIENT_RECORD_TOO_LARGE' ? tooLarge(record) : (timely(record, error) ?? record)
        if (next === undefined) continue
        isReplaced ||= next !== record
        again.push(next)
      }
      left = again
      if (left.length === 0 || isReplaced) continue
      if (!(await this.#rest(left, failures, { signal, error: failed[0]?.error }))) return false
    }
    return true
  }

  #rest(
    left: readonly AppendRecord[],
    failures: number,
    { signal, error }: { signal: AbortSignal; error: PipelineError | undefined }
  ): Promise<boolean> {
    const { what, clock, random, logger } = this.#options
    const waitMs = backoffMs(BACKOFF, failures, random)
    const fields = { topic: left[0]?.topic, records: left.length, failures, waitMs, code: error?.code }
    logger.error(fields, `the ${what} does not take records, their partition waits: ${error?.message ?? ''}`)
    return sleep(clock, waitMs, signal)
  }

  /** One try. `undefined` if it was given up. */
  async #append(records: readonly AppendRecord[], signal: AbortSignal): Promise<Failure[] | undefined> {
    const { appender } = this.#options
    const failures: Failure[] = []
    let openCount = records.length
    let finish: () => void = () => undefined
    const finished = new Promise<void>(resolve => (finish = resolve))
    const settle = (count: number): void => {
      openCount -= count
      if (openCount === 0) finish()
    }
    const listener: DeliveryListener = {
      delivered: batch => settle(batch.recordCount),
      failed: (error, given) => {
        for (const record of given) failures.push({ record, error })
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
        const error = PipelineError.is(cause)
          ? cause
          : new PipelineError('ERR_CORE_ABORTED', messageOf(cause), { cause })
        listener.failed(error, records.slice(index))
        break
      }
    }
    await untilAborted(finished, signal)
    if (openCount > 0) return undefined
    // In the order in which they were given: what follows another must be written behind it again.
    const places = new Map(records.map((record, index) => [record, index]))
    return failures.toSorted((a, b) => (places.get(a.record) ?? 0) - (places.get(b.record) ?? 0))
  }
}

/** The record with the time of its origin, if its own was refused and it has another. */
function timely(record: AppendRecord, { kafkaCode }: PipelineError): AppendRecord | undefined {
  if (kafkaCode !== INVALID_TIMESTAMP) return undefined
  const origin = record.headers?.findLast(({ key }) => key === ORIGIN_TIMESTAMP)?.value?.toString()
  const timestampMs = Number(origin ?? -1)
  if (!Number.isSafeInteger(timestampMs) || timestampMs < 0 || timestampMs === record.timestampMs) return undefined
  return { ...record, timestampMs }
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
