/** Runs a planned replay with a dispatcher of its own: for the command line, and for the console. */

import type { Admin, Cluster } from '../../client/index.ts'
import type { PlanReplay, ReplayWish } from '../../console/index.ts'
import type { DispatcherConfig, PipelineConfig } from '../../config/index.ts'
import { PipelineError, systemClock } from '../../core/index.ts'
import type { Dispatcher, ReplayAdmin, ReplayPlan } from '../../dispatcher/index.ts'
import type { Change, ChangeResult, OffsetsBefore } from '../../ops/index.ts'
import type { Target } from '../../targets/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { dispatcherWithEndpoint } from '../wiring.ts'
import { count } from './format.ts'

/** What became of a replay. */
export interface ReplayTotals {
  readonly isDone: boolean
  readonly records: number
  readonly deadLettered: number
  readonly filtered: number
  readonly skipped: number
}

/** The same as what a change has to say. */
export function resultOf(totals: ReplayTotals): ChangeResult {
  const { isDone, ...details } = totals
  return { isComplete: isDone, summary: endText(totals), failures: [], details: { ...details } }
}

/** What a replay runs with. */
export interface ReplaySurroundings {
  readonly pipeline: PipelineConfig
  readonly admin: Admin
  readonly cluster: Cluster
  readonly logger: Logger
  /** Ends it; what was done is kept. */
  readonly stop: AbortController
  readonly onProgress: (text: string) => void
}

/** Replays until all is done or it is stopped. */
export async function runReplay(plan: ReplayPlan, around: ReplaySurroundings): Promise<ReplayTotals> {
  const { pipeline, cluster, logger, stop } = around
  const admin: ReplayAdmin = around.admin
  const { applyReplay, endsOf, untilReplayed } = await import('../../dispatcher/index.ts')
  const { closeAll, startParts } = await import('../roles/dispatcher.ts')
  const live = dispatcherWithEndpoint(pipeline)
  if (live === undefined) throw new PipelineError('ERR_CONFIG_INVALID', 'the pipeline file has no dispatcher')
  const topics = [...new Set(plan.partitions.map(({ topic }) => topic))]
  const config = replayConfig(live, plan.groupId, topics)
  await applyReplay(admin, plan)
  let failure: PipelineError | undefined
  let targets: readonly Target[] = []
  try {
    const parts = await startParts(config, { cluster, logger, endOf: endsOf(plan) })
    const { dispatcher } = parts
    targets = parts.targets
    void dispatcher.ended.then(error => {
      failure = error
      stop.abort()
    })
    const onProgress = progressOf(plan, dispatcher, around.onProgress)
    const isDone = await untilReplayed(admin, plan, { clock: systemClock, signal: stop.signal, onProgress })
    const { isComplete } = await dispatcher.drain(config.drainMs)
    if (!isComplete) logger.warn({}, 'not all was finished in time: what was at the target comes again')
    if (failure !== undefined) throw failure
    const { records, deadLettered, filtered, skipped } = dispatcher.status().totals
    return { isDone, records, deadLettered, filtered, skipped }
  } finally {
    await closeAll(targets)
  }
}

/**
 * What a replay does other than the live dispatcher. A static member's id and
 * transactional ids belong to the live group; what retention has taken is no
 * reason to jump to the end; and a record that waited in a retry topic would
 * outlast the replay, whose progress is that of the topics, so it becomes a dead
 * letter when its attempts in place are used up.
 */
function replayConfig(live: DispatcherConfig, groupId: string, topics: readonly string[]): DispatcherConfig {
  return {
    ...live,
    groupId,
    topics: [...topics],
    groupInstanceId: undefined,
    target: live.target.type === 'topic' ? { ...live.target, transactionalIdPrefix: undefined } : live.target,
    retry: { ...live.retry, delays: [] },
    autoOffsetReset: 'earliest'
  }
}

/** A line every two seconds: how far, how fast, how long still. */
function progressOf(plan: ReplayPlan, dispatcher: Dispatcher, show: (text: string) => void): (left: bigint) => void {
  const startedMs = systemClock.monotonicMs()
  let shownMs = startedMs
  return left => {
    const nowMs = systemClock.monotonicMs()
    if (nowMs - shownMs < 2000) return
    shownMs = nowMs
    const done = Number(plan.offsetCount - left)
    const perSecond = (done * 1000) / (nowMs - startedMs)
    const eta = perSecond > 0 ? `, ${Math.ceil(Number(left) / perSecond)} s to go` : ''
    const share = Math.floor((done * 100) / Math.max(1, Number(plan.offsetCount)))
    const { deadLettered } = dispatcher.status().totals
    show(
      `${share} %: ${count(done)} of ${count(plan.offsetCount)}, ${count(Math.round(perSecond))}/s${eta}, ` +
        `${count(deadLettered)} dead letters`
    )
  }
}

/** One sentence. */
export function endText({ isDone, records, deadLettered }: ReplayTotals): string {
  const end = isDone ? 'replayed' : 'stopped; the same command goes on from here'
  return `${end}: ${count(records)} delivered, ${count(deadLettered)} dead letters`
}

/** Offsets that are no progress of this replay: of an earlier one with other bounds, or of whoever uses the group. */
export function overwrittenOf({ partitions }: ReplayPlan, before: OffsetsBefore): number {
  const fresh = new Set(partitions.filter(({ isBegun }) => !isBegun).map(nameOf))
  return before.filter(each => each.offset >= 0n && fresh.has(nameOf(each))).length
}

/** `mt-c400-3`. */
export function nameOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}-${partition}`
}

/** What the console plans and runs replays with. */
export interface ConsoleReplayParts {
  readonly pipeline: PipelineConfig
  readonly admin: Admin
  readonly cluster: Cluster
  readonly logger: Logger
}

/** The way of a console to replays. */
export function replayPlanner(parts: ConsoleReplayParts): PlanReplay {
  return async (wish: ReplayWish): Promise<Change> => {
    const { planReplay } = await import('../../dispatcher/index.ts')
    const { replayChange } = await import('../../ops/index.ts')
    const { groupId, topics, fromMs, toMs, isRestarted } = wish
    const plan = await planReplay(parts.admin, {
      groupId,
      topics,
      from: fromMs === null ? 'earliest' : { timestampMs: BigInt(fromMs) },
      to: toMs === null ? 'latest' : { timestampMs: BigInt(toMs) },
      isRestarted
    })
    const before = await parts.admin.fetchGroupOffsets(groupId)
    const change = replayChange(plan, before, async ({ signal, onProgress = () => undefined }) => {
      const stop = new AbortController()
      const end = (): void => stop.abort()
      if (signal?.aborted === true) end()
      signal?.addEventListener('abort', end, { once: true })
      try {
        return resultOf(await runReplay(plan, { ...parts, stop, onProgress }))
      } finally {
        signal?.removeEventListener('abort', end)
      }
    })
    const overwritten = overwrittenOf(plan, before)
    const warning =
      `group ${groupId} has offsets in ${overwritten} of these partitions, which are moved to their beginning; ` +
      'the undo brings them back'
    const warnings = overwritten > 0 ? [...change.plan.warnings, warning] : change.plan.warnings
    return { ...change, plan: { ...change.plan, warnings } }
  }
}
