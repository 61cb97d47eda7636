/**
 * Asynchronous invocations of one function: they wait here for a free
 * environment, are retried as `event-policy.ts` decides, and their end is told
 * to a destination.
 *
 * In memory: what still waits when the runtime stops is lost, counted and logged
 * by its number. Bounded by count and bytes, those included whose outcome is on
 * its way to a destination, with the answers; an event that is refused is the
 * sender's to repeat.
 */

import { messageOf, type Timer } from '../../../core/index.ts'
import type { InvocationRequest, InvokeResult, ManagedFunction } from '../managed-function.ts'
import type { RuntimeMetrics } from '../runtime-metrics.ts'
import type { EventSettings, RuntimeSettings } from '../settings.ts'
import type { AwsDestinations } from './aws-destinations.ts'
import { type Destination, parseDestination } from './destination-arn.ts'
import { destinationRecord, type InvocationResponse } from './destination-record.ts'
import { afterAttempt, afterThrottle, type EventCondition, type EventStep, isTooOld } from './event-policy.ts'

/** Most bytes of events of one function that are not done with, on top of the limit on their count. */
export const EVENT_QUEUE_BYTES_MAX = 67_108_864
/** Most functions that call each other through destinations. Source: Lambda, recursive loop detection. */
const HOPS_MAX = 16

/** An event as it is accepted. */
export interface EventRequest extends Pick<
  InvocationRequest,
  'requestId' | 'payload' | 'clientContext' | 'invokedFunctionArn' | 'qualifier'
> {
  /** Destinations it has come through. */
  readonly hops: number
}

/** What a queue needs. */
export interface EventQueueDependencies {
  readonly func: ManagedFunction
  readonly runtime: RuntimeSettings
  readonly metrics: RuntimeMetrics
  readonly aws: AwsDestinations
  /** Hands an event to a function of this runtime; `false` if there is none or its queue is full. */
  readonly toFunction: (destination: Extract<Destination, { kind: 'function' }>, event: EventRequest) => boolean
}

interface QueuedEvent extends EventRequest {
  readonly arrivedMs: number
  attempts: number
  throttles: number
  response: InvocationResponse | undefined
}

/** The events of one function. */
export class EventQueue {
  readonly #dependencies: EventQueueDependencies
  readonly #configs = new Map<string, EventSettings>()
  #ready: QueuedEvent[] = []
  readonly #delayed = new Map<QueuedEvent, Timer>()
  #readyHead = 0
  #heldBytes = 0
  #runningCount = 0
  #deliveringCount = 0
  #isPumping = false
  #isClosed = false
  #whenQuiet: (() => void)[] = []

  constructor(dependencies: EventQueueDependencies) {
    this.#dependencies = dependencies
    const { func } = dependencies
    func.onFree = () => this.#pump()
    func.eventsWaiting = () => this.#waitingCount
  }

  /** What becomes of events for a version or alias. */
  settingsOf(qualifier: string): EventSettings {
    return this.#configs.get(qualifier) ?? this.#dependencies.func.settings.events
  }

  /** What was set for a version or alias while running. */
  get configs(): Map<string, EventSettings> {
    return this.#configs
  }

  get #waitingCount(): number {
    return this.#ready.length - this.#readyHead + this.#delayed.size
  }

  /** Takes an event to run later; `false` if the queue is full. */
  tryPut(event: EventRequest): boolean {
    const { runtime } = this.#dependencies
    const bytes = event.payload.byteLength
    // A destination that does not answer must hold up the senders, or what goes to it would pile up without end.
    const count = this.#waitingCount + this.#deliveringCount
    const isFull = count >= runtime.eventQueueMax || this.#heldBytes + bytes > EVENT_QUEUE_BYTES_MAX
    if (this.#isClosed || isFull) return false
    this.#heldBytes += bytes
    this.#ready.push({ ...event, arrivedMs: runtime.clock.now(), attempts: 0, throttles: 0, response: undefined })
    this.#pump()
    return true
  }

  /** Resolves once nothing runs, could run now, or is on its way to a destination. Retries that wait do not count. */
  async quiet(): Promise<void> {
    while (this.#ready.length - this.#readyHead + this.#runningCount + this.#deliveringCount > 0) {
      await new Promise<void>(resolve => this.#whenQuiet.push(resolve))
    }
  }

  /** Gives up what waits. Idempotent. */
  close(): void {
    this.#isClosed = true
    const { func, runtime, metrics } = this.#dependencies
    const lost = this.#waitingCount
    for (const timer of this.#delayed.values()) timer.cancel()
    this.#delayed.clear()
    this.#ready = []
    this.#readyHead = 0
    if (lost === 0) return
    metrics.event(func.settings.name, 'dropped', lost)
    const fields = { function: func.settings.name, events: lost }
    runtime.logger.error(fields, 'the runtime stops: events that waited are lost')
  }

  #take(): void {
    this.#readyHead += 1
    if (this.#readyHead > 1_024 && this.#readyHead * 2 > this.#ready.length) {
      this.#ready = this.#ready.slice(this.#readyHead)
      this.#readyHead = 0
    }
  }

  /** Starts what can run. What comes while it works, from destinations that are functions, is its own to take up. */
  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    try {
      this.#startAll()
    } finally {
      this.#isPumping = false
    }
    this.#tellQuiet()
  }

  #startAll(): void {
    const { func, runtime } = this.#dependencies
    for (let event = this.#ready[this.#readyHead]; event !== undefined; event = this.#ready[this.#readyHead]) {
      const settings = this.settingsOf(event.qualifier ?? '$LATEST')
      if (func.concurrency === 0) {
        this.#take()
        this.#finish(event, 'ZeroReservedConcurrency')
        continue
      }
      if (isTooOld(event, settings, runtime.clock.now())) {
        this.#take()
        this.#finish(event, 'EventAgeExceeded')
        continue
      }
      // The worker gets a buffer of its own: the event may be needed again.
      const started = func.start({ ...event, payload: event.payload.slice(0) })
      if (typeof started !== 'string') {
        this.#take()
        void this.#follow(event, started)
      } else if (started === 'FunctionInvocationRateLimitExceeded' || func.busyCount === 0) {
        this.#take()
        this.#onThrottle(event, settings)
      } else {
        // Somebody is busy, so something becomes free, and then this is called again.
        return
      }
    }
  }

  async #follow(event: QueuedEvent, running: Promise<InvokeResult>): Promise<void> {
    this.#runningCount += 1
    event.attempts += 1
    event.throttles = 0
    const outcome = await running
    this.#runningCount -= 1
    if (outcome.kind === 'result' || outcome.kind === 'functionError') {
      const isFailed = outcome.kind === 'functionError'
      const payload = Buffer.from(outcome.payload).toString('utf8') || 'null'
      this.#heldBytes += payload.length - (event.response?.payload.length ?? 0)
      event.response = { executedVersion: outcome.version, isFailed, payload }
      const settings = this.settingsOf(event.qualifier ?? '$LATEST')
      const nowMs = this.#dependencies.runtime.clock.now()
      this.#step(event, afterAttempt(event, isFailed, { settings, nowMs }))
    } else {
      // It was JSON when it was accepted, and a throttle is told before the start.
      this.#finish(event, 'RetriesExhausted')
    }
    this.#pump()
  }

  #onThrottle(event: QueuedEvent, settings: EventSettings): void {
    event.throttles += 1
    this.#dependencies.func.countThrottle()
    this.#step(event, afterThrottle(event, { settings, nowMs: this.#dependencies.runtime.clock.now() }))
  }

  #step(event: QueuedEvent, step: EventStep): void {
    const { func, runtime, metrics } = this.#dependencies
    if (step.kind === 'finish') return this.#finish(event, step.condition)
    const { requestId, attempts } = event
    if (this.#isClosed) {
      metrics.event(func.settings.name, 'dropped', 1)
      runtime.logger.error(
        { function: func.settings.name, requestId, attempts },
        'the runtime stops: an event that failed is lost'
      )
      return
    }
    metrics.event(func.settings.name, 'retried', 1)
    const fields = { function: func.settings.name, requestId, attempts, waitMs: step.waitMs }
    runtime.logger.info(fields, 'an event is tried again')
    const timer = runtime.clock.after(step.waitMs, () => {
      this.#delayed.delete(event)
      this.#ready.push(event)
      this.#pump()
    })
    this.#delayed.set(event, timer.unref())
  }

  #finish(event: QueuedEvent, condition: EventCondition): void {
    const { func, runtime, metrics } = this.#dependencies
    const isSuccess = condition === 'Success'
    metrics.event(func.settings.name, isSuccess ? 'succeeded' : 'failed', 1)
    const { onSuccess, onFailure, deadLetterTarget } = this.settingsOf(event.qualifier ?? '$LATEST')
    if (!isSuccess) {
      const { requestId, attempts } = event
      const fields = { function: func.settings.name, requestId, attempts, condition }
      const isKept = onFailure !== undefined || deadLetterTarget !== undefined
      runtime.logger.warn(fields, isKept ? 'an event failed for good' : 'an event failed for good and is dropped')
    }
    const arn = isSuccess ? onSuccess : onFailure
    const letter = isSuccess ? undefined : deadLetterTarget
    void Promise.all([
      arn === undefined ? undefined : this.#deliver(arn, event, { condition, isDeadLetter: false }),
      letter === undefined ? undefined : this.#deliver(letter, event, { condition, isDeadLetter: true })
    ]).then(() => {
      this.#heldBytes -= event.payload.byteLength + (event.response?.payload.length ?? 0)
    })
  }

  async #deliver(
    arn: string,
    event: QueuedEvent,
    { condition, isDeadLetter }: { readonly condition: EventCondition; readonly isDeadLetter: boolean }
  ): Promise<void> {
    const { func, runtime, metrics } = this.#dependencies
    try {
      const body = isDeadLetter ? payloadText(event) : this.#record(event, condition)
      await this.#send(arn, event, { body, condition, isDeadLetter })
    } catch (error) {
      metrics.destinationFailed(func.settings.name)
      const fields = { function: func.settings.name, requestId: event.requestId, destination: arn }
      runtime.logger.error({ ...fields, error: messageOf(error) }, 'the outcome of an event could not be delivered')
    }
  }

  async #send(arn: string, event: QueuedEvent, { body, condition, isDeadLetter }: Sending): Promise<void> {
    const { aws, func, runtime, toFunction } = this.#dependencies
    const destination = parseDestination(arn)
    if (destination === undefined) throw new Error('not the ARN of a destination')
    if (this.#isClosed) throw new Error('the runtime has stopped')
    if (destination.kind === 'function') {
      if (event.hops >= HOPS_MAX) throw new Error(`functions have called each other ${HOPS_MAX} times`)
      const payload = Uint8Array.from(Buffer.from(body)).buffer
      const next = {
        ...event,
        payload,
        qualifier: destination.qualifier,
        invokedFunctionArn: arn,
        hops: event.hops + 1
      }
      if (!toFunction(destination, next)) throw new Error('there is no such function here, or its queue is full')
      return
    }
    const errorMessage = event.response?.payload ?? condition
    this.#deliveringCount += 1
    try {
      await aws.deliver({
        destination,
        body,
        functionName: func.settings.name,
        functionArn: qualifiedArn(event, func),
        isSuccess: condition === 'Success',
        nowMs: runtime.clock.now(),
        ...(isDeadLetter ? { deadLetter: { requestId: event.requestId, errorCode: 200, errorMessage } } : {})
      })
    } finally {
      this.#deliveringCount -= 1
      this.#tellQuiet()
    }
  }

  #record(event: QueuedEvent, condition: EventCondition): string {
    const { func, runtime } = this.#dependencies
    return destinationRecord({
      timestampMs: runtime.clock.now(),
      requestId: event.requestId,
      functionArn: qualifiedArn(event, func),
      condition,
      invokeCount: event.attempts,
      requestPayload: payloadText(event),
      response: event.response
    })
  }

  #tellQuiet(): void {
    for (const resolve of this.#whenQuiet.splice(0)) resolve()
  }
}

interface Sending {
  readonly body: string
  readonly condition: EventCondition
  readonly isDeadLetter: boolean
}

function qualifiedArn({ qualifier }: QueuedEvent, func: ManagedFunction): string {
  return `${func.settings.arn}:${qualifier ?? '$LATEST'}`
}

function payloadText({ payload }: QueuedEvent): string {
  return payload.byteLength === 0 ? '{}' : Buffer.from(payload).toString('utf8')
}
