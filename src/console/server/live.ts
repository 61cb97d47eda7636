/**
 * The live stream: views, sent again when they differ.
 *
 * After each look at the cluster every view of a stream is read again and sent if its text is not the one that was sent
 * last; how fresh it is does not count, the `tick` behind them says that. A reader that is slow is sent nothing more
 * until it has taken what is on its way, and then each view as it is by then: what is new takes the place of what is
 * old, so nothing queues up. One that takes nothing for `STUCK_MS` is given up; its browser connects again.
 *
 * Limits: streams of all and of one session, views of one stream, one answer on its way for each stream. Of all streams
 * one view is read at a time, and between two of them everything else has its turn.
 */

import { createHash } from 'node:crypto'

import { type Clock, PipelineError, type Timer, turn } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { LiveProblem, LiveTick, LiveView } from '../api/live.ts'
import type { World } from '../world/world-types.ts'
import { jsonText } from './json.ts'
import { problemOf } from './problems.ts'
import { hasRole } from './rights.ts'
import type { Caller, View } from './server-types.ts'

/** Where a stream goes: a socket. */
export interface LiveSink {
  /** False: no more until `drained` is called. */
  write(text: string): boolean
  /** Called when what was written has gone. */
  onDrained(drained: () => void): void
  end(): void
}

/** Who reads a stream. */
export interface LiveReader {
  readonly caller: Caller
  /** Whether the login still holds; an open page keeps it from ending by quiet. */
  readonly isAlive: () => boolean
}

/** What streams are made from. */
export interface LiveOptions {
  readonly world: Pick<World, 'latest' | 'onLook' | 'attend' | 'intervalMs'>
  /** By path. */
  readonly views: ReadonlyMap<string, View>
  readonly streamsMax: number
  readonly streamsPerSession: number
  readonly clock: Clock
  readonly logger: Logger
}

/** Views of one stream. */
export const VIEWS_MAX = 24
const OF_LENGTH_MAX = 2048
const KEEP_ALIVE_MS = 15_000
const STUCK_MS = 60_000
/** How often views that ask for it are looked at between looks at the cluster. */
const STEP_MS = 250

/** All streams of a console. */
export class LiveStreams {
  readonly #options: LiveOptions
  readonly #streams = new Set<LiveStream>()
  readonly #stopListening: () => void
  /** None without a stream. */
  #timers: readonly Timer[] = []
  #problem: string | null = null
  #turn = Promise.resolve()

  constructor(options: LiveOptions) {
    this.#options = options
    this.#stopListening = options.world.onLook((_look, problem) => {
      this.#problem = problem
      this.#each(stream => stream.look())
    })
  }

  get count(): number {
    return this.#streams.size
  }

  /**
   * Checks what a stream is asked for, before anything is answered.
   *
   * @throws PipelineError `ERR_CONSOLE_REQUEST`, `ERR_CONSOLE_BUSY`.
   */
  admit(ofs: readonly string[], caller: Caller): readonly string[] {
    const wanted = [...new Set(ofs)]
    if (wanted.length === 0 || wanted.length > VIEWS_MAX || wanted.some(of => of.length > OF_LENGTH_MAX)) {
      const message = `of: 1 to ${VIEWS_MAX} views of at most ${OF_LENGTH_MAX} characters, for example /api/groups`
      throw new PipelineError('ERR_CONSOLE_REQUEST', message)
    }
    const { streamsMax, streamsPerSession } = this.#options
    const own = [...this.#streams].filter(({ sessionId }) => sessionId === caller.sessionId).length
    if (this.#streams.size < streamsMax && own < streamsPerSession) return wanted
    const message = `${own} pages of this login are open, ${this.#streams.size} of all: close some`
    throw new PipelineError('ERR_CONSOLE_BUSY', message, { fields: { retryAfterSeconds: 5 } })
  }

  /** Begins a stream of what was admitted. Returns what ends it. */
  open(ofs: readonly string[], reader: LiveReader, sink: LiveSink): () => void {
    const stream = new LiveStream({
      ofs,
      reader,
      sink,
      options: this.#options,
      tick: () => this.#tick(),
      myTurn: () => this.#myTurn()
    })
    this.#streams.add(stream)
    const leave = this.#options.world.attend()
    stream.onEnd = () => {
      this.#streams.delete(stream)
      leave()
      this.#keepTime()
    }
    this.#keepTime()
    stream.look()
    return () => stream.end()
  }

  /** Ends the streams of a login. */
  endOf(sessionId: string): void {
    this.#each(stream => {
      if (stream.sessionId === sessionId) stream.end()
    })
  }

  /** Ends all. */
  close(): void {
    this.#stopListening()
    this.#each(stream => stream.end())
  }

  #keepTime(): void {
    const { clock } = this.#options
    if (this.#streams.size > 0 && this.#timers.length === 0) {
      this.#timers = [
        clock.every(KEEP_ALIVE_MS, () => this.#each(stream => stream.keepAlive())),
        clock.every(STEP_MS, () => this.#each(stream => stream.step()))
      ]
    } else if (this.#streams.size === 0) {
      for (const timer of this.#timers) timer.cancel()
      this.#timers = []
    }
  }

  #each(call: (stream: LiveStream) => void): void {
    for (const stream of this.#streams) call(stream)
  }

  /** Many pages with many views each would keep everybody else waiting for as long as all of them take. */
  #myTurn(): Promise<void> {
    this.#turn = this.#turn.then(turn)
    return this.#turn
  }

  #tick(): LiveTick {
    const { world, clock } = this.#options
    const takenAtMs = world.latest()?.freshness.takenAtMs ?? clock.now()
    return { takenAtMs, intervalMs: world.intervalMs, problem: this.#problem }
  }
}

interface StreamParts {
  readonly ofs: readonly string[]
  readonly reader: LiveReader
  readonly sink: LiveSink
  readonly options: LiveOptions
  readonly tick: () => LiveTick
  /** Resolves when it may read a view. */
  readonly myTurn: () => Promise<void>
}

interface Watched {
  readonly of: string
  readonly view: View | undefined
  readonly query: URLSearchParams
  /** Hash of what was sent last: the text itself may be long. */
  sent: string
  isDue: boolean
  readAtMs: number
}

class LiveStream {
  readonly sessionId: string
  onEnd: () => void = () => undefined
  readonly #parts: StreamParts
  readonly #watched: readonly Watched[]
  #isTickDue = false
  #isRunning = false
  #isEnded = false
  #blockedAtMs: number | undefined

  constructor(parts: StreamParts) {
    this.#parts = parts
    this.sessionId = parts.reader.caller.sessionId
    this.#watched = parts.ofs.map(of => watch(of, parts.options.views))
  }

  /** The cluster was looked at. */
  look(): void {
    this.#isTickDue = true
    for (const each of this.#watched) each.isDue = true
    void this.#run()
  }

  /** Views that ask to be looked at more often. */
  step(): void {
    const nowMs = this.#parts.options.clock.monotonicMs()
    for (const each of this.#watched) {
      if (each.view?.everyMs !== undefined && nowMs - each.readAtMs >= each.view.everyMs) each.isDue = true
    }
    if (this.#watched.some(({ isDue }) => isDue)) void this.#run()
  }

  /** A line without meaning, so that nothing between here and the browser takes the stream for dead. */
  keepAlive(): void {
    if (!this.#parts.reader.isAlive()) this.end()
    else if (this.#blockedAtMs === undefined) this.#write(':\n\n')
    else if (this.#parts.options.clock.monotonicMs() - this.#blockedAtMs >= STUCK_MS) this.end()
  }

  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.onEnd()
    this.#parts.sink.end()
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return
    this.#isRunning = true
    try {
      for (let due = this.#next(); due !== undefined; due = this.#next()) {
        await this.#parts.myTurn()
        if (this.#isOpen()) await this.#send(due)
      }
      if (this.#isTickDue && this.#isOpen()) {
        this.#isTickDue = false
        this.#event('tick', this.#parts.tick())
      }
    } finally {
      this.#isRunning = false
    }
  }

  #isOpen(): boolean {
    if (!this.#isEnded && !this.#parts.reader.isAlive()) this.end()
    return !this.#isEnded && this.#blockedAtMs === undefined
  }

  #next(): Watched | undefined {
    return this.#isOpen() ? this.#watched.find(({ isDue }) => isDue) : undefined
  }

  async #send(watched: Watched): Promise<void> {
    const { clock } = this.#parts.options
    watched.isDue = false
    watched.readAtMs = clock.monotonicMs()
    const answer = await this.#read(watched)
    const hash = createHash('sha256').update(answer.compared).digest('base64')
    if (hash === watched.sent || this.#isEnded) return
    watched.sent = hash
    this.#event(answer.kind, answer.event)
  }

  async #read({ of, view, query }: Watched): Promise<Answer> {
    const { reader, options, tick } = this.#parts
    try {
      if (view === undefined) throw new PipelineError('ERR_CONSOLE_NOT_FOUND', `there is no view ${of.split('?')[0]}`)
      if (!hasRole(reader.caller.role, view.needs ?? 'viewer')) {
        throw new PipelineError('ERR_CONSOLE_FORBIDDEN', `this needs the role ${view.needs}`)
      }
      const value: unknown = await view.read(query, reader.caller)
      const event: LiveView = { of, takenAtMs: tick().takenAtMs, value }
      return { kind: 'view', event, compared: jsonText(withoutFreshness(value)) }
    } catch (error) {
      const { answer } = problemOf(error, options.logger)
      const event: LiveProblem = { of, code: answer.code, message: answer.message }
      return { kind: 'problem', event, compared: answer.code + answer.message }
    }
  }

  #event(kind: string, event: LiveView | LiveProblem | LiveTick): void {
    this.#write(`event: ${kind}\ndata: ${jsonText(event)}\n\n`)
  }

  #write(text: string): void {
    if (this.#parts.sink.write(text)) return
    this.#blockedAtMs = this.#parts.options.clock.monotonicMs()
    this.#parts.sink.onDrained(() => {
      this.#blockedAtMs = undefined
      void this.#run()
    })
  }
}

interface Answer {
  readonly kind: 'view' | 'problem'
  readonly event: LiveView | LiveProblem
  /** What decides whether it is new. */
  readonly compared: string
}

function watch(of: string, views: ReadonlyMap<string, View>): Watched {
  const base = 'http://console'
  const url = of.startsWith('/') && URL.canParse(of, base) ? new URL(of, base) : undefined
  const view = url?.origin === base ? views.get(url.pathname) : undefined
  return { of, view, query: url?.searchParams ?? new URLSearchParams(), sent: '', isDue: true, readAtMs: 0 }
}

/** A view that only got older is the same; what could not be looked at counts. */
function withoutFreshness(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('freshness' in value)) return value
  const { freshness, ...rest } = value
  return [rest, typeof freshness === 'object' && freshness !== null ? Reflect.get(freshness, 'problems') : freshness]
}
