/**
 * What one member of a group counts of its membership, under the names of Kafka's own consumers: commits, rebalances,
 * and how long partitions that it gives back stand still.
 *
 * A rebalance begins when the member joins, or hears that the group is being planned anew, and has succeeded when it
 * has what it was assigned; it has failed when it ends before that. News of the same rebalance count once.
 */

import type { Clock } from '../core/index.ts'
import { type Meter, noopMeter, observeAll, type Observation, type Observing, Sampled } from '../telemetry/index.ts'
import { type ClientMeters, clientMetersOf } from './client-meters.ts'

/** Whose member it is. */
export interface MeteredMember {
  readonly client: { readonly clientId: string; readonly meter: Meter; readonly clock: Clock }
  readonly groupId: string
  readonly clock: Clock
  readonly heldCount: () => number
  /** When the coordinator last heard of it, in monotonic milliseconds. */
  readonly seenMs: () => number
}

const HOUR_SECONDS = 3600

/** Counts for one member. */
export class MemberMeter {
  readonly #member: MeteredMember
  readonly #client: ClientMeters | undefined
  readonly #commitMs = new Sampled()
  readonly #rebalanceMs = new Sampled()
  readonly #failures = new Sampled()
  readonly #revokedMs = new Sampled()
  readonly #totals = { commits: 0, rebalances: 0, rebalanceMs: 0, failedRebalances: 0 }
  #beganMs: number | undefined
  #rebalancedMs: number | undefined
  #end: () => void = () => undefined

  constructor(member: MeteredMember) {
    this.#member = member
    this.#client = clientMetersOf(member.client)
    if (member.client.meter !== noopMeter) this.#end = observeAll(member.client.meter, this.#observations())
  }

  /** Counts nothing more. Idempotent. */
  close(): void {
    this.#end()
  }

  /** The group is planned anew; again while it is means nothing. */
  rebalanceBegan(): void {
    this.#beganMs ??= this.#member.clock.monotonicMs()
  }

  /** The member has what it was assigned; nothing if no rebalance has begun. */
  rebalanceSucceeded(): void {
    if (this.#beganMs === undefined) return
    const nowMs = this.#member.clock.monotonicMs()
    const tookMs = nowMs - this.#beganMs
    this.#beganMs = undefined
    this.#rebalancedMs = nowMs
    this.#rebalanceMs.record(tookMs, nowMs)
    this.#totals.rebalances += 1
    this.#totals.rebalanceMs += tookMs
  }

  /** A rebalance has ended without that; nothing if there was none. */
  rebalanceFailed(): void {
    if (this.#beganMs === undefined) return
    this.#beganMs = undefined
    this.#totals.failedRebalances += 1
    this.#failures.record(1, this.#member.clock.monotonicMs())
  }

  /** Measures a commit of offsets; `errorOf` says what an answer refuses. Throws what it throws. */
  async commit<T>(run: () => Promise<T>, errorOf: (answer: T) => string | undefined): Promise<T> {
    const { clock, groupId } = this.#member
    const startMs = clock.monotonicMs()
    let error: string | undefined = '_OTHER'
    try {
      const answer = await run()
      error = errorOf(answer)
      return answer
    } catch (cause) {
      error = codeOf(cause)
      throw cause
    } finally {
      const nowMs = clock.monotonicMs()
      this.#totals.commits += 1
      this.#commitMs.record(nowMs - startMs, nowMs)
      this.#client?.committed(groupId, nowMs - startMs, error)
    }
  }

  /** Measures how long partitions that are given back stand still. */
  async revoke<T>(run: () => Promise<T>): Promise<T> {
    const { clock } = this.#member
    const startMs = clock.monotonicMs()
    try {
      return await run()
    } finally {
      const nowMs = clock.monotonicMs()
      this.#revokedMs.record(nowMs - startMs, nowMs)
    }
  }

  #observations(): Observation[] {
    const totals = this.#totals
    const { heldCount, seenMs } = this.#member
    const read = (value: (nowMs: number) => number | undefined): Observing => this.#read(value)
    return [
      { gauge: 'kafka.consumer.commit_latency_avg', read: read(now => this.#commitMs.average(now)) },
      { gauge: 'kafka.consumer.commit_latency_max', read: read(now => this.#commitMs.max(now)) },
      { gauge: 'kafka.consumer.commit_rate', read: read(now => this.#commitMs.countPerSecond(now)) },
      { counter: 'kafka.consumer.commit_total', read: read(() => totals.commits) },
      { gauge: 'kafka.consumer.assigned_partitions', read: read(heldCount) },
      { gauge: 'kafka.consumer.rebalance_latency_avg', read: read(now => this.#rebalanceMs.average(now)) },
      { gauge: 'kafka.consumer.rebalance_latency_max', read: read(now => this.#rebalanceMs.max(now)) },
      { counter: 'kafka.consumer.rebalance_latency_total', read: read(() => totals.rebalanceMs) },
      {
        gauge: 'kafka.consumer.rebalance_rate_per_hour',
        read: read(now => this.#rebalanceMs.countPerSecond(now) * HOUR_SECONDS)
      },
      { counter: 'kafka.consumer.rebalance_total', read: read(() => totals.rebalances) },
      {
        gauge: 'kafka.consumer.failed_rebalance_rate_per_hour',
        read: read(now => this.#failures.countPerSecond(now) * HOUR_SECONDS)
      },
      { counter: 'kafka.consumer.failed_rebalance_total', read: read(() => totals.failedRebalances) },
      { gauge: 'kafka.consumer.last_rebalance_seconds_ago', read: read(now => secondsAgo(this.#rebalancedMs, now)) },
      { gauge: 'kafka.consumer.last_heartbeat_seconds_ago', read: read(now => secondsAgo(seenMs(), now)) },
      { gauge: 'kafka.consumer.partition_revoked_latency_avg', read: read(now => this.#revokedMs.average(now)) },
      { gauge: 'kafka.consumer.partition_revoked_latency_max', read: read(now => this.#revokedMs.max(now)) }
    ]
  }

  #read(value: (nowMs: number) => number | undefined): Observing {
    const { client, groupId, clock } = this.#member
    const attributes = { 'client-id': client.clientId, group: groupId }
    return result => {
      const now = value(clock.monotonicMs())
      if (now !== undefined) result.observe(now, attributes)
    }
  }
}

function secondsAgo(ms: number | undefined, nowMs: number): number {
  return ms === undefined || !Number.isFinite(ms) ? -1 : (nowMs - ms) / 1000
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '_OTHER'
}
