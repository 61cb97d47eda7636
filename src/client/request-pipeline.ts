/**
 * The requests of one connection: who waits, who is in flight, whose answer this is.
 *
 * Kafka answers the requests of a connection in the order they were sent, so
 * the requests in flight are a queue and an answer belongs to its head. A
 * request that timed out or was given up stays in that queue as *abandoned*:
 * its late answer is consumed and dropped, and the answers behind it keep
 * their owners. If an abandoned request is followed by silence for as long
 * again, the connection is taken for dead.
 *
 * Invariants: at most `inFlightMax` requests in flight, at most `waitingMax`
 * waiting; every submitted request settles exactly once.
 */

import { type Clock, PipelineError, type Timer } from '../core/index.ts'

/** What a pipeline needs around it. */
export interface RequestPipelineOptions {
  /** Address for messages. */
  readonly peer: string
  readonly inFlightMax: number
  readonly waitingMax: number
  readonly clock: Clock
  /** Hands the bytes of one request to the socket. */
  readonly write: (chunks: readonly Buffer[]) => void
  /** Called when the stream can no longer be used: close the socket. */
  readonly onBroken: (error: PipelineError) => void
}

/** One request on its way. */
export interface PipelineRequest {
  readonly correlationId: number
  /** Name of the API, for messages. */
  readonly name: string
  readonly chunks: readonly Buffer[]
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  /** Goes ahead of all waiting requests and ignores `hold`: (re-)authentication only. */
  readonly isUrgent?: boolean
  /** `false` for produce with acks=0: the broker sends nothing back. Default `true`. */
  readonly hasResponse?: boolean
}

interface Entry {
  readonly request: PipelineRequest
  readonly resolve: (payload: Buffer) => void
  readonly reject: (error: PipelineError) => void
  timer: Timer | undefined
  onAbort: (() => void) | undefined
  isSettled: boolean
  /** When it was handed to the socket. */
  sentAtMs: number
}

const noPayload = Buffer.alloc(0)

/** Orders requests and answers of one connection. */
export class RequestPipeline {
  readonly #options: RequestPipelineOptions
  #waiting: Entry[] = []
  #inFlight: Entry[] = []
  #holdCount = 0
  #onDrained: (() => void) | undefined
  #error: PipelineError | undefined
  #receivedCount = 0
  #receivedAtMs = 0

  constructor(options: RequestPipelineOptions) {
    this.#options = options
  }

  /** Requests in flight, abandoned ones included. */
  get inFlightCount(): number {
    return this.#inFlight.length
  }

  /** Requests that wait for a free place. */
  get waitingCount(): number {
    return this.#waiting.length
  }

  /** How long an answer has been due without one coming, in milliseconds; 0 if none is due. */
  get silentMs(): number {
    const [oldest] = this.#inFlight
    if (oldest === undefined) return 0
    return this.#options.clock.monotonicMs() - Math.max(oldest.sentAtMs, this.#receivedAtMs)
  }

  /**
   * Sends a request when there is a place for it and resolves with the payload of its answer (empty without one).
   *
   * @throws PipelineError `ERR_CLIENT_REQUEST_TIMEOUT`, `ERR_CLIENT_DISCONNECTED`, `ERR_CLIENT_OVERLOADED`, or
   *   `ERR_CORE_ABORTED` if the signal gave it up.
   */
  submit(request: PipelineRequest): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) return reject(this.#error)
      if (request.signal?.aborted === true) return reject(aborted(request))
      if (this.#waiting.length >= this.#options.waitingMax) return reject(this.#overloaded())
      const open = { timer: undefined, onAbort: undefined, isSettled: false, sentAtMs: 0 }
      const entry: Entry = { request, resolve, reject, ...open }
      entry.timer = this.#options.clock.after(request.timeoutMs, () => this.#onTimeout(entry))
      if (request.signal !== undefined) {
        entry.onAbort = () => this.#abandon(entry, aborted(request))
        request.signal.addEventListener('abort', entry.onAbort, { once: true })
      }
      if (request.isUrgent === true) this.#dispatch(entry)
      else {
        this.#waiting.push(entry)
        this.#pump()
      }
    })
  }

  /** Keeps waiting requests back, except urgent ones, until `release` was called as often. */
  hold(): void {
    this.#holdCount += 1
  }

  /** Ends one `hold`. */
  release(): void {
    this.#holdCount -= 1
    this.#pump()
  }

  /**
   * Has something done whenever nothing is in flight, at once if that is so, before the next request is sent: the one
   * moment at which the stream underneath can be exchanged. Requests may wait. `undefined` ends it.
   */
  whenDrained(callback: (() => void) | undefined): void {
    this.#onDrained = callback
    if (this.#inFlight.length === 0) callback?.()
  }

  /** Takes the next answer of the stream. */
  receive(payload: Buffer): void {
    this.#receivedCount += 1
    this.#receivedAtMs = this.#options.clock.monotonicMs()
    const entry = this.#inFlight.shift()
    const correlationId = payload.readInt32BE(0)
    if (entry?.request.correlationId !== correlationId) {
      this.#options.onBroken(this.#unexpected(correlationId, entry))
      return
    }
    this.#settle(entry)?.resolve(payload)
    if (this.#inFlight.length === 0) this.#onDrained?.()
    this.#pump()
  }

  /** Fails everything: the connection has ended. */
  fail(error: PipelineError): void {
    this.#error ??= error
    const entries = [...this.#inFlight.splice(0), ...this.#waiting.splice(0)]
    for (const entry of entries) this.#settle(entry)?.reject(error)
  }

  #pump(): void {
    while (this.#holdCount === 0 && this.#inFlight.length < this.#options.inFlightMax && this.#error === undefined) {
      const entry = this.#waiting.shift()
      if (entry === undefined) return
      this.#dispatch(entry)
    }
  }

  #dispatch(entry: Entry): void {
    const hasResponse = entry.request.hasResponse ?? true
    entry.sentAtMs = this.#options.clock.monotonicMs()
    if (hasResponse) this.#inFlight.push(entry)
    this.#options.write(entry.request.chunks)
    if (!hasResponse) this.#settle(entry)?.resolve(noPayload)
  }

  #onTimeout(entry: Entry): void {
    const { request } = entry
    this.#abandon(
      entry,
      new PipelineError(
        'ERR_CLIENT_REQUEST_TIMEOUT',
        `${this.#options.peer} did not answer ${request.name} within ${request.timeoutMs} ms`,
        { fields: { peer: this.#options.peer, api: request.name, timeoutMs: request.timeoutMs } }
      )
    )
    if (!this.#inFlight.includes(entry)) return
    const receivedCount = this.#receivedCount
    const timer = this.#options.clock.after(request.timeoutMs, () => {
      if (receivedCount !== this.#receivedCount || !this.#inFlight.includes(entry)) return
      this.#options.onBroken(
        new PipelineError('ERR_CLIENT_DISCONNECTED', `${this.#options.peer} is silent since ${request.name} timed out`)
      )
    })
    timer.unref()
  }

  /** Settles with an error; a request in flight keeps its place in the queue for its late answer. */
  #abandon(entry: Entry, error: PipelineError): void {
    const index = this.#waiting.indexOf(entry)
    if (index >= 0) this.#waiting.splice(index, 1)
    this.#settle(entry)?.reject(error)
  }

  /** The entry if it has not settled before; stops its timers. */
  #settle(entry: Entry): Entry | undefined {
    if (entry.isSettled) return undefined
    entry.isSettled = true
    entry.timer?.cancel()
    if (entry.onAbort !== undefined) entry.request.signal?.removeEventListener('abort', entry.onAbort)
    return entry
  }

  #overloaded(): PipelineError {
    const { peer, waitingMax } = this.#options
    return new PipelineError(
      'ERR_CLIENT_OVERLOADED',
      `${waitingMax} requests already wait for the connection to ${peer}`
    )
  }

  #unexpected(correlationId: number, entry: Entry | undefined): PipelineError {
    const expected = entry === undefined ? 'no answer is due' : `the next one is ${entry.request.correlationId}`
    if (entry !== undefined) this.#inFlight.unshift(entry)
    return new PipelineError(
      'ERR_CLIENT_RESPONSE_INVALID',
      `${this.#options.peer} sent an answer with correlation id ${correlationId}, but ${expected}`
    )
  }
}

function aborted(request: PipelineRequest): PipelineError {
  return new PipelineError('ERR_CORE_ABORTED', `${request.name} was given up by its caller`)
}
