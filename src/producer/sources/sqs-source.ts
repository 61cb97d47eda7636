/**
 * An Amazon SQS queue as a source: several receivers that poll long, events
 * handed over as they come, and messages deleted only when their events are safe.
 *
 * A message that is held (Kafka is away, or slow) is kept invisible: its
 * visibility is extended before it ends, for as long as SQS allows (12 hours).
 * Events that fail are not deleted and come again when their visibility ends.
 * In a FIFO queue SQS gives no more of a group until what it gave was deleted;
 * from a message that failed on, nothing of its group is deleted, so the group
 * comes again from there, in order.
 *
 * Delivery is at least once, as SQS itself is: a crash repeats what was received
 * and not deleted, at most `inFlightMax` messages.
 *
 * Limits: at most `inFlightMax` messages at a time, 120,000 in a standard queue,
 * 20,000 in a FIFO queue by AWS's own limit.
 */

import type { Message, SQSClient } from '@aws-sdk/client-sqs'

import {
  backoffMs,
  briefMessageOf,
  type Clock,
  PipelineError,
  type Random,
  sleep,
  systemClock,
  systemRandom,
  type Timer
} from '../../core/index.ts'
import { type Logger, silentLogger } from '../../telemetry/index.ts'
import type { Settlement } from '../delivery.ts'
import type { Intake } from '../intake.ts'
import type { SqsSourceConfig } from '../options.ts'
import { awsClientConfig, awsErrorName, awsRefused, isAwsTrouble } from './aws-service.ts'
import type { Source, SourceProgress } from './source.ts'
import { AGAIN_BACKOFF, mayPassLater } from './source-trouble.ts'
import { deletable, sqsChunk } from './sqs-messages.ts'

type Sdk = typeof import('@aws-sdk/client-sqs')

/** Most entries of one batch request. Source: Amazon SQS quotas. */
const BATCH_MAX = 10
/** How often a delete is tried; then the message comes again. */
const DELETE_ATTEMPTS = 6
const REQUEST_BACKOFF = { initialMs: 200, maxMs: 10_000 }

/** What an SQS source is made of. */
export interface SqsSourceOptions extends Omit<SqsSourceConfig, 'type'> {
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
}

/** Messages of one answer, from receipt to deletion. */
interface Held {
  readonly messages: readonly Message[]
  /** When the first of them becomes visible again, by the monotonic clock. */
  visibleAtMs: number
}

/** A source of queue messages. Runs once. */
export class SqsSource implements Source {
  readonly name: string
  readonly #options: SqsSourceOptions
  readonly #isFifo: boolean
  readonly #clock: Clock
  readonly #random: Random
  readonly #logger: Logger
  readonly #closing = new AbortController()
  readonly #failing = new AbortController()
  readonly #held = new Set<Held>()
  #sdk: Sdk | undefined
  #client: SQSClient | undefined
  #hasWorked = false
  #error: PipelineError | undefined
  #eventCount = 0
  #readBytes = 0
  #safeBytes = 0
  #heldCount = 0
  #failureCount = 0
  #waiting: (() => void)[] = []

  constructor(options: SqsSourceOptions) {
    this.name = `sqs:${options.queueUrl.split('/').at(-1) ?? ''}`
    this.#options = options
    this.#isFifo = options.queueUrl.endsWith('.fifo')
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? systemRandom
    this.#logger = options.logger ?? silentLogger
  }

  async run(intake: Intake, signal: AbortSignal): Promise<void> {
    this.#sdk = await import('@aws-sdk/client-sqs')
    const client = new this.#sdk.SQSClient(awsClientConfig(this.#options))
    this.#client = client
    const stopping = AbortSignal.any([signal, this.#closing.signal, this.#failing.signal])
    const extending = this.#extendInTime()
    try {
      const receivers = Array.from({ length: this.#options.receivers }, () => this.#receive(intake, stopping))
      await Promise.all(receivers)
      while (this.#held.size > 0) await new Promise<void>(resolve => this.#waiting.push(resolve))
    } finally {
      extending.cancel()
      client.destroy()
    }
    if (this.#error !== undefined) throw this.#error
  }

  progress(): SourceProgress {
    return { eventCount: this.#eventCount, readBytes: this.#readBytes, safeBytes: this.#safeBytes }
  }

  close(): Promise<void> {
    this.#closing.abort()
    return Promise.resolve()
  }

  /** One receiver: polls, hands over, and polls again. Never rejects. */
  async #receive(intake: Intake, stopping: AbortSignal): Promise<void> {
    for (let failures = 0; !stopping.aborted;) {
      if (this.#heldCount >= this.#options.inFlightMax) {
        await new Promise<void>(resolve => this.#waiting.push(resolve))
        continue
      }
      try {
        const messages = await this.#poll(stopping)
        failures = 0
        this.#hasWorked = true
        if (messages.length > 0) await this.#handOver(messages, intake)
        if (this.#failureCount > 0) await sleep(this.#clock, this.#againMs(), stopping)
      } catch (error) {
        if (stopping.aborted) return
        if (!isAwsTrouble(error, this.#hasWorked)) return this.#fail(awsRefused(this.name, 'ReceiveMessage', error))
        failures += 1
        const waitMs = backoffMs(REQUEST_BACKOFF, failures, this.#random)
        this.#logger.warn({ error: awsErrorName(error), waitMs }, `${this.name}: no messages: ${briefMessageOf(error)}`)
        await sleep(this.#clock, waitMs, stopping)
      }
    }
  }

  async #poll(stopping: AbortSignal): Promise<readonly Message[]> {
    const { queueUrl, batch, waitSeconds, visibilityTimeoutSeconds, keepHeaders } = this.#options
    const sdk = this.#needSdk()
    const command = new sdk.ReceiveMessageCommand({
      QueueUrl: queueUrl,
      MaxNumberOfMessages: batch,
      WaitTimeSeconds: waitSeconds,
      VisibilityTimeout: visibilityTimeoutSeconds,
      MessageSystemAttributeNames: ['MessageGroupId'],
      ...(keepHeaders ? { MessageAttributeNames: ['All'] } : {})
    })
    const answer = await this.#needClient().send(command, { abortSignal: stopping })
    return answer.Messages ?? []
  }

  async #handOver(messages: readonly Message[], intake: Intake): Promise<void> {
    const receivedAtMs = this.#clock.now()
    const chunk = sqsChunk(messages, this.#options, this.#readBytes)
    const held: Held = {
      messages,
      visibleAtMs: this.#clock.monotonicMs() + this.#options.visibilityTimeoutSeconds * 1000
    }
    this.#held.add(held)
    this.#heldCount += messages.length
    this.#eventCount += chunk.count
    this.#readBytes += chunk.bytes.length
    const { settled } = await intake.submit(chunk, { source: this.name, context: { receivedAtMs } })
    void settled.then(settlement => this.#settled(held, chunk.bytes.length, settlement))
  }

  /** Never rejects. */
  async #settled(held: Held, bytes: number, settlement: Settlement): Promise<void> {
    if (settlement.error === undefined) {
      this.#failureCount = 0
      this.#safeBytes += bytes
    } else if (mayPassLater(settlement.error)) {
      this.#failureCount += 1
      const fields = { code: settlement.error.code, count: settlement.failedCount }
      this.#logger.warn(fields, `${this.name}: events were not taken, their messages come again`)
    } else {
      this.#fail(settlement.error)
    }
    const messages = deletable(held.messages, settlement.outcomes, this.#isFifo)
    for (let start = 0; start < messages.length; start += BATCH_MAX) {
      await this.#delete(messages.slice(start, start + BATCH_MAX))
    }
    this.#held.delete(held)
    this.#heldCount -= held.messages.length
    for (const wake of this.#waiting.splice(0)) wake()
  }

  async #delete(messages: readonly Message[]): Promise<void> {
    const sdk = this.#needSdk()
    let left = messages
    for (let attempt = 1; left.length > 0; attempt += 1) {
      const entries = left.map((message, index) => ({ Id: String(index), ReceiptHandle: message.ReceiptHandle ?? '' }))
      try {
        const command = new sdk.DeleteMessageBatchCommand({ QueueUrl: this.#options.queueUrl, Entries: entries })
        const { Failed = [] } = await this.#needClient().send(command)
        const failed = new Set(Failed.filter(each => each.SenderFault !== true).map(each => each.Id))
        const lost = Failed.length - failed.size
        if (lost > 0)
          this.#logger.warn({ count: lost, code: Failed[0]?.Code }, `${this.name}: not deleted, they come again`)
        left = left.filter((_, index) => failed.has(String(index)))
      } catch (error) {
        if (!isAwsTrouble(error, true)) this.#fail(awsRefused(this.name, 'DeleteMessageBatch', error))
        if (attempt === DELETE_ATTEMPTS || this.#failing.signal.aborted) {
          this.#logger.warn(
            { count: left.length },
            `${this.name}: not deleted, they come again: ${briefMessageOf(error)}`
          )
          return
        }
      }
      if (left.length === 0 || attempt === DELETE_ATTEMPTS) return
      await sleep(this.#clock, backoffMs(REQUEST_BACKOFF, attempt, this.#random))
    }
  }

  /** Keeps what is held invisible: a third of the time before it would come back. */
  #extendInTime(): Timer {
    const visibleMs = this.#options.visibilityTimeoutSeconds * 1000
    return this.#clock.every(Math.max(200, visibleMs / 6), () => {
      const nowMs = this.#clock.monotonicMs()
      for (const held of this.#held) {
        if (held.visibleAtMs - nowMs > visibleMs / 2) continue
        held.visibleAtMs = nowMs + visibleMs
        void this.#extend(held)
      }
    })
  }

  /** Never rejects. */
  async #extend(held: Held): Promise<void> {
    const sdk = this.#needSdk()
    const VisibilityTimeout = this.#options.visibilityTimeoutSeconds
    const Entries = held.messages.map((message, index) => ({
      Id: String(index),
      ReceiptHandle: message.ReceiptHandle ?? '',
      VisibilityTimeout
    }))
    try {
      const command = new sdk.ChangeMessageVisibilityBatchCommand({ QueueUrl: this.#options.queueUrl, Entries })
      const { Failed = [] } = await this.#needClient().send(command)
      if (Failed.length === 0 || !this.#held.has(held)) return
      this.#logger.warn({ count: Failed.length, code: Failed[0]?.Code }, `${this.name}: messages may come twice`)
    } catch (error) {
      held.visibleAtMs = 0 // again at the next look
      this.#logger.warn(
        { error: awsErrorName(error) },
        `${this.name}: messages may come twice: ${briefMessageOf(error)}`
      )
    }
  }

  #againMs(): number {
    return backoffMs(AGAIN_BACKOFF, this.#failureCount, this.#random)
  }

  #needSdk(): Sdk {
    if (this.#sdk === undefined) throw new PipelineError('ERR_PRODUCER_DRAINING', 'the source does not run')
    return this.#sdk
  }

  #needClient(): SQSClient {
    if (this.#client === undefined) throw new PipelineError('ERR_PRODUCER_DRAINING', 'the source does not run')
    return this.#client
  }

  #fail(error: PipelineError): void {
    this.#error ??= error
    this.#failing.abort()
    for (const wake of this.#waiting.splice(0)) wake()
  }
}
