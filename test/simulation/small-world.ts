/**
 * Two dispatchers, one partition, a few records, and nothing that happens by itself: every answer of the target and of
 * the coordinator, every step of the group and the passing of a deadline is an action that somebody chooses.
 */

import type { AssignedPartition, OffsetToCommit, TopicPartition } from '../../src/client/index.ts'
import { PipelineError, SeededRandom, VirtualClock } from '../../src/core/index.ts'
import { type Dispatcher, startDispatcher } from '../../src/dispatcher/index.ts'
import type { FetcherLikeOptions, KafkaSide, MemberOptions } from '../../src/dispatcher/kafka-side.ts'
import type { TargetBatch, TargetOutcome } from '../../src/targets/index.ts'
import { dispatcherConfig } from '../dispatcher/support.ts'
import { type Invocation, Ledger } from './ledger.ts'
import { PartitionLog } from './logs.ts'
import { SimProcess } from './process.ts'

const partition: TopicPartition = { topic: 't', partition: 0 }
const name = 't-0'
const drainMs = 10_000

/** What the small world is made of. */
export interface SmallWorldOptions {
  readonly order: 'partition' | 'key' | 'none'
  /** Keys of the records. */
  readonly keys: readonly string[]
  readonly recordsMax: number
  readonly concurrency: number
  /** Answers of the target that may be `unavailable`, or that name the first record of the batch for retry. */
  readonly failuresMax: number
  /** Commits that may be refused, or carried out without an answer. */
  readonly commitFailuresMax: number
}

/** Something that may happen now. */
export interface Action {
  readonly label: string
  readonly run: () => void
}

interface PendingInvocation {
  readonly invocation: Invocation
  readonly answer: (outcome: TargetOutcome) => void
}

interface PendingCommit {
  readonly actor: Actor
  readonly offsets: readonly OffsetToCommit[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** One dispatcher and its membership. */
class Actor {
  readonly process: SimProcess
  dispatcher: Dispatcher | undefined
  listener: MemberOptions['listener'] | undefined
  onRecords: FetcherLikeOptions['onRecords'] | undefined
  /** Whether the coordinator counts it as the holder. */
  isHolder = false
  /** Whether it knows itself as the holder. */
  isHeld = false

  constructor(process: SimProcess) {
    this.process = process
  }
}

/** The world. */
export class SmallWorld {
  readonly clock = new VirtualClock()
  readonly ledger: Ledger
  readonly steps: string[] = []
  readonly #options: SmallWorldOptions
  readonly #log: PartitionLog
  readonly #first: Actor
  readonly #second: Actor
  readonly #invocations: PendingInvocation[] = []
  readonly #commits: PendingCommit[] = []
  #committed = { offset: 0, metadata: '' }
  #failures = 0
  #commitFailures = 0
  /** What happened to the first one's hold, and whether it knows. */
  #handOver: 'none' | 'revoking' | 'lost' | 'done' = 'none'
  #isDeadlinePassed = false

  constructor(options: SmallWorldOptions) {
    this.#options = options
    const { order, recordsMax, concurrency, keys } = options
    const repeatsMax = (4 * concurrency - 1) * recordsMax + keys.length
    const rules = { order, isPartitionOrdered: false, repeatsMax, isCalm: false, drainMs, timeoutMs: 600_000 }
    this.ledger = new Ledger(rules, () => this.clock.monotonicMs())
    this.#log = new PartitionLog('t', 0, { keyCount: 1, oddRatio: 0, holeRatio: 0, paddingBytes: 0 })
    const random = new SeededRandom(1)
    this.#log.append(keys.length, random, keys)
    this.#first = new Actor(new SimProcess({ name: 'first', base: this.clock, random }))
    this.#second = new Actor(new SimProcess({ name: 'second', base: this.clock, random }))
  }

  async start(): Promise<void> {
    await this.#startActor(this.#first)
    await this.#startActor(this.#second)
    this.#assign(this.#first)
  }

  /** Lets everything run that does not wait for an action. */
  async settle(): Promise<void> {
    await this.clock.advance(50)
    await this.clock.advance(50)
  }

  /** What may happen now. */
  actions(): Action[] {
    const actions: Action[] = []
    for (const pending of this.#invocations) actions.push(...this.#answers(pending))
    for (const pending of this.#commits) actions.push(...this.#commitAnswers(pending))
    if (this.#handOver === 'none') {
      actions.push({ label: 'revoke', run: () => this.#revoke() })
      actions.push({ label: 'lose', run: () => this.#lose() })
      actions.push({ label: 'kill', run: () => this.#kill() })
    }
    if (this.#handOver === 'lost') actions.push({ label: 'first hears', run: () => this.#hear() })
    if (this.#handOver === 'revoking' && !this.#isDeadlinePassed) {
      actions.push({ label: 'deadline', run: () => void (this.#isDeadlinePassed = true) })
    }
    return actions
  }

  /** Does one thing. */
  async act({ label, run }: Action): Promise<void> {
    this.steps.push(label)
    this.ledger.note(label)
    run()
    if (label === 'deadline') await this.clock.advance(drainMs + 100)
  }

  /** Answers everything well until nothing is left to do, and judges. */
  async finish(): Promise<void> {
    for (let round = 0; round < 12; round += 1) {
      await this.settle()
      for (const { invocation, answer } of this.#invocations.splice(0)) this.#take(invocation, { kind: 'ok' }, answer)
      for (const pending of this.#commits.splice(0)) this.#accept(pending)
      if (this.#handOver === 'lost') this.#hear()
      await this.clock.advance(500)
    }
    this.ledger.checkEnd(this.#log, name)
    for (const { dispatcher, process } of [this.#first, this.#second]) {
      if (process.state === 'running') void dispatcher?.close()
    }
    await this.clock.advance(60_000)
  }

  #answers(pending: PendingInvocation): Action[] {
    const { invocation, answer } = pending
    const settle = (outcome: TargetOutcome): void => {
      this.#invocations.splice(this.#invocations.indexOf(pending), 1)
      this.#take(invocation, outcome, answer)
    }
    const id = `#${invocation.id}`
    const actions: Action[] = [{ label: `${id} ok`, run: () => settle({ kind: 'ok' }) }]
    if (this.#failures >= this.#options.failuresMax) return actions
    const fail = (outcome: TargetOutcome): void => {
      this.#failures += 1
      settle(outcome)
    }
    actions.push({ label: `${id} unavailable`, run: () => fail({ kind: 'unavailable', reason: 'down' }) })
    const [first] = invocation.offsets
    if (invocation.offsets.length > 1 && first !== undefined) {
      const failures = [{ offset: BigInt(first), action: 'retry', reason: 'busy' }] as const
      actions.push({ label: `${id} partial`, run: () => fail({ kind: 'partial', failures }) })
    }
    return actions
  }

  /** The target takes what it says it takes; the answer may reach nobody. */
  #take(invocation: Invocation, outcome: TargetOutcome, answer: (outcome: TargetOutcome) => void): void {
    const named = new Set(outcome.kind === 'partial' ? outcome.failures.map(({ offset }) => Number(offset)) : [])
    const taken = outcome.kind === 'unavailable' ? [] : invocation.offsets.filter(offset => !named.has(offset))
    this.ledger.delivered(invocation, taken)
    this.ledger.over(invocation)
    const isHeard = !invocation.isGivenUp && this.#actorOf(invocation).process.state === 'running'
    if (isHeard) for (const offset of taken) invocation.told.add(offset)
    if (isHeard) answer(outcome)
  }

  #commitAnswers(pending: PendingCommit): Action[] {
    const remove = (): void => void this.#commits.splice(this.#commits.indexOf(pending), 1)
    const owner = pending.actor.process.name
    const accept = (): void => {
      remove()
      this.#accept(pending)
    }
    const actions: Action[] = [{ label: `commit of ${owner}`, run: accept }]
    if (this.#commitFailures >= this.#options.commitFailuresMax) return actions
    const lose = new PipelineError('ERR_CLIENT_REQUEST_TIMEOUT', 'no answer', { retriable: true })
    const fail = (isCarriedOut: boolean): void => {
      this.#commitFailures += 1
      remove()
      if (isCarriedOut && pending.actor.isHolder) this.#store(pending.offsets)
      pending.reject(lose)
    }
    actions.push({ label: `commit of ${owner} is lost`, run: () => fail(false) })
    actions.push({ label: `commit of ${owner} is carried out unheard`, run: () => fail(true) })
    return actions
  }

  #accept({ actor, offsets, resolve, reject }: PendingCommit): void {
    if (actor.isHolder) {
      this.#store(offsets)
      resolve()
      return
    }
    reject(new PipelineError('ERR_CLIENT_GENERATION_STALE', 'the partition is somebody else’s'))
    if (this.#handOver === 'lost' && actor === this.#first) this.#hear()
  }

  #store(offsets: readonly OffsetToCommit[]): void {
    for (const { offset, metadata = '' } of offsets) {
      this.#committed = { offset: Number(offset), metadata }
      this.ledger.committed(this.#log, name, this.#committed)
    }
  }

  #revoke(): void {
    this.#handOver = 'revoking'
    const { listener } = this.#first
    void listener?.revoked([partition]).then(() => {
      if (this.#handOver !== 'revoking') return
      this.#handOver = 'done'
      this.#first.isHolder = false
      this.#first.isHeld = false
      this.ledger.ended('first', name, 'clean')
      this.#assign(this.#second)
    })
  }

  #lose(): void {
    this.#handOver = 'lost'
    this.#first.isHolder = false
    this.ledger.gone('first', 'zombie')
    this.#assign(this.#second)
  }

  #hear(): void {
    this.#handOver = 'done'
    this.#first.isHeld = false
    this.ledger.ended('first', name, 'lost')
    this.#first.listener?.lost([partition])
  }

  #kill(): void {
    this.#handOver = 'done'
    this.#first.process.kill()
    this.#first.isHolder = false
    this.ledger.gone('first', 'killed')
    this.#assign(this.#second)
  }

  #assign(actor: Actor): void {
    actor.isHolder = true
    actor.isHeld = true
    const { offset, metadata } = this.#committed
    this.ledger.assigned(actor.process.name, name, { offset, isZombie: false })
    const assigned: AssignedPartition = { ...partition, offset: BigInt(offset), metadata }
    void actor.listener?.assigned([assigned])
  }

  #actorOf(invocation: Invocation): Actor {
    return invocation.tenure.owner === 'first' ? this.#first : this.#second
  }

  async #startActor(actor: Actor): Promise<void> {
    const { order, recordsMax, concurrency } = this.#options
    const base = dispatcherConfig({ topic: 't', groupId: 'g' })
    actor.dispatcher = await startDispatcher({
      config: {
        ...base,
        order,
        batchesPerPartitionMax: concurrency,
        concurrency,
        drainMs,
        rebalanceTimeoutMs: 4 * drainMs,
        batch: { ...base.batch, recordsMax, ageMs: 0 },
        payload: { format: 'json', include: ['offsets', 'keys'] },
        retry: { ...base.retry, initialMs: 10, maxMs: 10 }
      },
      kafka: this.#sideOf(actor),
      target: {
        name: 'chosen',
        bodyBytesMax: 100_000,
        timeoutMs: 600_000,
        invoke: (batch, signal) => this.#invoke(actor, batch, signal),
        close: () => Promise.resolve()
      },
      clock: actor.process.clock,
      random: new SeededRandom(1)
    })
  }

  #invoke(actor: Actor, batch: TargetBatch, signal: AbortSignal): Promise<TargetOutcome> {
    const payload = JSON.parse(batch.body.toString('utf8')) as { offsets: number[]; keys: (string | null)[] }
    const invocation = this.ledger.sent(actor.process.name, name, payload)
    signal.addEventListener('abort', () => this.ledger.givenUp(invocation), { once: true })
    return new Promise(resolve => this.#invocations.push({ invocation, answer: resolve }))
  }

  #sideOf(actor: Actor): KafkaSide {
    const read = (offset: bigint): void => {
      const { bytes, next } = this.#log.read(Number(offset), 1_000_000)
      if (next === Number(offset)) return
      const end = BigInt(this.#log.end)
      const ends = { highWatermark: end, lastStableOffset: end, logStartOffset: 0n }
      actor.onRecords?.({ ...partition, fromOffset: offset, records: bytes, nextOffset: BigInt(next), ...ends })
    }
    return {
      createMember: options => {
        actor.listener = options.listener
        return {
          memberId: actor.process.name,
          generation: 1,
          state: 'stable',
          start: () => undefined,
          commitOffsets: offsets =>
            new Promise((resolve, reject) => {
              if (actor.isHeld) this.#commits.push({ actor, offsets, resolve, reject })
              else reject(new PipelineError('ERR_CLIENT_GENERATION_STALE', 'not held'))
            }),
          heldPartitions: () => (actor.isHeld ? [partition] : []),
          close: () => Promise.resolve()
        }
      },
      createFetcher: options => {
        actor.onRecords = options.onRecords
        return {
          add: ({ offset }) => void this.clock.after(1, () => read(offset)),
          remove: () => undefined,
          pause: () => undefined,
          resume: () => undefined,
          start: () => undefined,
          close: () => Promise.resolve()
        }
      },
      createAppender: () => ({
        append: () => true,
        room: () => Promise.resolve(),
        flush: () => Promise.resolve(),
        close: () => Promise.resolve()
      }),
      listOffsets: () => Promise.resolve([]),
      metadata: () => Promise.resolve({ clusterId: 's', controllerId: 0, brokers: [], topics: [] })
    }
  }
}
