/**
 * Looks, decides and, if it may, acts: once each period, until it is told to end.
 *
 * The decision is pure; here are the clock, Kafka, the fleet and the file. What
 * is remembered is written before a step is asked for and after it was taken, so
 * that a process that is killed in between does not forget its pause.
 */

import { Admin, type Cluster, type GroupDescription } from '../../client/index.ts'
import { briefMessageOf, type Clock, sleep } from '../../core/index.ts'
import type { FleetActuator, FleetSize } from '../fleet/fleet.ts'
import { lockHolder } from '../fleet/fleet-lock.ts'
import { writeState } from '../fleet/json-state.ts'
import { LagMonitor } from '../lag/lag-monitor.ts'
import type { GroupLag } from '../lag/lag-types.ts'
import { decide, stepTaken } from './decide.ts'
import { observationOf } from './observe.ts'
import {
  EMPTY_SCALE_STATE,
  type ScaleDecision,
  type ScaleObservation,
  type ScalePolicy,
  type ScaleState
} from './scale-types.ts'
import { readScaleState } from './state-file.ts'
import { TargetWatch } from './target-health.ts'
import { guardedLook } from '../fleet/guarded.ts'

/** Options of `Scaler`. */
export interface ScalerOptions {
  readonly cluster: Cluster
  readonly group: string
  /** Only these topics. Default: all that the group reads. */
  readonly topics?: readonly string[]
  readonly isReadCommitted?: boolean
  readonly policy: ScalePolicy
  /** Time between two looks, in seconds. */
  readonly periodSeconds: number
  /** Absent = nobody keeps the instances: the members of the group are their number, and nothing can be changed. */
  readonly fleet?: FleetActuator | undefined
  /** Pages of the dispatchers' metrics. */
  readonly metricsUrls?: () => readonly string[]
  /** File of what is remembered. Absent = nothing is, beyond this process. */
  readonly stateFile?: string
  /** Lock of a rollout: while somebody holds it, the fleet is left alone. */
  readonly rolloutLock?: string
  /** Carries a decision out; absent = a dry run. Throws if it cannot. */
  readonly apply?: (decision: ScaleDecision, signal: AbortSignal | undefined) => Promise<void>
  readonly clock: Clock
}

/** What one look came to. */
export interface ScaleLook {
  readonly decision: ScaleDecision
  readonly observation: ScaleObservation
  readonly isApplied: boolean
  /** Why a step could not be taken. */
  readonly problem?: string
}

/** See the module. */
export class Scaler {
  readonly #options: ScalerOptions
  readonly #monitor: LagMonitor
  readonly #admin: Admin
  readonly #watch: TargetWatch
  #state: ScaleState | undefined

  constructor(options: ScalerOptions) {
    this.#options = options
    const { cluster, clock, group, topics, isReadCommitted, policy, periodSeconds } = options
    this.#admin = new Admin(cluster)
    this.#watch = new TargetWatch(clock)
    // Rates over the time that a group must be settled for: none of an older size is in them.
    const windowSize = Math.min(1000, Math.max(2, Math.round(policy.measureSeconds / periodSeconds) + 1))
    this.#monitor = new LagMonitor({
      cluster,
      clock,
      windowSize,
      groups: [group],
      withRetention: false,
      ...(topics === undefined ? {} : { topics }),
      ...(isReadCommitted === undefined ? {} : { isReadCommitted })
    })
  }

  /** What is remembered. */
  get state(): ScaleState {
    return this.#state ?? EMPTY_SCALE_STATE
  }

  /**
   * Looks and decides every period until the signal aborts.
   *
   * @param onLook - Hears of each; what it throws ends the loop.
   * @throws PipelineError `ERR_OPS_SCALE_STATE` if what is remembered cannot be read or written.
   */
  async run(onLook: (look: ScaleLook) => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const startedMs = this.#options.clock.monotonicMs()
      const look = await this.look(signal)
      if (signal.aborted) return
      onLook(look)
      const tookMs = this.#options.clock.monotonicMs() - startedMs
      await sleep(this.#options.clock, Math.max(0, this.#options.periodSeconds * 1000 - tookMs), signal)
    }
  }

  /** One look and its decision, carried out where that is allowed. */
  async look(signal?: AbortSignal): Promise<ScaleLook> {
    const { policy, apply, clock } = this.#options
    this.#state ??= await this.#readState()
    const observation = await this.#observe(signal)
    const { decision, state } = decide({ observation, state: this.#state, policy }, clock.now())
    this.#state = state
    if (decision.action === 'hold' || apply === undefined || signal?.aborted === true) {
      await this.#writeState(state)
      return { decision, observation, isApplied: false }
    }
    // Before it is asked for: a process that dies in between must not step again at once.
    const stepped = stepTaken(state, decision, observation)
    await this.#writeState(stepped)
    try {
      await apply(decision, signal)
    } catch (error) {
      // The size is what it was, but whoever could not do it shall not be asked every few seconds: the pause holds.
      this.#state = { ...stepped, lastWanted: decision.from ?? 0 }
      await this.#writeState(this.#state)
      return { decision, observation, isApplied: false, problem: briefMessageOf(error) }
    }
    this.#state = stepped
    return { decision, observation, isApplied: true }
  }

  async #observe(signal: AbortSignal | undefined): Promise<ScaleObservation> {
    const { group: groupId, fleet, clock, metricsUrls } = this.#options
    const problems: string[] = []
    const guarded = guardedLook(problems)
    const [lag, group, asked, target] = await Promise.all([
      guarded('the lag could not be read', () => this.#lag(signal)),
      guarded('the group could not be described', () => this.#describe()),
      fleet === undefined ? undefined : guarded('the fleet does not answer', () => fleet.size(signal)),
      this.#watch.look(metricsUrls?.() ?? [], groupId, signal)
    ])
    const { rolloutLock } = this.#options
    const roller = rolloutLock === undefined ? undefined : await lockHolder(rolloutLock)
    if (roller !== undefined) problems.push(`a rollout is under way: ${roller}`)
    const size = fleet === undefined ? sizeOf(group) : asked
    return observationOf({ atMs: clock.now(), lag, group, size, target, problems })
  }

  async #lag(signal: AbortSignal | undefined): Promise<GroupLag | undefined> {
    const { groups } = await this.#monitor.look(signal)
    return groups.find(({ groupId }) => groupId === this.#options.group)
  }

  async #describe(): Promise<GroupDescription | undefined> {
    const [group] = await this.#admin.describeGroups([this.#options.group])
    return group
  }

  async #readState(): Promise<ScaleState> {
    const { stateFile } = this.#options
    if (stateFile === undefined) return EMPTY_SCALE_STATE
    // Rates are measured anew: those of the first two looks are of one period, in which there may be no commit, or two.
    const { settledSinceMs: _, ...state } = await readScaleState(stateFile)
    return state
  }

  async #writeState(state: ScaleState): Promise<void> {
    // A dry run remembers what it measures, but takes nothing from the one that acts.
    const { stateFile, apply } = this.#options
    if (stateFile !== undefined && apply !== undefined) await writeState(stateFile, state)
  }
}

function sizeOf(group: GroupDescription | undefined): FleetSize | undefined {
  if (group === undefined) return undefined
  const { length } = group.members
  return { wanted: length, running: length, min: undefined, max: undefined }
}
