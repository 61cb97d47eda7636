/**
 * Whether a dispatcher takes part: it is in its group, and finishes records while there are any.
 *
 * Records count as finished when they are delivered, put aside, parked, skipped or left out; attempts that fail do not
 * count, nor do heartbeats. A partition that an operator has paused, and a limit of the configured rate, explain a
 * standstill: it is wanted. An open breaker does not, but says so in the reason, and `?tolerate=breaker` lets it pass.
 */

import type { DispatcherDescription } from '../../../dispatcher/index.ts'
import type { Readiness } from '../role-endpoint.ts'
import { ProgressMemory } from './progress.ts'

/** What a dispatcher may take its time for. */
export interface DispatcherLimits {
  /** `progressTimeoutMs` of the configuration. A fifth of it without progress is too long for a probe. */
  readonly progressTimeoutMs: number
  /** Longest time of one invocation of any target, in milliseconds. */
  readonly invocationMs: number
}

/** Share of `progressTimeoutMs`, at whose end the dispatcher gives up by itself, after which it is not ready. */
const SHARE = 0.2

/** The judge of one dispatcher. */
export class DispatcherReadiness {
  readonly #limits: DispatcherLimits
  readonly #memory: ProgressMemory
  readonly #timeoutMs: number
  #last: DispatcherDescription | undefined
  #hasJoined = false
  #outsideSinceMs: number | undefined
  #nowMs = 0

  constructor(limits: DispatcherLimits) {
    this.#limits = limits
    this.#timeoutMs = limits.progressTimeoutMs * SHARE
    this.#memory = new ProgressMemory(this.#timeoutMs)
  }

  /** Time without progress after which it is not ready, in milliseconds. */
  get timeoutMs(): number {
    return this.#timeoutMs
  }

  /** Takes a look. */
  look(now: DispatcherDescription, nowMs: number): void {
    this.#last = now
    this.#nowMs = nowMs
    if (now.member.state === 'stable') {
      this.#hasJoined = true
      this.#outsideSinceMs = undefined
    } else {
      this.#outsideSinceMs ??= nowMs
    }
    const atWork = now.partitions.filter(each => each.fetchPausedBy !== 'operator' && hasWork(each))
    const isInvoking = atWork.some(({ batches }) => batches.some(({ state }) => state === 'invoking'))
    const isSlowedOnly = now.routes.every(({ blockedBy }) => blockedBy === 'rate')
    const { records, deadLettered, parked, skipped, filtered } = now.totals
    this.#memory.look(
      {
        hasWork: atWork.length > 0 && !isSlowedOnly,
        mark: `${records}/${deadLettered}/${parked}/${skipped}/${filtered}`,
        allowanceMs: isInvoking ? this.#limits.invocationMs : 0
      },
      nowMs
    )
  }

  /** The verdict of the last look. */
  verdict(): Readiness {
    const now = this.#last
    if (now === undefined) return no('starting')
    if (now.state !== 'running') return no(`the dispatcher is ${now.state}`)
    const { member, groupId } = now
    if (!this.#hasJoined) return no(`has not joined group ${groupId} yet (${member.state})`)
    const outsideMs = this.#outsideSinceMs === undefined ? 0 : this.#nowMs - this.#outsideSinceMs
    if (outsideMs >= this.#timeoutMs) return no(`not in group ${groupId} for ${seconds(outsideMs)} (${member.state})`)
    const stalled = now.watchdog.partitions.find(each => each.stoodStillMs >= now.watchdog.progressTimeoutMs)
    if (stalled !== undefined) return no(`${stalled.partition} stands still for ${seconds(stalled.stoodStillMs)}`)
    const held = this.#heldReason(now)
    if (!this.#memory.standsStill) return { isReady: true, reason: held ?? 'records are finished as they come' }
    const reason = `no record was finished for ${seconds(this.#memory.stoodStillMs)} although some wait`
    const isTolerable = now.routes.some(({ breaker }) => breaker.state !== 'closed')
    return held === undefined
      ? no(reason)
      : { isReady: false, reason: `${reason}: ${held}`, isBreakerOpen: isTolerable }
  }

  #heldReason({ routes, partitions }: DispatcherDescription): string | undefined {
    const open = routes.filter(({ breaker }) => breaker.state !== 'closed').map(({ target }) => target)
    if (open.length > 0) return `the breaker of ${open.join(', ')} is open`
    const paused = partitions.filter(({ fetchPausedBy }) => fetchPausedBy === 'operator').length
    if (paused > 0) return `an operator has paused ${paused} of ${partitions.length} partitions`
    const blocked = routes.find(({ blockedBy }) => blockedBy === 'commitsLate' || blockedBy === 'rate')
    if (blocked?.blockedBy === 'rate') return 'held back by the configured rate'
    return blocked === undefined ? undefined : 'commits are late'
  }
}

function hasWork({ bufferedBytes, batches }: DispatcherDescription['partitions'][number]): boolean {
  return bufferedBytes > 0 || batches.length > 0
}

function no(reason: string): Readiness {
  return { isReady: false, reason }
}

function seconds(milliseconds: number): string {
  return `${Math.round(milliseconds / 1000)} s`
}
