/**
 * The cluster as the console knows it: looks while somebody looks, and keeps what looks leave behind.
 *
 * One look at a time, whoever asks. Who attends (a live stream) or has asked for a view in the last minute keeps it
 * looking; after that nothing is asked of the cluster, and the first view after such a pause looks at once. A look that
 * fails leaves the last one in place, with its age and the reason, and is tried again, ever less often.
 *
 * Invariants: a look takes a fifth of the time at most (`LookPace`); nothing that fails in here ends the process;
 * after `close` nothing is asked any more.
 */

import type { Cluster } from '../../client/index.ts'
import type { OperationsConfig } from '../../config/index.ts'
import { type Clock, messageOf, PipelineError, type Timer, within } from '../../core/index.ts'
import { type Arrivals, type LagLook, LagMonitor } from '../../ops/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { Series } from '../api/common.ts'
import type { RebalanceEntry } from '../api/groups.ts'
import { History } from './history.ts'
import { LookPace } from './look-pace.ts'
import { RebalanceBook } from './rebalance-book.ts'
import type { SeriesName, World, WorldLook } from './world-types.ts'

/** Shortest time between looks, in milliseconds. */
export const INTERVAL_MIN_MS = 2000
/** How long it goes on looking after the last view, in milliseconds. */
const IDLE_AFTER_MS = 60_000
/** A pause after which rates begin anew, in milliseconds: they would else be those of the pause. */
const PAUSE_MS = 60_000
/** The second look comes sooner, in milliseconds: rates need two. */
const SECOND_LOOK_MS = 1000
/** Longest time of a look, in milliseconds. */
const LOOK_TIMEOUT_MS = 120_000
/** How long a view waits for a new look where there is an old one, in milliseconds. */
const PATIENCE_MS = 3000
/** Longest time between looks that fail, in milliseconds. */
const RETRY_MAX_MS = 15_000
/** Sentences of a look that are told. */
const PROBLEMS_MAX = 20

/** Where looks come from: of `LagMonitor`, what is used of it. */
export type Looker = Pick<LagMonitor, 'lookAndScan' | 'arrivalsOf' | 'beginAnew'>

/** What a world is made from. */
export interface WorldOptions {
  readonly cluster: Cluster
  readonly operations: OperationsConfig
  readonly clock: Clock
  readonly logger: Logger
  /** Shortest time between looks, in milliseconds, at least 100. Default 2000. */
  readonly intervalMs?: number
  /** Default: a `LagMonitor` of all groups. */
  readonly monitor?: Looker
}

/** Makes a world. It does not look before somebody asks. */
export function createWorld(options: WorldOptions): World {
  return new LiveWorld(options)
}

type LookListener = (look: WorldLook | undefined, problem: string | null) => void

class LiveWorld implements World {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #monitor: Looker
  readonly #pace: LookPace
  readonly #history = new History()
  readonly #rebalances = new RebalanceBook()
  readonly #listeners = new Set<LookListener>()
  #isClosed = false
  /** Ends the look that goes on. */
  #limit: AbortController | undefined
  #viewerCount = 0
  /** When a view was asked for last, in monotonic milliseconds. */
  #askedMs = -Infinity
  /** When a look ended well last, in monotonic milliseconds. */
  #lookedMs = -Infinity
  #failures = 0
  #problem: string | null = null
  #latest: WorldLook | undefined
  #running: Promise<void> | undefined
  #timer: Timer | undefined
  #intervalMs: number
  /** Looks since rates began anew. */
  #lookCount = 0

  constructor({ cluster, operations, clock, logger, intervalMs = INTERVAL_MIN_MS, monitor }: WorldOptions) {
    this.#clock = clock
    this.#logger = logger
    this.#pace = new LookPace(Math.max(100, intervalMs))
    this.#intervalMs = this.#pace.intervalMs
    this.#monitor = monitor ?? monitorOf(cluster, operations, clock)
  }

  get intervalMs(): number {
    return this.#intervalMs
  }

  latest(): WorldLook | undefined {
    return this.#latest
  }

  async ready(signal?: AbortSignal): Promise<WorldLook> {
    this.#askedMs = this.#clock.monotonicMs()
    const isLooking = this.#running !== undefined || this.#timer !== undefined
    const isWaiting = this.#latest !== undefined || this.#problem !== null
    if (!isLooking) this.#look()
    // What comes every two seconds is not waited for; what was taken before a pause is old.
    if (!isLooking || !isWaiting) await this.#lookEnds(signal)
    signal?.throwIfAborted()
    if (this.#latest !== undefined) return this.#latest
    const message = `the cluster has not been seen yet: ${this.#problem ?? 'the first look goes on'}`
    throw new PipelineError('ERR_CONSOLE_CLUSTER', message)
  }

  attend(): () => void {
    this.#viewerCount += 1
    if (this.#running === undefined && this.#timer === undefined) this.#look()
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      this.#viewerCount -= 1
    }
  }

  onLook(listener: LookListener): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  groupSeries(groupId: string, name: SeriesName): Series {
    return this.#history.group(groupId, name)
  }

  sparkline(groupId: string): readonly (number | null)[] {
    return this.#history.sparkline(groupId)
  }

  topicSeries(topic: string): Series {
    return this.#history.topic(topic)
  }

  totalSeries(name: SeriesName): Series {
    return this.#history.total(name)
  }

  arrivalsOf(topic: string): readonly Arrivals[] {
    return this.#monitor.arrivalsOf(topic)
  }

  rebalances(groupId?: string): readonly RebalanceEntry[] {
    return this.#rebalances.entries(groupId)
  }

  lastRebalanceMs(groupId: string): number | undefined {
    return this.#rebalances.lastMs(groupId)
  }

  silentSinceMs(groupId: string): number | undefined {
    return this.#history.silentSinceMs(groupId)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#limit?.abort()
    this.#timer?.cancel()
    this.#timer = undefined
    this.#listeners.clear()
    await this.#running
  }

  /** Waits for the look that goes on: without end if there is none yet, else with patience. */
  async #lookEnds(signal: AbortSignal | undefined): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    // Listeners go with the wait: the signal may live as long as the console.
    const over = new AbortController()
    const ends = signal === undefined ? running : Promise.race([running, whenAborted(signal, over.signal)])
    await (this.#latest === undefined ? ends : within(this.#clock, PATIENCE_MS, ends))
    over.abort()
  }

  #look(): void {
    if (this.#isClosed || this.#running !== undefined) return
    const startedMs = this.#clock.monotonicMs()
    this.#running = this.#lookOnce(startedMs).finally(() => {
      this.#running = undefined
      this.#schedule(startedMs)
    })
  }

  async #lookOnce(startedMs: number): Promise<void> {
    if (startedMs - this.#lookedMs > PAUSE_MS) this.#beginAnew()
    const limit = new AbortController()
    this.#limit = limit
    const timer = this.#clock.after(LOOK_TIMEOUT_MS, () => limit.abort(new Error('the look took too long'))).unref()
    try {
      const found = await this.#monitor.lookAndScan(limit.signal)
      if (this.#isClosed) return
      this.#take(found)
    } catch (error) {
      if (this.#isClosed) return
      this.#fail(error)
    } finally {
      timer.cancel()
    }
    this.#tell()
  }

  #beginAnew(): void {
    this.#lookCount = 0
    this.#monitor.beginAnew()
    // Members that changed during the pause are worth an entry all the same: it says after when.
    this.#history.gap(this.#clock.now())
  }

  #take({ report, scan }: LagLook): void {
    const endedMs = this.#clock.monotonicMs()
    this.#lookedMs = endedMs
    this.#lookCount += 1
    if (this.#failures > 0) this.#logger.info({ failures: this.#failures }, 'the cluster answers again')
    this.#failures = 0
    this.#problem = null
    const groupsById = new Map(report.groups.map(group => [group.groupId, group]))
    const problems = told(report.problems)
    const freshness = { takenAtMs: report.takenAtMs, durationMs: report.durationMs, problems }
    this.#latest = { scan, report, groupsById, freshness }
    const { takenAtMs, groups } = scan
    this.#history.add({ report, topics: scan.topics.keys(), arrivalsOf: topic => this.#monitor.arrivalsOf(topic) })
    this.#rebalances.see({ groups, isWhole: report.isPartial !== true, takenAtMs })
    this.#keepPace(report.durationMs)
  }

  #keepPace(durationMs: number): void {
    this.#pace.note(durationMs)
    const { intervalMs } = this.#pace
    // Twice or half: what trembles is not told each time.
    if (intervalMs >= this.#intervalMs * 2 || intervalMs * 2 <= this.#intervalMs) {
      this.#logger.info({ intervalMs, durationMs: Math.round(durationMs) }, 'the time between looks has changed')
    }
    this.#intervalMs = intervalMs
  }

  #fail(error: unknown): void {
    this.#failures += 1
    this.#problem = `the cluster cannot be looked at: ${messageOf(error)}`
    if (this.#failures === 1) this.#logger.warn({ error: messageOf(error) }, 'the cluster cannot be looked at')
    this.#history.gap(this.#clock.now())
    const last = this.#latest
    if (last === undefined) return
    const problems = [this.#problem, ...told(last.report.problems)]
    this.#latest = { ...last, freshness: { ...last.freshness, problems } }
  }

  #tell(): void {
    for (const listener of this.#listeners) {
      try {
        listener(this.#latest, this.#problem)
      } catch (error) {
        this.#logger.error({ error: messageOf(error) }, 'who listens to looks has failed')
      }
    }
  }

  #schedule(startedMs: number): void {
    if (this.#isClosed || !this.#isWanted()) return
    const isSecond = this.#lookCount === 1
    const secondMs = Math.min(this.#intervalMs, Math.max(SECOND_LOOK_MS, this.#intervalMs / 2))
    const intervalMs = isSecond ? secondMs : this.#intervalMs
    const dueMs = this.#failures === 0 ? intervalMs : Math.min(RETRY_MAX_MS, intervalMs * this.#failures)
    const spentMs = this.#clock.monotonicMs() - startedMs
    this.#timer = this.#clock
      .after(Math.max(dueMs - spentMs, dueMs / 2), () => {
        this.#timer = undefined
        if (this.#isWanted()) this.#look()
      })
      .unref()
  }

  #isWanted(): boolean {
    return this.#viewerCount > 0 || this.#clock.monotonicMs() - this.#askedMs < IDLE_AFTER_MS
  }
}

function monitorOf(cluster: Cluster, { lag }: OperationsConfig, clock: Clock): LagMonitor {
  return new LagMonitor({
    cluster,
    clock,
    windowSize: lag.windowLooks,
    minimumComplete: lag.minimumComplete,
    allowedLag: lag.allowedLag,
    appendTimesMax: lag.appendTimes,
    hangingTransactionMs: lag.hangingTransactionSeconds * 1000
  })
}

function told(problems: readonly string[]): readonly string[] {
  if (problems.length <= PROBLEMS_MAX) return problems
  const rest = problems.length - PROBLEMS_MAX + 1
  return [...problems.slice(0, PROBLEMS_MAX - 1), `… and ${rest} more`]
}

function whenAborted(signal: AbortSignal, over: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true, signal: over })
  })
}
