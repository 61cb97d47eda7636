/** What all sinks of entries in AWS share: a client that is loaded when the sink is made, and its errors in the log. */

import { type Clock, systemClock } from '../../core/index.ts'
import { silentLogger } from '../../telemetry/index.ts'
import { LoudLog } from '../loud-log.ts'
import type { RecordSink, SinkFailure, SinkLimits, SinkOutcome, SinkRequest } from '../sinks/record-sink.ts'
import type { AwsDependencies } from './aws-client.ts'
import { awsCodeKind, entryFailure, isAwsSetupKind } from './aws-errors.ts'
import { deliverEntries } from './entry-delivery.ts'
import type { Entry, EntryLimits } from './entry-plan.ts'

/** Most bytes that a sink is given at once: more than the payload of an invocation. */
export const DELIVERY_BYTES_MAX = 16_777_216
/** Most records that a sink is given at once. */
export const DELIVERY_RECORDS_MAX = 1000
/** Requests at once within one delivery, unless the settings say otherwise. */
export const CONCURRENCY = 8

/** Code of an entry that a service's answer does not speak of. */
export const NO_ANSWER = 'NoAnswer'

/** A client of the SDK, as far as it matters here. */
interface Destroyable {
  destroy(): void
}

/** What entries are made of one request. */
export interface MadeEntries<E extends Entry> {
  readonly entries: readonly E[]
  readonly refused: ReadonlyMap<number, SinkFailure>
}

/** How one kind of sink works. */
export interface AwsSinkParts<E extends Entry, C extends Destroyable> {
  readonly limits: SinkLimits
  readonly entryLimits: EntryLimits
  readonly concurrency: number | undefined
  /** Loads the SDK and makes the client. */
  load(): Promise<C>
  make(request: SinkRequest): MadeEntries<E>
  send(client: C, entries: readonly E[], options: { readonly abortSignal: AbortSignal }): Promise<EntryAnswers>
}

/** Answers of a service for entries: those that failed, by position. */
export type EntryAnswers = ReadonlyMap<number, EntryError>

/** One entry's error as a service gives it. */
export interface EntryError {
  readonly code: string
  readonly message: string | undefined
  /** Whether the service says that the entry is at fault; `undefined` where it never says. */
  readonly isSenderFault: boolean | undefined
}

/** A sink of entries. */
export class AwsSink<E extends Entry, C extends Destroyable> implements RecordSink {
  readonly name: string
  readonly limits: SinkLimits
  readonly #parts: AwsSinkParts<E, C>
  readonly #client: Promise<C>
  readonly #clock: Clock
  readonly #loud: LoudLog
  #isClosed = false

  constructor(name: string, parts: AwsSinkParts<E, C>, dependencies: AwsDependencies) {
    this.name = name
    this.limits = parts.limits
    this.#parts = parts
    this.#clock = dependencies.clock ?? systemClock
    this.#loud = new LoudLog(dependencies.logger ?? silentLogger, this.#clock)
    // Begun at once: in Lambda the start has more processor than the first invocation.
    this.#client = parts.load()
    // Each delivery reports it.
    this.#client.catch(() => {})
  }

  deliver(request: SinkRequest, signal: AbortSignal): Promise<SinkOutcome> {
    const parts = this.#parts
    return deliverEntries({
      ...parts.make(request),
      limits: parts.entryLimits,
      concurrency: parts.concurrency ?? CONCURRENCY,
      signal,
      nowMs: () => this.#clock.now(),
      onSetupError: reason => this.#setupError(reason),
      send: async entries => {
        const answers = await parts.send(await this.#client, entries, { abortSignal: signal })
        return this.#failuresOf(answers, entries.length)
      }
    })
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    try {
      const client = await this.#client
      client.destroy()
    } catch {
      // It never came to be, as each delivery has reported.
    }
  }

  #failuresOf(answers: EntryAnswers, count: number): ReadonlyMap<number, SinkFailure> {
    const failures = new Map<number, SinkFailure>()
    // Where nothing passed, an error that can be of the set-up is taken for one: the records only may be at fault.
    const isAll = answers.size === count
    for (const [position, { code, message, isSenderFault }] of answers) {
      const kind = awsCodeKind(code, message)
      const failure = entryFailure(code, isSenderFault, message)
      const isDoubtful = isAll && kind !== 'content' && failure.action === 'deadLetter'
      if (isDoubtful || (failure.action === 'retry' && isAwsSetupKind(kind))) this.#setupError(failure.reason)
      const { reason } = failure
      failures.set(position, isDoubtful ? { action: 'retry', reason, isUnavailable: true, isSuspect: true } : failure)
    }
    return failures
  }

  #setupError(reason: string): void {
    this.#loud.error({ target: this.name }, `target ${this.name} is refused by AWS: ${reason}`)
  }
}
