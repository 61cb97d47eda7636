/** What processes add to the picture: whether they are well, what producers take in, what targets are given. */

import { prometheusName } from '../../../telemetry/index.ts'
import type { HealthLevel } from '../../api/common.ts'
import type { Reason } from '../../api/overview.ts'
import { dispatcherSaid, type DispatcherSaid } from '../../flow/flow-view.ts'
import type { Instance, InstanceLook } from '../../flow/instance-types.ts'
import { reason, worstOf } from '../group-health.ts'

const EVENTS = prometheusName('comporta.producer.events')
const SOURCE_PROBLEMS = prometheusName('comporta.producer.source.problems')

/** How the processes of a role are. */
export interface RoleHealth {
  readonly count: number
  readonly readyCount: number
  /** `undefined` = no process is known. */
  readonly level: HealthLevel | undefined
  readonly reasons: readonly Reason[]
}

/** Looks at the processes of a role. */
export function roleHealth(looks: readonly InstanceLook[], role: Instance['role']): RoleHealth {
  const some = looks.filter(({ instance }) => instance.role === role)
  const reasons: Reason[] = []
  const levels: HealthLevel[] = []
  for (const { instance, isReady, problem, metrics } of some) {
    if (isReady) {
      levels.push('good')
      continue
    }
    const isAway = metrics.length === 0
    levels.push(isAway ? 'bad' : 'warn')
    const text = problem === null ? instance.name : `${instance.name}: ${problem}`
    reasons.push(reason(isAway ? 'instanceAway' : 'instanceNotReady', { text }))
  }
  if (role === 'producer') reasons.push(...sourceProblems(some))
  if (reasons.some(({ key }) => key === 'sourceProblem')) levels.push('warn')
  const level = some.length === 0 ? undefined : worstOf(levels)
  return { count: some.length, readyCount: some.filter(({ isReady }) => isReady).length, level, reasons }
}

function sourceProblems(looks: readonly InstanceLook[]): Reason[] {
  return looks.flatMap(({ metrics }) =>
    metrics
      .filter(({ name, value }) => name === SOURCE_PROBLEMS && value > 0)
      .map(({ labels }) => reason('sourceProblem', { text: labels['source'] ?? '' }))
  )
}

/** The dispatchers of a group, as they describe themselves. */
export function dispatchersOf(looks: readonly InstanceLook[], groupId: string): readonly DispatcherSaid[] {
  return looks.flatMap(look => {
    const said = dispatcherSaid(look)
    return said?.groupId === groupId ? [said] : []
  })
}

/** Events per second of all producers, between the last two times that they were asked. */
export class ProducerRate {
  readonly #before = new Map<string, { readonly takenAtMs: number; readonly events: number }>()
  readonly #rates = new Map<string, number>()

  /** `undefined` = no producer is known, or none was asked twice. */
  get rate(): number | undefined {
    let sum: number | undefined
    for (const rate of this.#rates.values()) sum = (sum ?? 0) + rate
    return sum
  }

  /** Takes note of what processes last said. */
  see(looks: readonly InstanceLook[]): void {
    const producers = looks.filter(({ instance }) => instance.role === 'producer')
    const names = new Set(producers.map(({ instance }) => instance.name))
    for (const name of this.#before.keys()) {
      if (names.has(name)) continue
      this.#before.delete(name)
      this.#rates.delete(name)
    }
    for (const { instance, takenAtMs, metrics } of producers) {
      const before = this.#before.get(instance.name)
      if (before !== undefined && takenAtMs <= before.takenAtMs) continue
      this.#rates.delete(instance.name)
      if (metrics.length === 0) {
        this.#before.delete(instance.name)
        continue
      }
      let events = 0
      for (const { name, value } of metrics) if (name === EVENTS) events += value
      // A process that was started anew counts from zero.
      if (before !== undefined && events >= before.events) {
        this.#rates.set(instance.name, ((events - before.events) * 1000) / (takenAtMs - before.takenAtMs))
      }
      this.#before.set(instance.name, { takenAtMs, events })
    }
  }
}
