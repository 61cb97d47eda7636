/**
 * The playbook of a growth: confirm the need, choose the count, alter, watch the rebalance, judge that it has settled.
 *
 * Gates 1 and 2 are the plan, which only looks: a need that metrics do not confirm, a count that the cluster refuses,
 * and keys whose order would break are in its way. Steps 3 to 5 are `apply`. A growth cannot be taken back, so what a
 * stop ends is what was not done yet. Run again after it was killed, it finds the count that there is and goes on.
 */

import { Admin, type Cluster } from '../../client/index.ts'
import { isRetriable, messageOf, PipelineError, sleep } from '../../core/index.ts'
import type { ApplyContext, Change, ChangePlan, ChangeResult, Json } from '../change/change.ts'
import type { ScannedGroup } from '../scan/scan-types.ts'
import { counted } from '../words/counted.ts'
import { type KeyMovement, keyMovement } from './key-movement.ts'
import { SERVERLESS_CREATES_MAX, SERVERLESS_CREATES_WINDOW_MS } from './msk-limits.ts'
import { judgeNeed, type NeedVerdict } from './need.ts'
import type { PartitionCap } from './plan.ts'
import { hotKeyShareOf, type KeySample } from './sample-keys.ts'
import {
  latestWarning,
  readerOf,
  readTopicFacts,
  rebalanceText,
  sampleTopicKeys,
  settleLookOf,
  type TopicFacts,
  topicWarnings
} from './topic-facts.ts'
import { GrowthWatch, type WatchLook, type WatchVerdict } from './watch.ts'

/** What is wished. Times in milliseconds. */
export interface GrowRequest {
  readonly cluster: Cluster
  readonly topic: string
  /** Default: twice as many as today. */
  readonly to?: number
  /** Group whose lag says whether there is a need. Default: the one with the largest lag. */
  readonly groupId?: string
  /** How long is looked before the need is judged. Default 15,000. */
  readonly observeMs?: number
  /** Processor of the consumers, 0 to 1. */
  readonly consumerCpu?: number
  readonly didMoreConsumersHelp?: boolean
  /** Why it is done although metrics do not confirm the need. */
  readonly forceNeed?: string
  /** The order of keys that move may break. */
  readonly isOrderBreakAccepted?: boolean
  /** Waits until producers are still and every group has read all: then no order breaks. */
  readonly isDrainedFirst?: boolean
  /** Commits offset 0 of new partitions for groups without members. */
  readonly isPreCommitted?: boolean
  /** Limits of the cluster, from `planPartitions`. */
  readonly caps?: readonly PartitionCap[]
  /**
   * Partitions that are created at once, and the wait after it. Default: all; for `isServerless` 250 in five minutes.
   */
  readonly stepMax?: number
  readonly stepPauseMs?: number
  readonly isServerless?: boolean
  /** Default 10,000. */
  readonly quietMs?: number
  /** Default 120,000. */
  readonly unstableMaxMs?: number
  /** Default 900,000. */
  readonly settleMaxMs?: number
  /** Longest wait of `isDrainedFirst`. Default 1,800,000. */
  readonly drainMaxMs?: number
  /** Records that a group may fall behind. Default 1,000,000. */
  readonly lagGainMax?: bigint
  /** Time between looks. Default 1,000. */
  readonly intervalMs?: number
}

/** A planned growth, with what its plan rests on. */
export interface PlannedGrowth extends Change {
  readonly need: NeedVerdict
  readonly movement: KeyMovement
}

const defaults = {
  observeMs: 15_000,
  quietMs: 10_000,
  unstableMaxMs: 120_000,
  settleMaxMs: 900_000,
  drainMaxMs: 1_800_000,
  lagGainMax: 1_000_000n,
  intervalMs: 1000
}

/**
 * Plans a growth by looking.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND` if there is no such topic, `ERR_OPS_REFUSED` if it cannot be read.
 */
export async function planGrowth(request: GrowRequest): Promise<PlannedGrowth> {
  const { cluster, topic, observeMs = defaults.observeMs } = request
  const admin = new Admin(cluster)
  const first = await readTopicFacts(cluster, admin, topic)
  await sleep(cluster.clock, observeMs)
  const facts = await readTopicFacts(cluster, admin, topic)
  const sample = await sampleTopicKeys(cluster, facts)
  const to = request.to ?? facts.partitionCount * 2
  const movement = keyMovement(sample.keys, facts.partitionCount, Math.max(1, to))
  const need = needOf(request, { first, facts, sample })
  const grown: GrownTopic = { facts, sample, movement, need, to }
  const run = new GrowthRun(request, { admin, facts, to })
  return { plan: planOf(request, grown), snapshot: undefined, need, movement, apply: context => run.run(context) }
}

interface GrownTopic {
  readonly facts: TopicFacts
  readonly sample: KeySample
  readonly movement: KeyMovement
  readonly need: NeedVerdict
  readonly to: number
}

function needOf(
  { groupId, consumerCpu, didMoreConsumersHelp }: GrowRequest,
  { first, facts, sample }: { readonly first: TopicFacts; readonly facts: TopicFacts; readonly sample: KeySample }
): NeedVerdict {
  const reader = readerOf(first, facts, groupId)
  return judgeNeed({
    partitions: reader?.loads ?? [],
    consumers: reader?.members ?? 0,
    consumerCpu,
    didMoreConsumersHelp,
    hotKeyShare: hotKeyShareOf(sample)
  })
}

function planOf(request: GrowRequest, grown: GrownTopic): ChangePlan {
  const { facts, movement, to } = grown
  const { topic, partitionCount, groups } = facts
  const percent = (share: number): string => `${Math.round(share * 100)} %`
  const isDone = to === partitionCount
  const moves =
    movement.sampledKeys === 0
      ? 'no keys were seen'
      : `${percent(movement.keyShare)} of ${movement.sampledKeys} sampled keys move ` +
        `(${percent(movement.trafficShare)} of the traffic)`
  return {
    kind: 'partitions-grow',
    confirmWord: topic,
    summary: isDone
      ? `${topic} has ${to} partitions already: only the groups are watched until they have settled.`
      : `${topic} grows from ${partitionCount} to ${to} partitions: ${moves}; what is in the log stays where it is.`,
    effects: [
      { what: `topic ${topic}`, before: `${partitionCount} partitions`, after: `${to} partitions` },
      ...movement.examples.map(({ key, from, to: after, unread }) => ({
        what: `key ${key}`,
        before: String(from),
        after: String(after),
        ...(unread > 0 ? { note: `${unread} records unread` } : {})
      })),
      ...groups.map(group => groupEffect(group, request.isPreCommitted === true))
    ],
    warnings: [...topicWarnings(facts), ...growWarnings(request, grown)],
    blockers: isDone ? [] : blockersOf(request, grown),
    undo: {
      kind: 'impossible',
      reason:
        `Kafka cannot take partitions away; comporta partitions migrate ${topic} --to ${partitionCount} ` +
        'moves to a new topic'
    }
  }
}

function groupEffect(group: ScannedGroup, isPreCommitted: boolean): ChangePlan['effects'][number] {
  const count = group.members?.length ?? 0
  if (count === 0)
    return {
      what: `group ${group.groupId}`,
      before: 'no members',
      after: isPreCommitted ? 'offset 0 committed for new partitions' : 'nothing',
      note: isPreCommitted ? 'reads new partitions from their start' : '--pre-commit commits 0 for new partitions'
    }
  return {
    what: `group ${group.groupId}`,
    before: counted(count, 'member'),
    after: 'one rebalance',
    note: rebalanceText(group)
  }
}

function blockersOf(request: GrowRequest, { facts, movement, need, to }: GrownTopic): string[] {
  const { topic, partitionCount } = facts
  const blockers: string[] = []
  if (to < partitionCount)
    blockers.push(
      `${topic} has ${partitionCount} partitions, and they cannot become fewer: migrate to a new topic instead`
    )
  if (need.kind !== 'needed' && request.forceNeed === undefined)
    blockers.push(
      `the need is ${need.kind === 'unknown' ? 'not known' : 'not confirmed'}: ${need.advice} (--force-need <reason>)`
    )
  if (movement.movedKeys > 0 && request.isOrderBreakAccepted !== true && request.isDrainedFirst !== true)
    blockers.push(
      `records have keys, and of those that move, new records may be read before old ones (${movement.recordsAtRisk} ` +
        `unread records of ${movement.keysAtRisk} sampled keys now): comporta partitions migrate ${topic} --to ` +
        `${to} keeps ` +
        'the order; --drain-first keeps it with producers stopped; --accept-order-break goes on'
    )
  for (const { reason, count, isHard } of request.caps ?? [])
    if (isHard && to > count) blockers.push(`${to} partitions are above ${reason}: this topic may have ${count}`)
  return blockers
}

function growWarnings(request: GrowRequest, { facts, movement, need, sample, to }: GrownTopic): string[] {
  const warnings = latestWarning(facts)
  if (request.forceNeed !== undefined && need.kind !== 'needed')
    warnings.push(`the need is not confirmed (${need.advice}); forced because: ${request.forceNeed}`)
  if (movement.movedBetweenOld > 0)
    warnings.push(
      `${to} is no multiple of ${facts.partitionCount}: ${movement.movedBetweenOld} sampled keys move between ` +
        'partitions of today'
    )
  if (movement.foreignKeys > 0)
    warnings.push(
      `${movement.foreignKeys} sampled keys lie where murmur2 does not put them: another partitioner writes ` +
        'here, or the ' +
        'topic has grown before; what is said of keys holds for murmur2'
    )
  if (!sample.isComplete) warnings.push('the sample of keys is not complete: it took too long')
  for (const { reason, count, isHard } of request.caps ?? [])
    if (!isHard && to > count)
      warnings.push(`${to} partitions are above ${reason}: this topic should have ${count} at most`)
  const steps = stepsOf(request, facts.partitionCount, to)
  if (steps.length > 1)
    warnings.push(`it grows in ${steps.length} steps (${steps.join(', ')}): keys move with each of them`)
  return warnings
}

/** The counts that a growth goes through. */
export function stepsOf(
  {
    isServerless = false,
    stepMax = isServerless ? SERVERLESS_CREATES_MAX : Number.POSITIVE_INFINITY
  }: Pick<GrowRequest, 'isServerless' | 'stepMax'>,
  from: number,
  to: number
): number[] {
  const steps: number[] = []
  for (let count = from; count < to;) steps.push((count = Math.min(to, count + Math.max(1, stepMax))))
  return steps
}

interface RunParts {
  readonly admin: Admin
  readonly facts: TopicFacts
  readonly to: number
}

class GrowthRun {
  readonly #request: GrowRequest
  readonly #admin: Admin
  readonly #before: TopicFacts
  readonly #to: number

  constructor(request: GrowRequest, { admin, facts, to }: RunParts) {
    this.#request = request
    this.#admin = admin
    this.#before = facts
    this.#to = to
  }

  async run(context: ApplyContext): Promise<ChangeResult> {
    const { topic } = this.#before
    const say = (text: string): void => context.onProgress?.(text)
    if (this.#request.isDrainedFirst === true && this.#to > this.#before.partitionCount) {
      context.onStep?.('drain')
      const left = await this.#untilDrained(context)
      if (left !== undefined) return failed(`${topic} was not grown`, left)
    }
    const { isServerless = false, stepPauseMs = isServerless ? SERVERLESS_CREATES_WINDOW_MS : 0 } = this.#request
    let count = this.#before.partitionCount
    context.onStep?.('alter')
    for (const [index, next] of stepsOf(this.#request, count, this.#to).entries()) {
      if (index > 0) {
        say(`waiting ${Math.round(stepPauseMs / 1000)} s before the next step`)
        await sleep(this.#request.cluster.clock, stepPauseMs, context.signal)
      }
      if (context.signal?.aborted === true)
        return failed(`${topic} has ${count} partitions`, 'stopped: the same command goes on')
      await this.#alter(next)
      count = next
      say(`${topic} has ${next} partitions`)
      const leaderless = await this.#untilLed(next, context)
      if (leaderless !== undefined) return failed(`${topic} has ${count} partitions`, leaderless)
    }
    const failures = this.#request.isPreCommitted === true ? await this.#preCommit(say) : []
    return await this.#watch(context, failures)
  }

  /** @returns Why it is not drained. */
  async #untilDrained({ onProgress, signal }: ApplyContext): Promise<string | undefined> {
    const { cluster, topic, quietMs = defaults.quietMs, drainMaxMs = defaults.drainMaxMs } = this.#request
    const { intervalMs = defaults.intervalMs } = this.#request
    const deadlineMs = cluster.clock.monotonicMs() + drainMaxMs
    let ends = ''
    let sinceMs = cluster.clock.monotonicMs()
    for (let left = 0n; signal?.aborted !== true; await sleep(cluster.clock, intervalMs, signal)) {
      const facts = await readTopicFacts(cluster, this.#admin, topic)
      const nowMs = cluster.clock.monotonicMs()
      const seen = facts.scanned.partitions.map(({ highWatermark }) => highWatermark).join()
      if (seen !== ends) sinceMs = nowMs
      ends = seen
      left = facts.groups.reduce((sum, group) => sum + unreadOf(facts, group), 0n)
      const isQuiet = nowMs - sinceMs >= quietMs
      if (isQuiet && left === 0n) return undefined
      const state = isQuiet ? 'producers are still' : 'producers still write: stop them'
      if (nowMs > deadlineMs) return `not drained in time: ${state}, ${left} records unread`
      onProgress?.(`draining: ${state}, ${left} records unread`)
    }
    return 'stopped while draining: nothing was changed'
  }

  async #alter(count: number): Promise<void> {
    const { topic } = this.#request
    const [result] = await this.#admin.createPartitions([{ topic, partitionCount: count }])
    if (result?.errorName === 'NONE') return
    // An answer that was lost may have done it: the count says so.
    const { topics } = await this.#admin.describeTopics([topic])
    if ((topics[0]?.partitions.length ?? 0) >= count) return
    const { errorName = 'no answer', errorMessage } = result ?? {}
    throw new PipelineError('ERR_OPS_REFUSED', `${topic} was not grown: ${errorName} ${errorMessage ?? ''}`.trimEnd())
  }

  /** @returns Which partitions have no leader after the longest wait. */
  async #untilLed(count: number, { signal }: ApplyContext): Promise<string | undefined> {
    const { cluster, topic, unstableMaxMs = defaults.unstableMaxMs } = this.#request
    const deadlineMs = cluster.clock.monotonicMs() + unstableMaxMs
    for (;;) {
      const { topics } = await this.#admin.describeTopics([topic])
      const led = (topics[0]?.partitions ?? []).filter(({ leaderId }) => leaderId >= 0).length
      if (led >= count) return undefined
      if (cluster.clock.monotonicMs() > deadlineMs || signal?.aborted === true)
        return `${led} of ${count} partitions have a leader: look at the brokers`
      await sleep(cluster.clock, 200, signal)
    }
  }

  /**
   * Commits 0 for partitions that a group without members has never seen. Live groups refuse it (UNKNOWN_MEMBER_ID).
   */
  async #preCommit(say: (text: string) => void): Promise<string[]> {
    const { cluster, topic } = this.#request
    const facts = await readTopicFacts(cluster, this.#admin, topic)
    const failures: string[] = []
    for (const { groupId, members = [], offsets } of facts.groups) {
      const known = offsets.filter(each => each.topic === topic).map(({ partition }) => partition)
      if (members.length > 0 || known.length === 0) continue
      const fresh = facts.scanned.partitions.filter(({ partition }) => partition > Math.max(...known))
      if (fresh.length === 0) continue
      const altered = await this.#admin.alterGroupOffsets(
        groupId,
        fresh.map(({ partition }) => ({ topic, partition, offset: 0n }))
      )
      const refused = altered.filter(({ errorCode }) => errorCode !== 0).length
      if (refused > 0)
        failures.push(`group ${groupId}: offset 0 was refused for ${refused} new partitions; a member has joined`)
      else say(`group ${groupId}: offset 0 committed for ${fresh.length} new partitions`)
    }
    return failures
  }

  async #watch({ onProgress, onStep, signal }: ApplyContext, failures: readonly string[]): Promise<ChangeResult> {
    onStep?.('watch')
    const { cluster, topic, intervalMs = defaults.intervalMs } = this.#request
    const { quietMs = defaults.quietMs, unstableMaxMs = defaults.unstableMaxMs } = this.#request
    const { settleMaxMs = defaults.settleMaxMs, lagGainMax = defaults.lagGainMax } = this.#request
    const startedMs = cluster.clock.monotonicMs()
    const sizes = { partitionsBefore: this.#before.partitionCount, partitionsAfter: this.#to }
    const rule = { ...sizes, quietMs, unstableMaxMs, settleMaxMs, lagGainMax }
    const watch = new GrowthWatch(rule, watchLookOf(this.#before, startedMs))
    let said = ''
    while (signal?.aborted !== true) {
      const facts = await this.#factsOrReason()
      if (typeof facts === 'string') {
        onProgress?.(`watching: the cluster does not answer: ${facts}`)
        if (cluster.clock.monotonicMs() - startedMs > settleMaxMs) return failed(`${topic} was grown`, facts)
        await sleep(cluster.clock, intervalMs, signal)
        continue
      }
      const verdict = watch.look(watchLookOf(facts, cluster.clock.monotonicMs()))
      if (verdict.kind !== 'wait')
        return this.#end(verdict, { failures, tookMs: cluster.clock.monotonicMs() - startedMs })
      const text = verdict.reasons.join('; ')
      if (text !== said) onProgress?.(`watching: ${text}`)
      said = text
      await sleep(cluster.clock, intervalMs, signal)
    }
    return failed(`${topic} has ${this.#to} partitions`, 'stopped while watching: the same command watches again')
  }

  /** A cluster that is away for a moment does not end the watch. */
  async #factsOrReason(): Promise<TopicFacts | string> {
    try {
      return await readTopicFacts(this.#request.cluster, this.#admin, this.#request.topic)
    } catch (error) {
      if (!isRetriable(error)) throw error
      return messageOf(error)
    }
  }

  #end(
    verdict: WatchVerdict,
    { failures, tookMs }: { readonly failures: readonly string[]; readonly tookMs: number }
  ): ChangeResult {
    const { topic } = this.#request
    const groups = verdict.groups.map(({ groupId, rebalanceMs, lag }) => ({ groupId, rebalanceMs, lag: String(lag) }))
    const details: Json = { topic, partitions: this.#to, verdict: verdict.kind, tookMs, groups }
    const rebalance = verdict.groups.map(
      ({ groupId, rebalanceMs }) => `${groupId} ${(rebalanceMs / 1000).toFixed(1)} s`
    )
    const isSettled = verdict.kind === 'settled'
    const state = isSettled ? `settled after ${(tookMs / 1000).toFixed(1)} s` : 'not settled'
    const pause = rebalance.length === 0 ? '' : ` Rebalance, as far as it was seen: ${rebalance.join(', ')}.`
    const summary = `${topic} has ${this.#to} partitions, ${state}.${pause}`
    return { isComplete: isSettled, summary, failures: [...failures, ...verdict.reasons], details }
  }
}

function watchLookOf(facts: TopicFacts, atMs: number): WatchLook {
  return {
    atMs,
    groups: facts.groups.map(group => ({ groupId: group.groupId, look: settleLookOf(facts, group, atMs) }))
  }
}

function unreadOf(facts: TopicFacts, group: ScannedGroup): bigint {
  const { partitions } = settleLookOf(facts, group, 0)
  return partitions.reduce((sum, { committed, logStart, end }) => {
    const from = committed === undefined || committed < logStart ? logStart : committed
    return end > from ? sum + end - from : sum
  }, 0n)
}

function failed(summary: string, failure: string): ChangeResult {
  return { isComplete: false, summary: `${summary}.`, failures: [failure] }
}
