/**
 * Step 5 of the playbook: has a group settled after a growth? Pure: fed one look after another.
 *
 * Settled means: the group is `Stable`, every partition has a leader and one owner, who owns what has not changed for a
 * quiet time, the lag of the whole has not grown over it, and every new partition makes progress or is empty. A group
 * without members cannot settle and is not waited for: its next member starts with whatever the counts are then.
 */

import { seconds } from '../words/counted.ts'

/** What one look at a group shows of a topic. */
export interface SettleLook {
  /** Of the monotonic clock, in milliseconds. */
  readonly atMs: number
  /** Kafka's word for the state of the group. */
  readonly state: string
  readonly memberCount: number
  readonly partitions: readonly SettlePartition[]
}

/** One partition in a look. */
export interface SettlePartition {
  readonly partition: number
  readonly hasLeader: boolean
  /** Member id; empty = nobody. */
  readonly owner: string
  /** Next record to read; `undefined` = nothing committed. */
  readonly committed: bigint | undefined
  readonly logStart: bigint
  readonly end: bigint
}

/** What is asked for. */
export interface SettleRule {
  readonly partitionsBefore: number
  readonly partitionsAfter: number
  /** Time without a change of owners, in milliseconds. */
  readonly quietMs: number
  /** Records that the lag may gain over the quiet time, as a share of what came meanwhile, 0 to 1. */
  readonly lagGrowthMax: number
}

/** What is said of it. */
export interface SettleVerdict {
  readonly isSettled: boolean
  /** What is still missing, one each. */
  readonly missing: readonly string[]
  /** How long owners have not changed, in milliseconds. */
  readonly quietForMs: number
  /**
   * Time from the first look in which the group was not stable to the last such one, in milliseconds: the rebalance.
   */
  readonly rebalanceMs: number
}

/** Judges looks as they come. */
export class SettleJudge {
  readonly #rule: SettleRule
  #owners = ''
  #quietSince: SettleLook | undefined
  #unstableFromMs: number | undefined
  #unstableToMs = 0

  constructor(rule: SettleRule) {
    this.#rule = rule
  }

  /** Takes a look and judges all so far. */
  look(look: SettleLook): SettleVerdict {
    const isStable = look.state === 'Stable'
    if (!isStable && look.memberCount > 0) {
      this.#unstableFromMs ??= look.atMs
      this.#unstableToMs = look.atMs
    }
    const owners = look.partitions.map(({ partition, owner }) => `${partition}=${owner}`).join()
    if (owners !== this.#owners || !isStable || this.#quietSince === undefined) {
      this.#owners = owners
      this.#quietSince = look
    }
    const quietForMs = look.atMs - this.#quietSince.atMs
    const missing = this.#missingIn(look, this.#quietSince)
    const rebalanceMs = this.#unstableFromMs === undefined ? 0 : this.#unstableToMs - this.#unstableFromMs
    return { isSettled: missing.length === 0, missing, quietForMs, rebalanceMs }
  }

  #missingIn(look: SettleLook, since: SettleLook): string[] {
    const { partitionsBefore, partitionsAfter, quietMs } = this.#rule
    const missing: string[] = []
    const name = (which: readonly SettlePartition[]): string => which.map(({ partition }) => partition).join(', ')
    const { length } = look.partitions
    if (length < partitionsAfter) missing.push(`${length} of ${partitionsAfter} partitions are there`)
    const leaderless = look.partitions.filter(({ hasLeader }) => !hasLeader)
    if (leaderless.length > 0) missing.push(`no leader: ${name(leaderless)}`)
    if (look.memberCount === 0) return missing
    if (look.state !== 'Stable') missing.push(`the group is ${look.state}`)
    const unowned = look.partitions.filter(({ owner }) => owner === '')
    if (unowned.length > 0) missing.push(`nobody owns ${name(unowned)}`)
    const still = look.partitions.filter(each => each.partition >= partitionsBefore && isWaiting(each))
    if (still.length > 0) missing.push(`nothing was read of ${name(still)}`)
    const quietFor = look.atMs - since.atMs
    if (quietFor < quietMs) missing.push(`owners have not changed for ${seconds(quietFor)} of ${seconds(quietMs)}`)
    else {
      const growth = this.#lagGrowth(look, since)
      if (growth !== undefined) missing.push(growth)
    }
    return missing
  }

  #lagGrowth(look: SettleLook, since: SettleLook): string | undefined {
    const gained = lagOf(look) - lagOf(since)
    const came = sum(look.partitions, ({ end }) => end) - sum(since.partitions, ({ end }) => end)
    if (gained <= 0n || Number(gained) <= Number(came) * this.#rule.lagGrowthMax) return undefined
    return `lag grew by ${gained} records while ${came} came`
  }
}

function isWaiting({ committed, logStart, end }: SettlePartition): boolean {
  return end > logStart && (committed === undefined || committed <= logStart)
}

function lagOf(look: SettleLook): bigint {
  return sum(look.partitions, ({ committed, logStart, end }) => end - (committed ?? logStart))
}

function sum(partitions: readonly SettlePartition[], of: (partition: SettlePartition) => bigint): bigint {
  return partitions.reduce((total, partition) => total + of(partition), 0n)
}
