/**
 * The exact engine: every batch is a few events.
 *
 * A partition becomes due when its batch is full or its oldest record is old
 * enough; due partitions of an instance take turns for its slots. A batch passes
 * the instance's CPU (one after the other), is invoked, and occupies its slot
 * until it is committed. Failures and refusals wait outside the slot and come
 * again first.
 *
 * Invariants: of a partition at most `lanesMax` batches are under way; `done`
 * plus those under way is what has left the log; a batch that was abandoned
 * changes nothing when it ends.
 */

import { invariant } from '../../core/index.ts'
import type { DataPlane, PlaneParts } from './data-plane.ts'
import { EventHeap } from './event-heap.ts'
import { batchRecordsMax, drawMs, instanceSeconds, meanInvocationMs } from './target-curve.ts'

interface Batch {
  readonly partition: number
  /** Whose slot it takes; that of the next owner, if its partition moves while it waits. */
  instance: number
  readonly first: number
  readonly count: number
  /** `busy` in a slot, `waiting` for its time, `queued` for a slot, `held` without an owner, `gone` if abandoned. */
  state: 'busy' | 'waiting' | 'queued' | 'held' | 'gone'
  invokedMs: number
  refusals: number
  /** Whether this try fails. */
  isFailing: boolean
}

interface Instance {
  busy: number
  cpuFreeS: number
  failures: number
  openUntilS: number
  /** Due partitions, and batches that come again. */
  queue: (number | Batch)[]
  head: number
}

type PlaneEvent =
  | { readonly kind: 'due'; readonly partition: number; readonly version: number }
  | { readonly kind: 'invoke' | 'end' | 'again'; readonly batch: Batch }
  | { readonly kind: 'wake'; readonly instance: number }

/** Absorbs rounding of times. */
const EPSILON_S = 1e-9

/** Events per batch. */
export class ExactPlane implements DataPlane {
  steps = 0
  readonly #parts: PlaneParts
  readonly #events = new EventHeap<PlaneEvent>()
  readonly #lanesMax: number
  readonly #ageS: number
  readonly #instances: Instance[] = []
  #next: number[] = []
  #done: number[] = []
  #flying: Batch[][] = []
  #versions: number[] = []
  #isQueued: boolean[] = []
  #running = 0
  #nowS = 0

  constructor(parts: PlaneParts) {
    this.#parts = parts
    const { group } = parts.scenario
    this.#lanesMax = group.order === 'partition' ? 1 : group.batchesPerPartitionMax
    this.#ageS = group.batch.ageMs / 1000
  }

  advance(toS: number): void {
    while (this.#events.nextS <= toS) {
      this.#nowS = this.#events.nextS
      const event = this.#events.pop()
      if (event === undefined) break
      this.steps++
      this.#handle(event)
    }
    this.#nowS = toS
  }

  changed(nowS: number): void {
    this.#nowS = Math.max(this.#nowS, nowS)
    const { log, ownership } = this.#parts
    while (this.#instances.length < ownership.instanceCount) {
      this.#instances.push({ busy: 0, cpuFreeS: 0, failures: 0, openUntilS: 0, queue: [], head: 0 })
    }
    for (let partition = this.#next.length; partition < log.partitionCount; partition++) {
      this.#next.push(0)
      this.#done.push(0)
      this.#flying.push([])
      this.#versions.push(0)
      this.#isQueued.push(false)
    }
    for (const instance of this.#instances) {
      instance.queue = []
      instance.head = 0
    }
    this.#isQueued.fill(false)
    for (let partition = 0; partition < log.partitionCount; partition++) {
      for (const batch of this.#flying[partition] ?? []) {
        if (batch.state === 'queued' || batch.state === 'held') this.#comeAgain(batch)
      }
      this.#consider(partition)
    }
    for (let instance = 0; instance < this.#instances.length; instance++) this.#pump(instance)
  }

  doneOf(partition: number): number {
    return this.#done[partition] ?? 0
  }

  lagOf(partition: number, nowS: number): number {
    return Math.max(0, this.#parts.log.endAt(partition, nowS) - this.doneOf(partition))
  }

  abandon(partition: number): void {
    const flying = this.#flying[partition] ?? []
    for (const batch of flying) {
      if (batch.state === 'busy' && !batch.isFailing) this.#parts.stats.duplicates += batch.count
      batch.state = 'gone'
    }
    this.#flying[partition] = []
    this.#next[partition] = this.doneOf(partition)
  }

  jump(partition: number, offset: number): number {
    const from = this.#next[partition] ?? 0
    if (offset <= from) return 0
    this.#next[partition] = offset
    this.#done[partition] = this.doneOf(partition) + offset - from
    return offset - from
  }

  inFlightOf(instance: number): number {
    return this.#instances[instance]?.busy ?? 0
  }

  #handle(event: PlaneEvent): void {
    switch (event.kind) {
      case 'due':
        if (this.#versions[event.partition] !== event.version) return
        this.#consider(event.partition)
        this.#pump(this.#parts.ownership.owners[event.partition] ?? -1)
        return
      case 'invoke':
        if (event.batch.state === 'gone') this.#free(event.batch)
        else this.#invoke(event.batch, this.#nowS)
        return
      case 'end':
        this.#end(event.batch)
        return
      case 'again':
        if (event.batch.state === 'waiting') this.#comeAgain(event.batch)
        this.#pump(event.batch.instance)
        return
      case 'wake':
        this.#pump(event.instance)
    }
  }

  /** Queues a partition for its instance if it is due, or sets the time at which it will be. */
  #consider(partition: number): void {
    const { ownership, log, scenario, target } = this.#parts
    const owner = ownership.owners[partition] ?? -1
    if (owner < 0 || ownership.paused[partition] === 1 || this.#isQueued[partition] === true) return
    if ((this.#flying[partition]?.length ?? 0) >= this.#lanesMax) return
    const next = this.#next[partition] ?? 0
    const recordsMax = batchRecordsMax(scenario, target.at(this.#nowS))
    const dueS = Math.min(log.timeOf(partition, next + recordsMax - 1), log.timeOf(partition, next) + this.#ageS)
    if (dueS <= this.#nowS + EPSILON_S) {
      const instance = this.#instances[owner]
      invariant(instance !== undefined, 'an owner is an instance')
      this.#isQueued[partition] = true
      instance.queue.push(partition)
      return
    }
    const version = (this.#versions[partition] ?? 0) + 1
    this.#versions[partition] = version
    this.#events.push(dueS, { kind: 'due', partition, version })
  }

  /** Gives free slots of an instance to what is due. */
  #pump(index: number): void {
    const instance = this.#instances[index]
    if (instance === undefined) return
    const { group, target } = this.#parts.scenario
    while (instance.head < instance.queue.length && instance.busy < group.concurrency) {
      if (target.breaker !== false && instance.failures >= target.breaker.failuresMax) {
        // Open, or one batch at a time until one gets through.
        if (this.#nowS < instance.openUntilS - EPSILON_S || instance.busy > 0) return
      }
      const item = instance.queue[instance.head++]
      if (item === undefined) break
      if (instance.head > 1024 && instance.head * 2 > instance.queue.length) {
        instance.queue.splice(0, instance.head)
        instance.head = 0
      }
      if (typeof item !== 'number') this.#launch(item, instance)
      else this.#begin(item, index, instance)
    }
    if (instance.head === instance.queue.length) {
      instance.queue = []
      instance.head = 0
    }
  }

  #begin(partition: number, owner: number, instance: Instance): void {
    this.#isQueued[partition] = false
    const { ownership, log, scenario, target } = this.#parts
    if (ownership.owners[partition] !== owner || ownership.paused[partition] === 1) return
    const next = this.#next[partition] ?? 0
    const recordsMax = batchRecordsMax(scenario, target.at(this.#nowS))
    const count = Math.min(recordsMax, log.endAt(partition, this.#nowS + EPSILON_S) - next)
    if (count < 1) {
      this.#consider(partition)
      return
    }
    const batch: Batch = {
      partition,
      instance: owner,
      first: next,
      count,
      state: 'busy',
      invokedMs: 0,
      refusals: 0,
      isFailing: false
    }
    this.#next[partition] = next + count
    this.#flying[partition]?.push(batch)
    this.#launch(batch, instance)
    this.#consider(partition)
  }

  /** Takes a slot and the CPU. */
  #launch(batch: Batch, instance: Instance): void {
    instance.busy++
    batch.state = 'busy'
    batch.isFailing = false
    const startS = Math.max(this.#nowS, instance.cpuFreeS)
    instance.cpuFreeS = startS + instanceSeconds(this.#parts.scenario, batch.count)
    if (instance.cpuFreeS <= this.#nowS + EPSILON_S) this.#invoke(batch, this.#nowS)
    else this.#events.push(instance.cpuFreeS, { kind: 'invoke', batch })
  }

  #invoke(batch: Batch, atS: number): void {
    const { target, scenario, stats, random } = this.#parts
    const state = target.at(atS)
    if (this.#running >= state.concurrencyMax) {
      stats.throttles++
      const waitMs = scenario.target.throttleMs * 2 ** Math.min(4, batch.refusals++) * (0.5 + random.next())
      batch.state = 'waiting'
      this.#free(batch)
      this.#events.push(atS + waitMs / 1000, { kind: 'again', batch })
      this.#pump(batch.instance)
      return
    }
    this.#running++
    const ms = drawMs(meanInvocationMs(state, batch.count), scenario.target.spread, random)
    batch.isFailing = ms > scenario.target.timeoutMs || (state.errorRatio > 0 && random.next() < state.errorRatio)
    batch.invokedMs = Math.min(ms, scenario.target.timeoutMs)
    this.#events.push(atS + (batch.invokedMs + scenario.group.overheadMs) / 1000, { kind: 'end', batch })
  }

  #end(batch: Batch): void {
    const { stats, scenario } = this.#parts
    this.#running--
    this.#free(batch)
    stats.invocations++
    stats.targetSeconds += batch.invokedMs / 1000
    const instance = this.#instances[batch.instance]
    if (batch.isFailing) stats.failedInvocations++
    if (instance !== undefined) this.#judge(batch, instance)
    if (batch.state === 'busy' && batch.isFailing) {
      batch.state = 'waiting'
      this.#events.push(this.#nowS + scenario.target.retryMs / 1000, { kind: 'again', batch })
    } else if (batch.state === 'busy') this.#finish(batch)
    this.#pump(batch.instance)
  }

  /** The breaker: failures in a row open it. */
  #judge(batch: Batch, instance: Instance): void {
    const { breaker } = this.#parts.scenario.target
    if (!batch.isFailing) {
      instance.failures = 0
      return
    }
    instance.failures++
    if (breaker === false || instance.failures < breaker.failuresMax) return
    instance.openUntilS = this.#nowS + breaker.openMs / 1000
    this.#events.push(instance.openUntilS, { kind: 'wake', instance: batch.instance })
  }

  #finish(batch: Batch): void {
    const { log, stats } = this.#parts
    const { partition, first, count } = batch
    const flying = this.#flying[partition]
    flying?.splice(flying.indexOf(batch), 1)
    this.#done[partition] = this.doneOf(partition) + count
    stats.consumed += count
    stats.batches++
    stats.batchRecords += count
    const oldestS = this.#nowS - log.timeOf(partition, first)
    stats.addDelays(count, oldestS, count === 1 ? oldestS : this.#nowS - log.timeOf(partition, first + count - 1))
    let oldest = this.doneOf(partition)
    for (const other of flying ?? []) oldest = Math.min(oldest, other.first)
    log.trim(partition, oldest)
    this.#consider(partition)
    const owner = this.#parts.ownership.owners[partition] ?? -1
    if (owner !== batch.instance) this.#pump(owner)
  }

  #free(batch: Batch): void {
    const instance = this.#instances[batch.instance]
    if (instance !== undefined) instance.busy = Math.max(0, instance.busy - 1)
  }

  /** A batch that failed or was refused stands in the queue of its partition's owner again, before others. */
  #comeAgain(batch: Batch): void {
    const { owners, paused } = this.#parts.ownership
    const owner = owners[batch.partition] ?? -1
    const instance = this.#instances[owner]
    if (instance === undefined || paused[batch.partition] === 1) {
      batch.state = 'held'
      return
    }
    batch.instance = owner
    batch.state = 'queued'
    if (instance.head > 0) instance.queue[--instance.head] = batch
    else instance.queue.unshift(batch)
  }
}
