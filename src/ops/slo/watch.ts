/**
 * The watch: looks, keeps objectives, decides on alerts, writes the state down.
 *
 * One look after the other; one that fails is unknown time and, if it goes on,
 * an alert of its own, and the watch goes on. Nothing waits for alerts to be delivered. The state is written at most
 * once a minute and at the end; a disk that refuses is said once in a while and
 * does not end the watch.
 */

import { type Clock, messageOf, sleep } from '../../core/index.ts'
import type { Alert } from '../alerts/alert.ts'
import type { AlertBook } from '../alerts/alert-book.ts'
import type { AlertOutbox } from '../alerts/outbox.ts'
import type { LagReport } from '../lag/lag-types.ts'
import { conditionsOf, conditionsWithoutLook, type HealthThresholds, isSeenIn } from './conditions.ts'
import type { SloState, SloStatus, SloTracker } from './tracker.ts'

/** What one look gave. */
export interface WatchedLook {
  /** `undefined` = it failed. */
  readonly report: LagReport | undefined
  /** Why it failed. */
  readonly problem: string
  readonly slo: readonly SloStatus[]
  /** What was sent now. */
  readonly alerts: readonly Alert[]
}

/** How it is watched. */
export interface SloWatchOptions {
  /** Looks once. */
  readonly look: (signal: AbortSignal) => Promise<LagReport>
  readonly tracker: SloTracker
  readonly book: AlertBook
  readonly outbox: AlertOutbox
  readonly clock: Clock
  /** Time from the beginning of one look to the next, in milliseconds. */
  readonly everyMs: number
  readonly health?: Partial<HealthThresholds>
  /** Writes the state down. */
  readonly save?: (state: SloState) => Promise<void>
  /** Hears of every look. */
  readonly onLook?: (look: WatchedLook) => void
  /** Hears of what does not end the watch. */
  readonly onProblem?: (text: string) => void
  readonly signal: AbortSignal
}

const SAVE_MS = 60_000

/** Runs until it is told to stop. */
export async function watchSlo(options: SloWatchOptions): Promise<void> {
  const { clock, everyMs, signal } = options
  let savedMs = clock.monotonicMs()
  while (!signal.aborted) {
    const startMs = clock.monotonicMs()
    const look = await lookOnce(options)
    if (look === undefined) break
    options.onLook?.(look)
    if (clock.monotonicMs() - savedMs >= SAVE_MS) {
      await saveState(options)
      savedMs = clock.monotonicMs()
    }
    await sleep(clock, Math.max(0, startMs + everyMs - clock.monotonicMs()), signal)
  }
  await saveState(options)
}

async function lookOnce(options: SloWatchOptions): Promise<WatchedLook | undefined> {
  const { look, tracker, book, outbox, clock, health, signal } = options
  try {
    const report = await look(signal)
    if (signal.aborted) return undefined
    tracker.observe(report)
    const slo = tracker.status(clock.now())
    const conditions = conditionsOf({ report, slo, ...(health === undefined ? {} : { health }) })
    const alerts = book.decide(conditions, clock.now(), ({ group }) => isSeenIn(report, group))
    outbox.put(alerts)
    return { report, problem: '', slo, alerts }
  } catch (error) {
    if (signal.aborted) return undefined
    const problem = messageOf(error)
    tracker.missed(problem, clock.now())
    options.onProblem?.(`no look: ${problem}`)
    const slo = tracker.status(clock.now())
    // All other conditions are neither there nor gone: nothing is resolved by not looking.
    const alerts = book.decide(conditionsWithoutLook(problem, slo), clock.now(), () => false)
    outbox.put(alerts)
    return { report: undefined, problem, slo, alerts }
  }
}

async function saveState({ save, tracker, onProblem }: SloWatchOptions): Promise<void> {
  if (save === undefined) return
  try {
    await save(tracker.write())
  } catch (error) {
    onProblem?.(messageOf(error))
  }
}
