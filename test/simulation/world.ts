/**
 * The whole simulation: several dispatchers, each a process of its own, over one cluster, one group and one target,
 * on one virtual clock and one seed.
 */

import type { DispatcherConfig } from '../../src/config/index.ts'
import type { AppendRecord } from '../../src/client/index.ts'
import { randomInt, SeededRandom, VirtualClock } from '../../src/core/index.ts'
import { type Dispatcher, startDispatcher } from '../../src/dispatcher/index.ts'
import type { KafkaSide } from '../../src/dispatcher/kafka-side.ts'
import { RetryTopics } from '../../src/dispatcher/parking/retry-topics.ts'
import { dispatcherConfig } from '../dispatcher/support.ts'
import { Coordinator } from './coordinator.ts'
import { Ledger } from './ledger.ts'
import { ClusterLogs, type LogShape, type RecordKind } from './logs.ts'
import { nameOf, SimMember } from './member.ts'
import { GOOD_NETWORK, Network } from './network.ts'
import { SimProcess } from './process.ts'
import { SimAppender, SimFetcher } from './readers.ts'
import { SimTarget, WELL } from './target.ts'

const ORDERS = ['partition', 'key', 'none'] as const
const topic = 't'
const deadLetterTopic = 't-dead'
const sessionTimeoutMs = 2000
const drainMs = 1500
const tickMs = 100
/** Most partitions that a world may grow to. */
export const PARTITIONS_MAX = 8
/** Longest time that everything may take once all is well again, in virtual milliseconds. */
const healMaxMs = 300_000

/** How a world is made; what is not given is drawn by the seed. */
export interface WorldOptions {
  readonly seed: number
  readonly order?: 'partition' | 'key' | 'none'
  readonly protocol?: 'consumer' | 'classic'
  readonly partitions?: number
  readonly recordsPerPartition?: number
  readonly recordsMax?: number
  readonly concurrency?: number
  readonly timeoutMs?: number
  readonly shape?: Partial<LogShape>
  /** Whether records come in the order of their partition; by default if the target names none for retry. */
  readonly isPartitionOrdered?: boolean
  /** Nothing goes wrong but what an operator does on purpose: then no record may come twice. */
  readonly isCalm?: boolean
}

/** A dispatcher in its process. */
export interface SimDispatcher {
  readonly process: SimProcess
  readonly dispatcher: Dispatcher
  isDraining: boolean
}

/** Everything of one run. */
export class World {
  readonly random: SeededRandom
  readonly clock = new VirtualClock()
  readonly network: Network
  readonly logs = new ClusterLogs()
  readonly coordinator: Coordinator
  readonly ledger: Ledger
  readonly target: SimTarget
  readonly dispatchers: SimDispatcher[] = []
  readonly config: DispatcherConfig
  readonly protocol: 'consumer' | 'classic'
  readonly order: 'partition' | 'key' | 'none'
  readonly isCalm: boolean
  readonly readFaults = { fetchError: 0, appendError: 0 }
  /** Share of commits that are refused, 0 to 1. */
  commitError = 0
  /** Most bytes that a dispatcher had buffered. */
  bufferedMost = 0
  readonly #shape: LogShape
  readonly #retryTopics: RetryTopics
  /** Share of records that a transform takes its time over; without a transform 0. */
  readonly #transformedRatio: number
  readonly #timeoutMs: number
  readonly #members: { process: SimProcess; member: SimMember }[] = []
  #started = 0

  constructor(options: WorldOptions) {
    this.random = new SeededRandom(options.seed)
    const pick = (limit: number): number => randomInt(this.random, limit)
    this.isCalm = options.isCalm ?? false
    this.protocol = options.protocol ?? (pick(2) === 0 ? 'consumer' : 'classic')
    this.#timeoutMs = options.timeoutMs ?? (this.isCalm ? 5000 : 200 + pick(600))
    this.#shape = { keyCount: 1 + pick(6), oddRatio: pick(2) * 0.03, holeRatio: 0.2, paddingBytes: 0, ...options.shape }
    const order = options.order ?? ORDERS[pick(ORDERS.length)] ?? 'partition'
    this.order = order
    this.config = this.#configure(options, pick)
    this.network = new Network(this.clock, this.random)
    const { recordsMax } = this.config.batch
    const { concurrency } = this.config
    this.ledger = new Ledger(
      {
        order,
        isPartitionOrdered: options.isPartitionOrdered ?? (order === 'partition' && this.#shape.oddRatio === 0),
        // Two batches for each slot that may run ahead of their commits, those that are answered together with the last
        // of them, and those that were begun in the same moment. What is taken in part counts as well.
        repeatsMax: (4 * concurrency - 1) * recordsMax,
        isCalm: this.isCalm,
        drainMs,
        timeoutMs: this.#timeoutMs
      },
      () => this.clock.monotonicMs()
    )
    this.#retryTopics = new RetryTopics(this.config.groupId, this.config.retry.delays)
    this.#transformedRatio = pick(3) === 0 ? 0.1 : 0
    const partitionCount = options.partitions ?? 1 + pick(6)
    for (const name of this.#topics) this.logs.grow(name, partitionCount, this.#shape)
    this.coordinator = this.#createCoordinator()
    this.coordinator.refuseCommits = () => this.commitError > 0 && this.random.next() < this.commitError
    this.target = new SimTarget({ clock: this.clock, random: this.random, ledger: this.ledger, logs: this.logs })
    const recordCount = options.recordsPerPartition ?? 20 + pick(80)
    for (const log of this.logs.all(topic)) this.append(log.partition, recordCount)
  }

  /** Dispatchers that can be harmed: they run and are not being stopped. */
  get running(): SimDispatcher[] {
    return this.dispatchers.filter(({ process, isDraining }) => process.state === 'running' && !isDraining)
  }

  get frozen(): SimDispatcher[] {
    return this.dispatchers.filter(({ process }) => process.state === 'frozen')
  }

  /** Origins and their retry topics. */
  get #topics(): string[] {
    return [topic, ...this.#retryTopics.tiersOf(topic).map(tier => tier.topic)]
  }

  get partitionCount(): number {
    return this.logs.partitionCount(topic)
  }

  /** Appends records to a partition, in batches of some size. */
  append(partition: number, count: number): void {
    const log = this.logs.find(topic, partition)
    for (let left = count; left > 0;) {
      const size = Math.min(left, 1 + randomInt(this.random, 8))
      log?.append(size, this.random)
      left -= size
    }
  }

  /** Changes what a record is like. */
  setKind(partition: number, offset: number, kind: RecordKind): void {
    const records = this.logs.find(topic, partition)?.records
    const record = records?.get(offset)
    if (record !== undefined) records?.set(offset, { ...record, kind })
  }

  /** Adds partitions, with some records in each at once. */
  grow(count: number): void {
    const before = this.partitionCount
    for (const name of this.#topics) this.logs.grow(name, before + count, this.#shape)
    for (let partition = before; partition < before + count; partition += 1) this.append(partition, 20)
  }

  /** Retention deletes the beginning of a partition. */
  truncate(partition: number, batchCount: number): void {
    const gone = this.logs.find(topic, partition)?.truncate(batchCount) ?? []
    this.ledger.note(`${gone.length} records of ${topic}-${partition} are deleted`)
    for (const { offset } of gone) this.ledger.deleted(`${topic}-${partition}`, offset)
  }

  /** Starts one more dispatcher. */
  async start(): Promise<SimDispatcher> {
    this.#started += 1
    const process = new SimProcess({ name: `p${this.#started}`, base: this.clock, random: this.random })
    this.ledger.note(`${process.name} starts`)
    const dispatcher = await startDispatcher({
      config: this.config,
      kafka: this.#sideOf(process),
      target: this.target.seenBy(process, this.#timeoutMs),
      ...(this.#transformedRatio === 0 ? {} : { transform: () => this.#transform(process) }),
      clock: process.clock,
      random: new SeededRandom(randomInt(this.random, 1_000_000))
    })
    const started: SimDispatcher = { process, dispatcher, isDraining: false }
    this.dispatchers.push(started)
    void dispatcher.ended.then(error => {
      if (error !== undefined) this.ledger.problem(`${process.name} ended: ${error.code} ${error.message}`)
    })
    return started
  }

  /** Leaves records as they are, but takes its time over some, and cannot work on others for now. */
  #transform(process: SimProcess): Promise<undefined> | undefined {
    if (this.random.next() > this.#transformedRatio) return undefined
    const delayMs = randomInt(this.random, 40)
    const isAway = this.random.next() < 0.2
    return new Promise((resolve, reject) => {
      const away = Object.assign(new Error('nothing answers behind the transform'), { retriable: true })
      process.clock.after(delayMs, () => (isAway ? reject(away) : resolve(undefined)))
    })
  }

  /** Changes settings of a dispatcher that runs, and never beyond those that it began with. */
  retune({ process, dispatcher }: SimDispatcher): void {
    const { batch, concurrency } = this.config
    const recordsMax = 1 + randomInt(this.random, batch.recordsMax)
    const bytesMax = 150 + randomInt(this.random, 1000)
    const ageMs = randomInt(this.random, 60)
    const changed = { recordsMax, bytesMax, ageMs, concurrency: 1 + randomInt(this.random, concurrency) }
    this.ledger.note(`${process.name} has other settings: ${JSON.stringify(changed)}`)
    const { concurrency: slots, ...limits } = changed
    dispatcher.replaceSettings({ ...this.config, concurrency: slots, batch: { ...batch, ...limits } })
  }

  /** Ends a dispatcher without a word. */
  kill({ process }: SimDispatcher): void {
    process.kill()
    this.ledger.gone(process.name, 'killed')
  }

  /** Stops a dispatcher in good order. */
  async drain(dispatcher: SimDispatcher): Promise<void> {
    if (dispatcher.isDraining) return
    dispatcher.isDraining = true
    this.ledger.note(`${dispatcher.process.name} drains`)
    await dispatcher.dispatcher.drain()
    this.ledger.note(`${dispatcher.process.name} has drained`)
  }

  /** Lets time pass, in small steps, until something holds. */
  async until(holds: () => boolean): Promise<void> {
    for (let waitedMs = 0; !holds(); waitedMs += 1) {
      if (waitedMs > healMaxMs) throw new Error('it does not come to that')
      await this.pass(1)
    }
  }

  /** Lets time pass. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= tickMs) {
      await this.clock.advance(Math.min(left, tickMs))
      if (!this.network.isClusterDown) this.coordinator.tick()
      for (const { dispatcher, process } of this.dispatchers) {
        if (process.state !== 'running') continue
        const { bufferedBytes } = dispatcher.status()
        this.bufferedMost = Math.max(this.bufferedMost, bufferedBytes)
      }
    }
  }

  /** Makes everything well again. */
  async heal(): Promise<void> {
    this.ledger.note('all is well from here')
    this.network.faults = GOOD_NETWORK
    this.network.isClusterDown = false
    for (const { process } of this.dispatchers) {
      this.network.mend(process)
      process.thaw()
    }
    this.target.health = WELL
    this.readFaults.fetchError = 0
    this.readFaults.appendError = 0
    this.commitError = 0
    if (this.running.length === 0) await this.start()
  }

  /** Waits until all is committed, stops all and judges. */
  async finish(): Promise<void> {
    const startMs = this.clock.monotonicMs()
    while (!this.#isDone() && this.clock.monotonicMs() - startMs < healMaxMs) await this.pass(1000)
    for (const name of this.#topics) for (const log of this.logs.all(name)) this.ledger.checkEnd(log, nameOf(log))
    const drains = Promise.all(this.running.map(each => this.drain(each)))
    let isDrained = false
    void drains.then(() => (isDrained = true))
    for (let waitedMs = 0; !isDrained && waitedMs < 60_000; waitedMs += 500) await this.pass(500)
    if (!isDrained) this.ledger.problem('a dispatcher does not stop')
    const bufferMax = this.config.bufferBytes + this.partitionCount * 131_072
    if (this.bufferedMost > bufferMax) this.ledger.problem(`${this.bufferedMost} bytes were buffered`)
  }

  #isDone(): boolean {
    const all = this.#topics.flatMap(name => this.logs.all(name))
    return all.every(log => this.ledger.committedMost(nameOf(log)) >= log.end)
  }

  #configure(options: WorldOptions, pick: (limit: number) => number): DispatcherConfig {
    const base = dispatcherConfig({ topic, groupId: 'g' })
    return {
      ...base,
      order: this.order,
      batchesPerPartitionMax: 1 + pick(4),
      sessionTimeoutMs,
      heartbeatIntervalMs: 300,
      rebalanceTimeoutMs: 5000,
      drainMs,
      batch: { ...base.batch, recordsMax: options.recordsMax ?? 1 + pick(20), ageMs: pick(60) },
      payload: { format: 'json', include: ['offsets', 'keys'] },
      retry: { ...base.retry, attemptsMax: 3, initialMs: 20, maxMs: 400, delays: this.#delays(pick) },
      breaker: { failuresMax: 3 + pick(4), openMs: 50 + pick(400) },
      concurrency: options.concurrency ?? 1 + pick(4),
      deadLetterTopic
    }
  }

  /** Retry topics go with keys; half of those seeds have some. Planned hand-overs repeat nothing with them either. */
  #delays(pick: (limit: number) => number): number[] {
    if (this.order !== 'key' || pick(2) === 0) return []
    return pick(2) === 0 ? [100 + pick(400)] : [100 + pick(400), 600 + pick(2000)]
  }

  #createCoordinator(): Coordinator {
    return new Coordinator({
      protocol: this.protocol,
      clock: this.clock,
      sessionTimeoutMs,
      rebalanceTimeoutMs: this.config.rebalanceTimeoutMs,
      partitions: () => this.logs.all(topic).map(nameOf),
      onRemoved: (memberId, why) => this.#onRemoved(memberId, why),
      onCommitted: (partition, committed) => {
        const at = partition.lastIndexOf('-')
        const log = this.logs.find(partition.slice(0, at), Number(partition.slice(at + 1)))
        if (log !== undefined) this.ledger.committed(log, partition, committed)
      }
    })
  }

  #onRemoved(memberId: string, why: string): void {
    const found = this.#members.find(({ member }) => member.memberId === memberId)
    this.ledger.note(`${memberId} (${found?.process.name ?? 'nobody'}) is removed: ${why}`)
    if (found !== undefined && found.process.state !== 'dead') this.ledger.gone(found.process.name, 'zombie')
  }

  #sideOf(process: SimProcess): KafkaSide {
    const { network, logs, random, coordinator, ledger, protocol } = this
    const around = { process, network, logs, random, faults: this.readFaults }
    return {
      createMember: member => {
        const observer = {
          assigned: (partition: { topic: string; partition: number }, offset: number) => {
            const isZombie = !coordinator.knows(made.memberId)
            ledger.assigned(process.name, nameOf(partition), { offset, isZombie })
          },
          ended: (partition: { topic: string; partition: number }, how: 'clean' | 'dirty' | 'lost') => {
            ledger.ended(process.name, nameOf(partition), how)
          }
        }
        const made: SimMember = new SimMember({ process, network, coordinator, logs, protocol, member, observer })
        this.#members.push({ process, member: made })
        return made
      },
      createFetcher: options => new SimFetcher(around, options),
      createAppender: ({ deliveryTimeoutMs = 0 }) => {
        return new SimAppender(around, record => this.#onAppended(record), deliveryTimeoutMs > 1_000_000)
      },
      listOffsets: questions =>
        network.call(process, () =>
          questions.map(({ topic: name, partition, at }) => {
            const log = logs.find(name, partition)
            const offset = BigInt((at === 'latest' ? log?.end : log?.start) ?? 0)
            return { topic: name, partition, errorCode: 0, offset, timestamp: -1n, leaderEpoch: 0 }
          })
        ),
      metadata: () =>
        Promise.resolve({
          clusterId: 'simulated',
          controllerId: 0,
          brokers: [{ nodeId: 0, host: 'broker', port: 9092, rack: null }],
          topics: []
        })
    }
  }

  #onAppended(record: AppendRecord): void {
    const { topic: name, headers = [], key, value, timestampMs = this.clock.now() } = record
    if (name !== deadLetterTopic) {
      const log = this.logs.find(name, record.partition ?? -1)
      const offset = log?.appendGiven({ key, value, headers: [...headers], timestampMs }) ?? -1
      const origin = log?.records.get(offset)?.origin ?? -1
      this.ledger.parked(`${topic}-${record.partition}`, origin, `${name}-${record.partition}@${offset}`)
      return
    }
    const text = (name: string): string => headers.find(({ key }) => key === name)?.value?.toString() ?? ''
    const origin = { topic: text('comporta-origin-topic'), partition: Number(text('comporta-origin-partition')) }
    const offset = Number(text('comporta-origin-offset'))
    const kind = this.logs.find(origin.topic, origin.partition)?.records.get(offset)?.kind
    this.ledger.deadLettered({ partition: nameOf(origin), offset, errorClass: text('comporta-error-class'), kind })
  }
}
