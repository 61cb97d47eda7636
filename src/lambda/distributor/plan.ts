/**
 * Where each record of one partition goes, decided before anything is delivered.
 *
 * What must come again for a reason that lies before delivery (another invocation is at it, it could not be enriched,
 * the routing function failed) takes the later records of its key, or of the partition, with it: delivered now, they
 * would overtake it.
 */

import { messageOf } from '../../core/index.ts'
import type { EnrichedPartition } from '../enrichment/enricher.ts'
import type { EventPartition } from '../event/read-event.ts'
import { Delivery, type DeliveryRuntime, type Target } from './delivery.ts'
import type { Memory } from './memory.ts'
import type { DistributorOptions, RoutedRecord } from './options.ts'
import { fieldOf, type FieldPath, type RoutableRecord } from './routes.ts'
import { PartitionVerdicts, type Verdict } from './verdict.ts'

/** What is needed to plan, the same for all partitions of an invocation. */
export interface PlanRuntime extends DeliveryRuntime {
  readonly targets: readonly Target[]
  readonly route: DistributorOptions['route']
}

/** One partition and what was found out about it before. */
export interface PlannedPartition {
  readonly partition: EventPartition
  readonly memory: Memory
  readonly enriched: EnrichedPartition | undefined
}

/** What is to be delivered of one partition, and the verdicts so far. */
export class Plan {
  readonly partition: EventPartition
  readonly verdicts: PartitionVerdicts
  readonly memory: Memory
  /** Records that an earlier invocation has done. */
  readonly repeatedCount: number
  readonly #byTarget: (Delivery | undefined)[] = []
  readonly #runtime: PlanRuntime
  readonly #record: PartitionRecord
  readonly #blockedKeys = new Set<string>()
  readonly #isByKey: boolean
  readonly #problems: ReadonlyMap<number, string>
  #isStopped = false

  constructor({ partition, memory, enriched }: PlannedPartition, runtime: PlanRuntime) {
    this.partition = partition
    this.memory = memory
    this.verdicts = new PartitionVerdicts(partition)
    this.#runtime = runtime
    this.#record = new PartitionRecord(partition, enriched)
    this.#isByKey = runtime.settings.order === 'key' && partition.keys !== undefined
    this.#problems = partition.problems
    let repeatedCount = 0
    for (let index = 0; index < partition.offsets.length; index += 1) {
      if (memory.isDone(index)) repeatedCount += 1
      else this.#place(index, enriched)
    }
    this.repeatedCount = repeatedCount
  }

  /** One for each target that gets something. */
  get deliveries(): readonly Delivery[] {
    return this.#byTarget.filter(each => each !== undefined)
  }

  #place(index: number, enriched: EnrichedPartition | undefined): void {
    const verdict = this.#verdictBefore(index, enriched)
    if (verdict !== undefined) {
      this.#refuse(index, verdict)
      return
    }
    const targets = this.#targetsOf(index)
    if ('action' in targets) {
      this.#refuse(index, targets)
      return
    }
    for (const target of targets) {
      const word = this.memory.wordOf(index, this.#runtime.targets[target]?.name ?? '')
      if (word === undefined) this.#deliveryTo(target)?.indexes.push(index)
      else if (word !== 'ok') this.verdicts.add(index, word)
    }
  }

  /** Why a record is not even routed, if it is not. */
  #verdictBefore(index: number, enriched: EnrichedPartition | undefined): Verdict | undefined {
    if (this.#isBlocked(index)) {
      return { action: 'retry', reason: 'waits behind an earlier record that comes again', isUnavailable: true }
    }
    const held = this.memory.heldForMs(index)
    if (held !== undefined) {
      const reason = 'another invocation is delivering this record'
      return { action: 'retry', reason, retryAfterMs: held, isUnavailable: true }
    }
    const problem = this.#problems.size === 0 ? undefined : this.#problems.get(index)
    if (problem !== undefined) return this.#unrouted(problem)
    return enriched === undefined || enriched.failures.size === 0 ? undefined : enriched.failures.get(index)
  }

  #isBlocked(index: number): boolean {
    if (this.#isStopped || this.#blockedKeys.size === 0) return this.#isStopped
    const key = this.partition.keys?.[index] ?? null
    return key !== null && this.#blockedKeys.has(key)
  }

  #refuse(index: number, verdict: Verdict): void {
    this.verdicts.add(index, verdict)
    if (verdict.action !== 'retry') return
    const key = this.partition.keys?.[index] ?? null
    if (!this.#isByKey) this.#isStopped = true
    else if (key !== null) this.#blockedKeys.add(key)
  }

  #targetsOf(index: number): readonly number[] | Verdict {
    const { settings, route } = this.#runtime
    const record = this.#record.at(index)
    if (route !== undefined) return this.#byFunction(route, record)
    const found = settings.routes.find(record)
    if (found !== undefined) return found
    if (typeof settings.otherwise !== 'string') return settings.otherwise
    return this.#unrouted(settings.routes.problemOf(record))
  }

  #byFunction(route: NonNullable<DistributorOptions['route']>, record: PartitionRecord): readonly number[] | Verdict {
    const { settings } = this.#runtime
    let answer: ReturnType<typeof route>
    try {
      answer = route(record)
    } catch (error) {
      return { action: 'retry', reason: `the routing function failed: ${messageOf(error)}` }
    }
    if (answer === 'skip' || answer === 'deadLetter') {
      return { action: answer, reason: 'the routing function says so' }
    }
    if (answer === undefined) {
      if (typeof settings.otherwise !== 'string') return settings.otherwise
      return this.#unrouted('the routing function names no target')
    }
    const targets: number[] = []
    for (const name of Array.isArray(answer) ? (answer as readonly string[]) : [String(answer)]) {
      const target = settings.targetIndexes.get(name)
      if (target === undefined) return { action: 'retry', reason: `the routing function names no target: "${name}"` }
      if (!targets.includes(target)) targets.push(target)
    }
    return targets.length === 0 ? this.#unrouted('the routing function names no target') : targets
  }

  /** A record that no target can be given: unlike an unknown code it never goes to the default targets. */
  #unrouted(reason: string): Verdict {
    return { action: this.#runtime.settings.otherwise === 'skip' ? 'skip' : 'deadLetter', reason }
  }

  #deliveryTo(index: number): Delivery | undefined {
    const known = this.#byTarget[index]
    if (known !== undefined) return known
    const target = this.#runtime.targets[index]
    if (target === undefined) return undefined
    const created = new Delivery(target, this.partition, this.#runtime)
    this.#byTarget[index] = created
    return created
  }
}

/** The records of a partition, one after the other, as routes and routing functions see them. */
class PartitionRecord implements RoutableRecord, RoutedRecord {
  readonly #partition: EventPartition
  readonly #messages: readonly unknown[]
  readonly #enriched: EnrichedPartition | undefined
  #index = 0

  constructor(partition: EventPartition, enriched: EnrichedPartition | undefined) {
    this.#partition = partition
    this.#messages = partition.messages
    this.#enriched = enriched
  }

  at(index: number): this {
    this.#index = index
    return this
  }

  get value(): unknown {
    return this.#messages[this.#index]
  }

  get topic(): string {
    return this.#partition.topic
  }

  get partition(): number {
    return this.#partition.partition
  }

  get offset(): number {
    return this.#partition.offsets[this.#index] ?? 0
  }

  get key(): string | null | undefined {
    const { keys } = this.#partition
    return keys === undefined ? undefined : (keys[this.#index] ?? null)
  }

  field(path: FieldPath): unknown {
    if (this.#enriched !== undefined) {
      const added = this.#enriched.added(this.#index, path[0] ?? '')
      if (added !== undefined) return fieldOf(added, path, 1)
    }
    return fieldOf(this.#messages[this.#index], path)
  }
}
