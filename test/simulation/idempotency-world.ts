/**
 * Environments of a function that claim, deliver and finish batches of the same few records, in one thread and by one
 * seed: who goes on next, what a store does with a request, who dies, and when time passes is drawn.
 *
 * A request to the store waits until it is drawn. Then it fails before it is done, or is done and its answer is lost,
 * or is done. Every environment has a clock of its own that is wrong by up to half the grace, so that two differ by the
 * grace at most. What is true is kept here, by the world's clock, and compared with what the guard says.
 */

import assert from 'node:assert/strict'

import { type Clock, randomInt, SeededRandom, turn, VirtualClock } from '../../src/core/index.ts'
import type { BatchGuard, GuardedBatch, GuardedPartition } from '../../src/lambda/idempotency/batch-guard.ts'
import { createBatchGuard } from '../../src/lambda/idempotency/create-guard.ts'
import { type ClaimStore, storeError } from '../../src/lambda/idempotency/store.ts'

const TTL_MS = 80_000
const GRACE_MS = 1_000
/** On both sides of the border of a block. */
const FIRST_OFFSET = 4_090
const RECORDS = 14
const ENVIRONMENTS = 4
const TARGETS = ['alerts', 'billing', 'search']

interface Request {
  readonly run: () => Promise<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** What is true of one record. */
interface Truth {
  deliveries: number
  /** How often it was granted to anybody. */
  grants: number
  /** Until when a claim that nobody has ended holds, and whose it is. */
  holder: { readonly environment: Environment; readonly untilMs: number } | undefined
  /** When somebody last began to say that it is done; whether the store has taken it, for sure. */
  doneSaidMs: number | undefined
  doneForSureMs: number | undefined
  /** Targets that it has had, where that is known for sure. */
  targets: { readonly names: readonly string[]; readonly atMs: number } | undefined
  readonly targetsSaid: Set<string>
}

interface Environment {
  readonly name: number
  readonly clock: Clock
  guard: BatchGuard
  /** Grows when it dies: what it had begun before does nothing any more. */
  life: number
  isBusy: boolean
  work: Work | undefined
}

interface Work {
  readonly batch: GuardedBatch
  readonly from: number
  readonly count: number
  readonly endMs: number
}

/** A world of one seed. */
export class IdempotencyWorld {
  readonly #random: SeededRandom
  readonly #clock = new VirtualClock()
  readonly #store: ClaimStore
  readonly #isById: boolean
  readonly #requests: Request[] = []
  readonly #environments: Environment[] = []
  readonly #records: Truth[] = Array.from({ length: RECORDS }, () => ({
    deliveries: 0,
    grants: 0,
    holder: undefined,
    doneSaidMs: undefined,
    doneForSureMs: undefined,
    targets: undefined,
    targetsSaid: new Set<string>()
  }))
  readonly log: string[] = []
  /** How often something happened that a run is worth for. */
  readonly counts = { takeovers: 0, faults: 0, deaths: 0, lost: 0 }
  #areFaultsOn = true
  /** The first thing that must not be, found in the middle of something that nobody waits for. */
  #failure: unknown

  constructor(options: { readonly seed: number; readonly store: ClaimStore; readonly isById: boolean }) {
    this.#random = new SeededRandom(options.seed)
    this.#store = options.store
    this.#isById = options.isById
    for (let name = 0; name < ENVIRONMENTS; name += 1) {
      const skewMs = this.#int(GRACE_MS + 1) - GRACE_MS / 2
      const base = this.#clock
      const clock: Clock = {
        now: () => base.now() + skewMs,
        monotonicMs: () => base.monotonicMs(),
        after: (delayMs, callback) => base.after(delayMs, callback),
        every: (periodMs, callback) => base.every(periodMs, callback)
      }
      this.#environments.push({ name, clock, guard: this.#newGuard(clock), life: 0, isBusy: false, work: undefined })
    }
  }

  /** Lets things happen, then heals the store and sees to it that everything is delivered. */
  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps; step += 1) {
      await this.#step()
      await turn()
      if (this.#failure !== undefined) throw this.#failure
    }
    await this.#end()
  }

  async #step(): Promise<void> {
    const environment = this.#environments[this.#int(ENVIRONMENTS)]
    if (environment === undefined) return
    const dice = this.#int(100)
    if (dice < 50) this.#answerOne()
    else if (dice < 70) {
      if (!environment.isBusy) this.#begin(environment).catch((error: unknown) => (this.#failure ??= error))
    } else if (dice < 85) {
      if (environment.work !== undefined)
        this.#finish(environment, environment.work).catch((error: unknown) => (this.#failure ??= error))
    } else if (dice < 88) this.#die(environment)
    else if (dice < 98) await this.#clock.advance(this.#int(4_000))
    else await this.#clock.advance(this.#int(2) === 0 ? 20_000 : TTL_MS)
  }

  #answerOne(): void {
    const [request] = this.#requests.splice(this.#int(this.#requests.length), 1)
    if (request === undefined) return
    const dice = this.#areFaultsOn ? this.#int(20) : 20
    const fault = storeError(this.#int(3) === 0 ? 'denied' : 'throttled', 'injected')
    if (dice < 2) this.counts.faults += 1
    if (dice === 0) request.reject(fault)
    else {
      // Done, and perhaps nobody hears of it.
      void request.run().then(value => (dice === 1 ? request.reject(fault) : request.resolve(value)), request.reject)
    }
  }

  async #begin(environment: Environment): Promise<void> {
    const { life } = environment
    environment.isBusy = true
    const from = this.#int(RECORDS)
    const count = 1 + this.#int(RECORDS - from)
    const lastsMs = 1_000 + this.#int(15_000)
    const endMs = this.#clock.now() + lastsMs
    const place = `environment ${environment.name} claims ${from} to ${from + count - 1}`
    let batch: GuardedBatch
    try {
      batch = await environment.guard.begin([this.#batch(from, count)], environment.clock.now() + lastsMs)
    } catch {
      if (environment.life === life) environment.isBusy = false
      this.#say(`${place}: refused`)
      return
    }
    if (environment.life !== life) return
    const states = Array.from({ length: count }, (_, index) => batch.state(0, index))
    this.#say(`${place}: ${states.map(state => state[0]).join('')}`)
    // It came too late to be worth anything; a function that gets it now has been ended by Lambda.
    if (this.#clock.now() >= endMs) return this.#die(environment)
    for (const [index, state] of states.entries())
      this.#judge(environment, { batch, index, record: from + index, state, endMs })
    environment.work = { batch, from, count, endMs }
  }

  #judge(
    environment: Environment,
    given: {
      readonly batch: GuardedBatch
      readonly index: number
      readonly record: number
      readonly state: string
      readonly endMs: number
    }
  ): void {
    const truth = this.#truth(given.record)
    const nowMs = this.#clock.now()
    const { holder, doneSaidMs, doneForSureMs } = truth
    if (given.state === 'done') {
      assert.ok(doneSaidMs !== undefined, `record ${given.record} is called done but nobody delivered it`)
      const latest = doneSaidMs + TTL_MS * 1.125 + 40_000 + GRACE_MS
      assert.ok(nowMs <= latest, `record ${given.record} is called done long after its time to live`)
      return
    }
    if (given.state === 'held') {
      assert.ok(given.batch.heldForMs(0, given.index) > 0, `record ${given.record} is held for no time`)
      return
    }
    if (holder !== undefined && holder.environment !== environment) {
      assert.ok(nowMs >= holder.untilMs, `record ${given.record} is at environment ${holder.environment.name} as well`)
      this.counts.takeovers += 1
    }
    if (doneForSureMs !== undefined) {
      assert.ok(
        nowMs >= doneForSureMs + TTL_MS - 2 * GRACE_MS,
        `record ${given.record} was done and is delivered again`
      )
    }
    const targets = [...given.batch.targetsDone(0, given.index)]
    for (const target of targets)
      assert.ok(truth.targetsSaid.has(target), `record ${given.record} has had no ${target}`)
    const isRemembered = truth.targets !== undefined && nowMs < truth.targets.atMs + TTL_MS - 2 * GRACE_MS
    if (isRemembered) assert.deepEqual(targets.toSorted(), truth.targets?.names, `targets of record ${given.record}`)
    truth.holder = { environment, untilMs: given.endMs }
    truth.grants += 1
  }

  async #finish(environment: Environment, work: Work): Promise<void> {
    const { life } = environment
    environment.work = undefined
    const nowMs = this.#clock.now()
    const results = new Map<number, { isDone: boolean; targetsDone: readonly string[]; grants: number }>()
    for (let index = 0; index < work.count; index += 1) {
      if (work.batch.state(0, index) !== 'claimed') continue
      const isDone = this.#int(3) !== 0
      const targetsDone = TARGETS.filter(() => this.#int(2) === 0)
      const truth = this.#truth(work.from + index)
      results.set(index, { isDone, targetsDone: isDone ? [] : targetsDone, grants: truth.grants })
      // Whoever is past its end has delivered before: Lambda has stopped it since.
      if (truth.holder?.environment === environment) truth.holder = undefined
      truth.deliveries += 1
      if (isDone) truth.doneSaidMs = nowMs
      else for (const name of targetsDone) truth.targetsSaid.add(name)
      // Until the store has answered nobody knows.
      truth.targets = undefined
    }
    try {
      await work.batch.finish((_, index) => {
        const result = results.get(index)
        assert.ok(result !== undefined, 'asked for a record that was not claimed')
        return result
      })
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error
      if (String(error).includes('another had taken them')) this.counts.lost += 1
      this.#say(`environment ${environment.name} could not finish ${work.from}: ${String(error).slice(0, 90)}`)
      if (environment.life === life) environment.isBusy = false
      return
    }
    this.#say(`environment ${environment.name} has finished ${work.from}`)
    const isInTime = nowMs < work.endMs
    // The time to live of an id begins with its claim's end at the latest.
    const doneMs = this.#isById ? Math.min(nowMs, work.endMs) : nowMs
    for (const [index, { isDone, targetsDone, grants }] of results) {
      const truth = this.#truth(work.from + index)
      // Of a late one whose record another has done since, nothing is written: the other's mark counts.
      const isDoneByOther = truth.doneForSureMs !== undefined && nowMs < truth.doneForSureMs + TTL_MS * 1.25
      if (isDone && (isInTime || !isDoneByOther)) truth.doneForSureMs = doneMs
      // A late one may have come after another, which knows better.
      // Whoever was granted it since may have said something else before this answer came.
      if (!isDone && isInTime && truth.grants === grants) truth.targets = { names: targetsDone, atMs: nowMs }
    }
    if (environment.life === life) environment.isBusy = false
  }

  #die(environment: Environment): void {
    this.counts.deaths += 1
    this.#say(`environment ${environment.name} dies`)
    environment.life += 1
    environment.isBusy = false
    environment.work = undefined
    environment.guard = this.#newGuard(environment.clock)
  }

  async #end(): Promise<void> {
    this.#areFaultsOn = false
    for (const environment of this.#environments) this.#die(environment)
    for (let round = 0; round < 200; round += 1) {
      this.#answerOne()
      await turn()
    }
    await this.#clock.advance(20_000 + GRACE_MS)
    const guard = createBatchGuard(
      { store: { type: 'memory' }, ttlMs: TTL_MS, graceMs: GRACE_MS },
      { clock: this.#clock, store: this.#store }
    )
    const batch = await guard.begin([this.#batch(0, RECORDS)], this.#clock.now() + 10_000)
    for (const [record, truth] of this.#records.entries()) {
      const state = batch.state(0, record)
      assert.notEqual(state, 'held', `record ${record} is held by nobody`)
      if (state === 'claimed') truth.deliveries += 1
      assert.ok(truth.deliveries > 0, `record ${record} is lost`)
    }
    await batch.finish(() => ({ isDone: true, targetsDone: [] }))
    const again = await guard.begin([this.#batch(0, RECORDS)], this.#clock.now() + 10_000)
    for (let record = 0; record < RECORDS; record += 1) assert.equal(again.state(0, record), 'done')
  }

  #batch(from: number, count: number): GuardedPartition {
    const records = Array.from({ length: count }, (_, index) => from + index)
    const offsets = records.map(record => FIRST_OFFSET + record)
    return {
      topic: 'trips',
      partition: 0,
      offsets,
      ids: this.#isById ? records.map(record => `trip-${record}`) : undefined
    }
  }

  #newGuard(clock: Clock): BatchGuard {
    const later = <T>(run: () => Promise<T>): Promise<T> =>
      new Promise<T>((resolve, reject) => {
        // Boundary: what `run` gives is what `resolve` takes.
        this.#requests.push({ run, resolve: value => resolve(value as T), reject })
      })
    const store: ClaimStore = {
      read: (...given) => later(() => this.#store.read(...given)),
      swap: (...given) => later(() => this.#store.swap(...given)),
      point: (...given) => later(() => this.#store.point(...given)),
      close: () => Promise.resolve()
    }
    const settings = { store: { type: 'memory' }, ttlMs: TTL_MS, graceMs: GRACE_MS } as const
    return createBatchGuard(settings, { clock, store, random: this.#random })
  }

  #truth(record: number): Truth {
    const truth = this.#records[record]
    assert.ok(truth !== undefined)
    return truth
  }

  #int(limit: number): number {
    return randomInt(this.#random, limit)
  }

  #say(what: string): void {
    this.log.push(`${this.#clock.monotonicMs()} ${what}`)
  }
}
