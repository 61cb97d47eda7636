/**
 * A group, its partitions and a fleet, in virtual time: enough of both for a decision to have consequences. Records
 * are numbers; an instance takes `rate` a second, a partition at most `partitionRate`; while the group rebalances
 * nobody takes anything.
 */

import { decide, stepTaken } from '../../../src/ops/scale/decide.ts'
import {
  EMPTY_SCALE_STATE,
  type ScaleDecision,
  type ScaleObservation,
  type ScalePartition,
  type ScalePolicy,
  type ScaleState,
  type TargetHealth
} from '../../../src/ops/scale/scale-types.ts'

export interface WorldOptions {
  readonly policy: ScalePolicy
  readonly partitions: number
  readonly instances: number
  /** Records per second for the whole group, by second. */
  readonly arrival: (second: number) => number
  /** Records per second that an instance takes, by second. */
  readonly rate: (second: number) => number
  /** Most that a partition gives, records per second. Default: no limit. */
  readonly partitionRate?: number
  /** Share of the arrivals of each partition. Default: the same. */
  readonly shares?: readonly number[]
  readonly rebalanceSeconds?: number
  readonly startSeconds?: number
  readonly target?: (second: number) => TargetHealth | undefined
  /** Seconds in which the group rebalances by itself. */
  readonly storm?: (second: number) => boolean
  readonly periodSeconds?: number
}

const startMs = 1_700_000_000_000

export class ScaleWorld {
  readonly #options: WorldOptions
  readonly #backlog: number[]
  readonly #arrived: number[]
  readonly #served: number[]
  readonly #looks: { second: number; arrived: readonly number[]; served: readonly number[] }[] = []
  readonly decisions: ScaleDecision[] = []
  readonly sizes: { second: number; from: number; to: number }[] = []
  readonly lags: { second: number; records: number; seconds: number }[] = []
  state: ScaleState = EMPTY_SCALE_STATE
  second = 0
  instances: number
  #wanted: number
  #readySecond = 0
  #rebalanceUntil = 0

  constructor(options: WorldOptions) {
    this.#options = options
    this.instances = options.instances
    this.#wanted = options.instances
    const zeros = (): number[] => Array.from({ length: options.partitions }, () => 0)
    this.#backlog = zeros()
    this.#arrived = zeros()
    this.#served = zeros()
  }

  /** Runs to a second; decides every period and does what was decided. */
  runTo(second: number): void {
    const { periodSeconds = 15, policy } = this.#options
    for (; this.second < second; this.second += 1) {
      this.#live()
      if (this.second % periodSeconds !== 0) continue
      const observation = this.observe()
      const { decision, state } = decide({ observation, state: this.state, policy }, observation.atMs)
      this.state = state
      this.decisions.push(decision)
      if (decision.action !== 'resize' || decision.to === undefined) continue
      this.sizes.push({ second: this.second, from: this.#wanted, to: decision.to })
      this.state = stepTaken(state, decision, observation)
      this.resize(decision.to)
    }
  }

  /** The fleet is asked for another size; instances need time to come. */
  resize(count: number): void {
    const { startSeconds = 30, rebalanceSeconds = 15 } = this.#options
    const isGrowth = count > this.instances
    this.#wanted = count
    this.#readySecond = this.second + (isGrowth ? startSeconds : 0)
    this.#rebalanceUntil = Math.max(this.#rebalanceUntil, this.#readySecond + rebalanceSeconds)
  }

  /** A pause of everything, as after a deploy that takes all at once. */
  disturb(seconds: number): void {
    this.#rebalanceUntil = Math.max(this.#rebalanceUntil, this.second + seconds)
  }

  get backlog(): number {
    return this.#backlog.reduce((sum, each) => sum + each, 0)
  }

  observe(): ScaleObservation {
    const { partitions, target } = this.#options
    const now = { second: this.second, arrived: [...this.#arrived], served: [...this.#served] }
    this.#looks.push(now)
    // Rates over the last four looks, as the monitor of the lag gives them.
    const before = this.#looks.slice(-5)[0] ?? now
    const span = now.second - before.second
    const rateOf = (values: readonly number[], old: readonly number[], index: number): number | undefined =>
      span === 0 ? undefined : ((values[index] ?? 0) - (old[index] ?? 0)) / span
    const arrival = this.#options.arrival(this.second)
    const seen = Array.from({ length: partitions }, (_, index): ScalePartition => {
      const records = Math.round(this.#backlog[index] ?? 0)
      return {
        topic: 'mt-c400',
        partition: index,
        owner: `m${index % this.instances}`,
        lagRecords: records,
        lagSeconds: records === 0 ? 0 : records / Math.max(1, arrival * this.#shareOf(index)),
        arrivalRate: rateOf(now.arrived, before.arrived, index),
        serviceRate: rateOf(now.served, before.served, index)
      }
    })
    const lagSeconds = Math.max(...seen.map(each => each.lagSeconds ?? 0))
    this.lags.push({ second: this.second, records: this.backlog, seconds: lagSeconds })
    return {
      atMs: startMs + this.second * 1000,
      wanted: this.#wanted,
      running: this.instances,
      groupState: this.#isRebalancing() ? 'PreparingRebalance' : 'Stable',
      members: Array.from({ length: this.instances }, (_, index) => `m${index}`),
      partitions: seen,
      target: target?.(this.second),
      problems: []
    }
  }

  #isRebalancing(): boolean {
    const isMoving = this.second >= this.#readySecond && this.second < this.#rebalanceUntil
    return isMoving || this.#options.storm?.(this.second) === true
  }

  #shareOf(index: number): number {
    return this.#options.shares?.[index] ?? 1 / this.#options.partitions
  }

  #live(): void {
    const { arrival, rate, partitions, partitionRate = Number.POSITIVE_INFINITY } = this.#options
    if (this.second >= this.#readySecond) this.instances = this.#wanted
    for (let index = 0; index < partitions; index += 1) {
      const records = arrival(this.second) * this.#shareOf(index)
      this.#arrived[index] = (this.#arrived[index] ?? 0) + records
      this.#backlog[index] = (this.#backlog[index] ?? 0) + records
    }
    if (this.#isRebalancing()) return
    for (let instance = 0; instance < this.instances; instance += 1)
      this.#serve(instance, rate(this.second), partitionRate)
  }

  /** The emptiest partitions first, so that what they leave goes to the others. */
  #serve(instance: number, rate: number, partitionRate: number): void {
    const own = [...this.#backlog.keys()].filter(index => index % this.instances === instance)
    own.sort((a, b) => (this.#backlog[a] ?? 0) - (this.#backlog[b] ?? 0))
    let left = rate
    for (const [position, index] of own.entries()) {
      const waiting = this.#backlog[index] ?? 0
      const taken = Math.min(waiting, left / (own.length - position), partitionRate)
      this.#backlog[index] = waiting - taken
      this.#served[index] = (this.#served[index] ?? 0) + taken
      left -= taken
    }
  }
}
