/**
 * Step 4 of the playbook: the rebalance after a growth, with what stops the playbook. Pure: fed one look after another.
 *
 * A growth that was done cannot be taken back, so a stop means: no further step, and a person looks. It stops when
 * partitions stay without a leader, a group does not become stable, loses members, or falls behind by more than was
 * allowed, and when it has not settled in time.
 */

import { SettleJudge, type SettleLook, type SettleVerdict } from './settled.ts'

/** Limits of the watch. Times in milliseconds. */
export interface WatchRule {
  readonly partitionsBefore: number
  readonly partitionsAfter: number
  /** Owners have to stay the same for so long. */
  readonly quietMs: number
  /** Longest time that a group may be in a rebalance, or miss members, and a partition be without a leader. */
  readonly unstableMaxMs: number
  /** Longest time until all have settled. */
  readonly settleMaxMs: number
  /** Records that the lag of a group may gain from the first look on. */
  readonly lagGainMax: bigint
}

/** One look at all groups of a topic. */
export interface WatchLook {
  /** Of the monotonic clock, in milliseconds. */
  readonly atMs: number
  readonly groups: readonly { readonly groupId: string; readonly look: SettleLook }[]
}

/** What is said of a group. */
export interface WatchedGroup extends SettleVerdict {
  readonly groupId: string
  readonly lag: bigint
}

/** What follows from the looks so far. */
export interface WatchVerdict {
  readonly kind: 'wait' | 'settled' | 'stop'
  /** What is missing, or why it stops; with what to do. */
  readonly reasons: readonly string[]
  readonly groups: readonly WatchedGroup[]
}

/** What a group was like at the first look, and since when something is wrong with it. */
interface Watched {
  readonly judge: SettleJudge
  readonly members: number
  readonly lag: bigint
  unstableSinceMs: number | undefined
  fewerSinceMs: number | undefined
  leaderlessSinceMs: number | undefined
}

/** Share of what comes that a group may gain in lag over the quiet time and still count as settled. */
const LAG_GROWTH_MAX = 0.1

/** Judges looks as they come. */
export class GrowthWatch {
  readonly #rule: WatchRule
  readonly #groups = new Map<string, Watched>()
  #startedMs: number | undefined

  /** @param before - Groups as they were before the growth: members and lag are compared with these. */
  constructor(rule: WatchRule, before: WatchLook) {
    this.#rule = rule
    for (const { groupId, look } of before.groups) this.#groups.set(groupId, this.#watched(look))
  }

  /** Takes a look and judges all so far. */
  look({ atMs, groups }: WatchLook): WatchVerdict {
    this.#startedMs ??= atMs
    const judged = groups.map(({ groupId, look }) => {
      let watched = this.#groups.get(groupId)
      if (watched === undefined) this.#groups.set(groupId, (watched = this.#watched(look)))
      const stop = this.#stopOf(groupId, watched, look)
      return { stop, group: { groupId, lag: lagOf(look), ...watched.judge.look(look) } }
    })
    const all = judged.map(({ group }) => group)
    const stops = judged.flatMap(({ stop }) => stop ?? [])
    if (stops.length > 0) return { kind: 'stop', reasons: stops, groups: all }
    const missing = all.flatMap(({ groupId, missing }) => missing.map(text => `${groupId}: ${text}`))
    if (missing.length === 0) return { kind: 'settled', reasons: [], groups: all }
    if (atMs - this.#startedMs > this.#rule.settleMaxMs) {
      const late =
        `not settled after ${seconds(this.#rule.settleMaxMs)}: look at what is missing, nothing has ` +
        'to be taken back'
      return { kind: 'stop', reasons: [late, ...missing], groups: all }
    }
    return { kind: 'wait', reasons: missing, groups: all }
  }

  #watched(look: SettleLook): Watched {
    const { partitionsBefore, partitionsAfter, quietMs } = this.#rule
    return {
      judge: new SettleJudge({ partitionsBefore, partitionsAfter, quietMs, lagGrowthMax: LAG_GROWTH_MAX }),
      members: look.memberCount,
      lag: lagOf(look),
      unstableSinceMs: undefined,
      fewerSinceMs: undefined,
      leaderlessSinceMs: undefined
    }
  }

  #stopOf(groupId: string, watched: Watched, look: SettleLook): string | undefined {
    const { unstableMaxMs, lagGainMax } = this.#rule
    const { atMs } = look
    const leaderless = look.partitions.filter(({ hasLeader }) => !hasLeader).map(({ partition }) => partition)
    watched.leaderlessSinceMs = leaderless.length === 0 ? undefined : (watched.leaderlessSinceMs ?? atMs)
    watched.unstableSinceMs =
      look.state === 'Stable' || look.memberCount === 0 ? undefined : (watched.unstableSinceMs ?? atMs)
    watched.fewerSinceMs = look.memberCount >= watched.members ? undefined : (watched.fewerSinceMs ?? atMs)
    const isOver = (sinceMs: number | undefined): boolean => sinceMs !== undefined && atMs - sinceMs > unstableMaxMs
    const forLong = `for more than ${seconds(unstableMaxMs)}`
    if (isOver(watched.leaderlessSinceMs))
      return `partitions ${leaderless.join(', ')} have no leader ${forLong}: look at the brokers before anything else`
    if (isOver(watched.fewerSinceMs))
      return (
        `${groupId} has ${look.memberCount} of ${watched.members} members ${forLong}: consumers have ` +
        'failed; their log says why'
      )
    if (isOver(watched.unstableSinceMs))
      return (
        `${groupId} is ${look.state} ${forLong}: stop deploys and scaling, find the member that does not ` +
        'join again'
      )
    const gained = lagOf(look) - watched.lag
    if (gained > lagGainMax)
      return (
        `${groupId} fell behind by ${gained} records since the growth, more than ${lagGainMax}: look at ` +
        'the target and the consumers'
      )
    return undefined
  }
}

function lagOf({ partitions }: SettleLook): bigint {
  return partitions.reduce((sum, { committed, logStart, end }) => {
    const from = committed === undefined || committed < logStart ? logStart : committed
    return end > from ? sum + end - from : sum
  }, 0n)
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(0)} s`
}
