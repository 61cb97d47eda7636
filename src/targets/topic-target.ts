/**
 * Topic target: a batch becomes records of other topics, through a function of the user or as it is.
 *
 * Alone it delivers at least once: a batch counts when all in-sync replicas have
 * all its records (idempotent, `acks: all`). With `exactlyOnce` the dispatcher
 * takes only the records from here (`make`) and writes them in a transaction.
 * The key of a record decides its partition, here as everywhere.
 *
 * What is the records' fault and what the cluster's: `appendOutcome` and the
 * table in docs/reference/outcomes.md.
 */

import { Appender, type AppendRecord, type Cluster, type DeliveryListener } from '../client/index.ts'
import { type Clock, messageOf, PipelineError, systemClock } from '../core/index.ts'
import { type Logger, silentLogger } from '../telemetry/index.ts'
import { appendOutcome } from './append-outcome.ts'
import { thrownOutcome } from './failures.ts'
import { LoudLog } from './loud-log.ts'
import type { Target, TargetBatch, TargetOutcome } from './target.ts'
import { appendRecords, copyRecords, topicInputs, type TopicRoute, type TopicTransform } from './topic-transform.ts'

/** What a topic target is made from. */
export interface TopicTargetOptions {
  readonly name: string
  readonly cluster: Cluster
  readonly route: TopicRoute
  /** Default: records are copied as they are. */
  readonly transform?: TopicTransform
  /** Longest wait for the function, and for the records to be acknowledged, in milliseconds. Default 30_000. */
  readonly timeoutMs?: number
  /** The dispatcher writes the records in transactions: nothing is ever written here. Default `false`. */
  readonly isExactlyOnce?: boolean
  readonly clock?: Clock
  readonly logger?: Logger
}

/** What was made of a batch: records to write, or why there are none. */
export type MadeRecords = { readonly kind: 'made'; readonly records: readonly AppendRecord[] } | TargetOutcome

const OK: TargetOutcome = { kind: 'ok' }

/** Writes batches to topics. */
export class TopicTarget implements Target {
  readonly name: string
  /** Records stay apart, so only the buffer of the dispatcher limits them. */
  readonly bodyBytesMax = 104_857_600
  readonly takesRecords = true
  /** Whether the dispatcher writes the records in transactions. */
  readonly isExactlyOnce: boolean
  readonly timeoutMs: number
  readonly #options: TopicTargetOptions
  readonly #workMs: number
  readonly #clock: Clock
  readonly #loud: LoudLog
  readonly #knownTopics = new Set<string>()
  #appender: Appender | undefined

  constructor(options: TopicTargetOptions) {
    this.#options = options
    this.name = options.name
    this.isExactlyOnce = options.isExactlyOnce ?? false
    this.#workMs = options.timeoutMs ?? 30_000
    this.timeoutMs = 2 * this.#workMs
    this.#clock = options.clock ?? systemClock
    this.#loud = new LoudLog(options.logger ?? silentLogger, this.#clock)
  }

  /** Calls the function, and looks whether the topics exist that its records name. */
  async make(batch: TargetBatch, signal: AbortSignal): Promise<MadeRecords> {
    const { route, transform = copyRecords } = this.#options
    const { topic, partition, attempt } = batch
    let records: AppendRecord[]
    try {
      if (batch.records === undefined) throw new TypeError('a topic target needs the records of a batch')
      const inputs = topicInputs(batch, batch.records)
      const returned = await this.#inTime(Promise.resolve(transform(inputs, { topic, partition, attempt, signal })))
      if (returned === LATE)
        return { kind: 'unavailable', reason: `no answer within ${this.#workMs} ms`, isSuspect: true }
      records = appendRecords(returned, { ...route, from: topic })
    } catch (error) {
      return thrownOutcome(error)
    }
    const problem = await this.#findTopics(records)
    return problem ?? { kind: 'made', records }
  }

  async invoke(batch: TargetBatch, signal: AbortSignal): Promise<TargetOutcome> {
    const made = await this.make(batch, signal)
    if (made.kind !== 'made') return made
    if (made.records.length === 0) return OK
    const { cluster, logger } = this.#options
    this.#appender ??= new Appender({
      cluster,
      deliveryTimeoutMs: this.#workMs,
      clock: this.#clock,
      ...(logger === undefined ? {} : { logger })
    })
    const error = await write(this.#appender, made.records, signal)
    return error === undefined ? OK : this.failed(error)
  }

  /** What it says of a batch that its records could not be written. */
  failed(error: PipelineError): TargetOutcome {
    const outcome = appendOutcome(error)
    if (outcome.kind === 'unavailable') this.#loud.error({ target: this.name, code: error.code }, error.message)
    return outcome
  }

  async close(): Promise<void> {
    await this.#appender?.close(0)
  }

  async #inTime<T>(promise: Promise<T>): Promise<T | typeof LATE> {
    const late = Promise.withResolvers<typeof LATE>()
    const timer = this.#clock.after(this.#workMs, () => late.resolve(LATE))
    try {
      return await Promise.race([promise, late.promise])
    } finally {
      timer.cancel()
    }
  }

  /** A topic that is not there would keep records waiting until they are given up, and a transaction open meanwhile. */
  async #findTopics(records: readonly AppendRecord[]): Promise<TargetOutcome | undefined> {
    for (const { topic } of records) {
      if (this.#knownTopics.has(topic)) continue
      let isThere: boolean
      try {
        const { topics } = await this.#options.cluster.metadata([topic])
        isThere = topics.some(found => found.topic === topic && found.partitions.length > 0)
      } catch (error) {
        return { kind: 'unavailable', reason: messageOf(error) }
      }
      if (isThere) {
        this.#knownTopics.add(topic)
        continue
      }
      const reason = `the topic ${topic} does not exist`
      // A topic that the configuration names is missing for all; one that a record names, for that record.
      if (topic !== this.#options.route.topic) return { kind: 'rejected', reason, errorClass: 'UnknownTopic' }
      this.#loud.error({ target: this.name, topic }, `${reason}: all its batches wait`)
      return { kind: 'unavailable', reason }
    }
    return undefined
  }
}

const LATE = Symbol('late')

/** Whether a target makes records that the dispatcher is to write in transactions. */
export function isExactlyOnceTarget(target: Target): target is TopicTarget {
  return target instanceof TopicTarget && target.isExactlyOnce
}

/** Appends records and waits until each has its verdict. @returns The first error. */
async function write(
  appender: Appender,
  records: readonly AppendRecord[],
  signal: AbortSignal
): Promise<PipelineError | undefined> {
  let openCount = records.length
  let error: PipelineError | undefined
  const finished = Promise.withResolvers<void>()
  const settle = (count: number): void => {
    openCount -= count
    if (openCount === 0) finished.resolve()
  }
  const listener: DeliveryListener = {
    delivered: ({ recordCount }) => settle(recordCount),
    failed: (cause, given) => {
      error ??= cause
      settle(given.length)
    }
  }
  for (const record of records) {
    while (!appender.append(record, listener)) {
      await appender.room()
      if (signal.aborted) return new PipelineError('ERR_CORE_ABORTED', 'the batch was given up')
    }
  }
  await finished.promise
  return error
}
