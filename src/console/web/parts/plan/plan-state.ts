/** One change from its plan to its end, as its dialog goes through it. */

import { signal, type Signal } from '@preact/signals'

import type { ApplyRequest, ChangeProgress, PlannedChange, StopRequest } from '../../../api/changes.ts'
import { type ApiProblem, asProblem, getJson, postJson } from '../../base/api.ts'
import { refreshLive } from '../../base/live.ts'

/** Where a dialog is. */
export type PlanPhase =
  | { readonly is: 'planning' }
  | { readonly is: 'refused'; readonly problem: ApiProblem }
  | { readonly is: 'planned'; readonly plan: PlannedChange; readonly problem?: ApiProblem; readonly isBusy?: boolean }
  | { readonly is: 'running'; readonly plan: PlannedChange; readonly progress: ChangeProgress }
  | { readonly is: 'over'; readonly plan: PlannedChange; readonly progress: ChangeProgress }

/** How often progress is asked for, in milliseconds. */
const POLL_MS = 500
/** Questions that may fail one after the other before the dialog says so. */
const FAILURES_MAX = 10

/** A change and what its dialog does with it. */
export interface PlanState {
  readonly phase: Signal<PlanPhase>
  /** Makes the plan, or makes it again. */
  plan(): Promise<void>
  apply(confirm: string, isForced: boolean): Promise<void>
  stop(): Promise<void>
  /** Nobody looks any more; a change that runs goes on. */
  leave(): void
}

/** Begins with planning. `ask` asks the server for a plan; `onDone` is called when a change is over. */
export function createPlanState(ask: () => Promise<PlannedChange>, onDone: () => void): PlanState {
  const phase = signal<PlanPhase>({ is: 'planning' })
  let isLeft = false
  const follow = async (plan: PlannedChange, first: ChangeProgress): Promise<void> => {
    let progress = first
    for (let failures = 0; progress.state === 'running' && failures < FAILURES_MAX;) {
      if (!isLeft) phase.value = { is: 'running', plan, progress }
      await new Promise(resolve => setTimeout(resolve, POLL_MS))
      try {
        progress = await getJson<ChangeProgress>(`/api/change?id=${encodeURIComponent(plan.id)}`)
        failures = 0
      } catch {
        failures += 1
      }
    }
    phase.value = { is: 'over', plan, progress }
    refreshLive()
    onDone()
  }
  return {
    phase,
    plan: async () => {
      phase.value = { is: 'planning' }
      try {
        phase.value = { is: 'planned', plan: await ask() }
      } catch (error) {
        phase.value = { is: 'refused', problem: asProblem(error) }
      }
    },
    apply: async (confirm, isForced) => {
      const now = phase.peek()
      if (now.is !== 'planned') return
      const { plan } = now
      phase.value = { is: 'planned', plan, isBusy: true }
      const request: ApplyRequest = { id: plan.id, confirm, ...(isForced ? { force: true } : {}) }
      try {
        await follow(plan, await postJson<ChangeProgress>('/api/changes/apply', request))
      } catch (error) {
        phase.value = { is: 'planned', plan, problem: asProblem(error) }
      }
    },
    stop: async () => {
      const now = phase.peek()
      if (now.is !== 'running') return
      const request: StopRequest = { id: now.plan.id }
      // What cannot be stopped any more is over, which the next question tells.
      await postJson('/api/changes/stop', request).catch(() => undefined)
    },
    leave: () => {
      isLeft = true
    }
  }
}
