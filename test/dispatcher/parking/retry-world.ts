/**
 * A world for retry topics: one topic, its tiers and its dead letter topic as plain logs, a target with moods, and
 * whole dispatchers that are killed and started again. Virtual clock, one seed.
 *
 * Judged: no loss, order of the first deliveries of each key, commits only above what is safe, nothing left at the end.
 */

import type { AppendRecord, DeliveryListener, FetchedChunk, OffsetToCommit } from '../../../src/client/index.ts'
import type { DispatcherConfig } from '../../../src/config/index.ts'
import { type Random, randomInt, SeededRandom, VirtualClock } from '../../../src/core/index.ts'
import { type Dispatcher, startDispatcher } from '../../../src/dispatcher/index.ts'
import type { KafkaSide, MemberOptions } from '../../../src/dispatcher/kafka-side.ts'
import { readHistory } from '../../../src/dispatcher/parking/retry-headers.ts'
import { RetryTopics } from '../../../src/dispatcher/parking/retry-topics.ts'
import type { RecordFailure, Target, TargetOutcome } from '../../../src/targets/index.ts'
import type { Transform } from '../../../src/dispatcher/transform.ts'
import { SimProcess } from '../../simulation/process.ts'
import { chunkOf, dispatcherConfig } from '../support.ts'

/** What a record does to its target. */
export type Fate = 'plain' | 'flaky' | 'poison' | 'throws' | 'verdict' | 'malformed'

interface LogRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: NonNullable<AppendRecord['headers']>
  readonly timestampMs: number
}

interface Payload {
  readonly topic: string
  readonly partition: number
  readonly offsets: readonly number[]
  readonly keys: readonly (string | null)[]
}

/** How a world is made. */
export interface RetryWorldOptions {
  readonly seed: number
  readonly partitionCount?: number
  readonly keyCount?: number
  readonly delays?: readonly number[]
  readonly order?: 'key' | 'none'
  readonly retryOrder?: 'key' | 'none'
  readonly parkedKeysMax?: number
  readonly attemptsMax?: number
  readonly bisect?: boolean
  /** Failures of a flaky record before it is taken. */
  readonly flakyFailures?: number
  readonly recordsMax?: number
  /** Whether a transform stands before the target: it takes its time and throws once over half of the flaky ones. */
  readonly isTransformed?: boolean
}

const topic = 't'
const deadTopic = 't-dead'
const groupId = 'g'

/** A dispatcher in its process. */
export interface Running {
  readonly process: SimProcess
  readonly dispatcher: Dispatcher
}

/** One run. */
export class RetryWorld {
  readonly clock = new VirtualClock()
  readonly random: Random
  readonly config: DispatcherConfig
  readonly problems: string[] = []
  /** What happened, for the reader of a failure. */
  readonly trace: string[] = []
  readonly committed = new Map<string, OffsetToCommit>()
  readonly logs = new Map<string, LogRecord[]>()
  /** Deliveries by `partition@offset`. */
  readonly deliveries = new Map<string, number>()
  readonly attempts = new Map<string, number>()
  readonly deadLetters = new Map<string, number>()
  readonly tiers: readonly string[]
  readonly partitionCount: number
  isTargetDown = false
  /** Most keys that waited in one partition. */
  parkedKeysMost = 0
  running: Running | undefined
  readonly #keepsOrder: boolean
  readonly #flakyFailures: number
  readonly #isTransformed: boolean
  readonly #thrown = new Set<bigint>()
  readonly #keyCount: number
  readonly #fates = new Map<string, Fate>()
  readonly #lastOfKey = new Map<string, number>()
  #generation = 0

  constructor(options: RetryWorldOptions) {
    this.random = new SeededRandom(options.seed)
    const { order = 'key', retryOrder = 'key', delays = [300, 900] } = options
    const base = dispatcherConfig({ topic, groupId })
    this.partitionCount = options.partitionCount ?? 1
    this.#keyCount = options.keyCount ?? 4
    this.#flakyFailures = options.flakyFailures ?? 3
    this.#isTransformed = options.isTransformed ?? false
    this.#keepsOrder = order === 'key' && retryOrder === 'key'
    this.config = {
      ...base,
      order,
      deadLetterTopic: deadTopic,
      batchesPerPartitionMax: 3,
      batch: { ...base.batch, recordsMax: options.recordsMax ?? 5, ageMs: 5 },
      payload: { format: 'json', include: ['offsets', 'keys'] },
      retry: {
        ...base.retry,
        attemptsMax: options.attemptsMax ?? 2,
        initialMs: 5,
        maxMs: 20,
        delays: [...delays],
        order: retryOrder,
        bisect: options.bisect ?? true,
        parkedKeysMax: options.parkedKeysMax ?? 100
      },
      breaker: { ...base.breaker, failuresMax: 3, openMs: 50 },
      concurrency: 3
    }
    this.tiers = new RetryTopics(groupId, delays).tiersOf(topic).map(tier => tier.topic)
  }

  /** Appends records, most of them plain. */
  append(partition: number, fates: readonly Fate[]): void {
    const log = this.log(topic, partition)
    for (const fate of fates) {
      const roll = randomInt(this.random, this.#keyCount + 1)
      const key = roll === this.#keyCount ? null : Buffer.from(`k${roll}`)
      const value = fate === 'malformed' ? '{"n":' : JSON.stringify({ n: log.length })
      this.#fates.set(`${partition}@${log.length}`, fate)
      const timestampMs = Math.floor(this.clock.now())
      log.push({ key, value: Buffer.from(value), headers: [], timestampMs })
    }
  }

  /** Records of a partition of a topic. */
  log(name: string, partition: number): LogRecord[] {
    const key = `${name}-${partition}`
    let log = this.logs.get(key)
    if (log === undefined) this.logs.set(key, (log = []))
    return log
  }

  /** Starts a dispatcher that has all partitions. */
  async start(): Promise<Running> {
    this.#generation += 1
    const process = new SimProcess({ name: `p${this.#generation}`, base: this.clock, random: this.random })
    this.note(`${process.name} starts`)
    const dispatcher = await startDispatcher({
      config: this.config,
      kafka: this.#kafka(process),
      target: this.#target(process),
      ...(this.#isTransformed ? { transform: this.#transform } : {}),
      clock: process.clock,
      random: new SeededRandom(randomInt(this.random, 1_000_000))
    })
    this.running = { process, dispatcher }
    return this.running
  }

  /** Ends the process without a word. */
  kill(): void {
    this.note(`${this.running?.process.name} is killed`)
    this.running?.process.kill()
    this.running = undefined
  }

  /** Lets time pass. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 5) {
      await this.clock.advance(Math.min(5, left))
      for (const { parkedKeys } of this.running?.dispatcher.describe().retries ?? []) {
        this.parkedKeysMost = Math.max(this.parkedKeysMost, parkedKeys)
      }
    }
  }

  /** Whether everything is committed to its end. */
  get isDone(): boolean {
    for (const name of [topic, ...this.tiers]) {
      for (let partition = 0; partition < this.partitionCount; partition += 1) {
        const end = this.log(name, partition).length
        if (end > 0 && this.committed.get(`${name}-${partition}`)?.offset !== BigInt(end)) return false
      }
    }
    return true
  }

  /** Waits until all is done, and judges. */
  async finish(maxMs = 120_000): Promise<void> {
    for (let waitedMs = 0; waitedMs < maxMs && !this.isDone; waitedMs += 50) await this.pass(50)
    if (!this.isDone) this.problem('it does not come to an end')
    for (let partition = 0; partition < this.partitionCount; partition += 1) {
      for (let offset = 0; offset < this.log(topic, partition).length; offset += 1) {
        const name = `${partition}@${offset}`
        const count = (this.deliveries.get(name) ?? 0) + (this.deadLetters.get(name) ?? 0)
        if (count === 0) this.problem(`${name} is lost`)
        const fate = this.#fates.get(name)
        // One that has only followed has fewer attempts: it may run out of them.
        if (fate === 'flaky') continue
        const isDead = fate !== 'plain'
        if (isDead && !this.deadLetters.has(name)) this.problem(`${name} (${fate}) is no dead letter`)
        if (!isDead && this.deadLetters.has(name)) this.problem(`${name} (${fate}) is a dead letter`)
      }
    }
    const left = this.running?.dispatcher.describe().retries.reduce((sum, { parkedKeys }) => sum + parkedKeys, 0)
    if ((left ?? 0) > 0) this.problem(`${left} keys are still held to wait`)
  }

  /** Deliveries beyond the first of each record. */
  get duplicateCount(): number {
    return [...this.deliveries.values()].reduce((sum, count) => sum + count - 1, 0)
  }

  note(line: string): void {
    this.trace.push(`${this.clock.monotonicMs()} ${line}`)
  }

  problem(text: string): void {
    this.note(`PROBLEM ${text}`)
    if (this.problems.length < 10) this.problems.push(text)
  }

  #kafka(process: SimProcess): KafkaSide {
    const ends = (name: string, partition: number): number => this.log(name, partition).length
    return {
      createMember: options => this.#member(process, options),
      createFetcher: options => this.#fetcher(process, options.onRecords),
      createAppender: () => this.#appender(process),
      listOffsets: async questions => {
        await this.#wait(process, 3)
        return questions.map(({ topic: name, partition, at }) => {
          const offset = at === 'latest' ? BigInt(ends(name, partition)) : 0n
          return { topic: name, partition, errorCode: 0, offset, timestamp: -1n, leaderEpoch: 0 }
        })
      },
      metadata: () => Promise.resolve({ clusterId: 'w', controllerId: 0, brokers: [], topics: [] })
    }
  }

  #wait(process: SimProcess, maxMs: number): Promise<void> {
    return new Promise(resolve => this.clock.after(randomInt(this.random, maxMs + 1), () => process.enter(resolve)))
  }

  #startOf(name: string, partition: number) {
    const found = this.committed.get(`${name}-${partition}`)
    return { topic: name, partition, offset: found?.offset ?? 0n, metadata: found?.metadata ?? '' }
  }

  #member(process: SimProcess, { listener, companions }: MemberOptions): ReturnType<KafkaSide['createMember']> {
    const generation = this.#generation
    const partitions = Array.from({ length: this.partitionCount }, (_, partition) => ({ topic, partition }))
    return {
      memberId: process.name,
      generation,
      state: 'stable',
      heldPartitions: () => partitions,
      start: () => {
        this.clock.after(20, () =>
          process.enter(() => {
            void listener.assigned(
              partitions.map(at => ({
                ...this.#startOf(at.topic, at.partition),
                companions: (companions?.(at) ?? []).map(each => this.#startOf(each.topic, each.partition))
              }))
            )
          })
        )
      },
      commitOffsets: async offsets => {
        await this.#wait(process, 5)
        if (generation === this.#generation) for (const each of offsets) this.#commit(each)
        await this.#wait(process, 5)
      },
      close: () => listener.revoked(partitions)
    }
  }

  #commit(offset: OffsetToCommit): void {
    const { topic: name, partition } = offset
    const key = `${name}-${partition}`
    const before = this.committed.get(key)?.offset ?? 0n
    if (offset.offset < before) this.problem(`${key} moves back from ${before} to ${offset.offset}`)
    const log = this.log(name, partition)
    const stage = name === topic ? 0 : this.tiers.indexOf(name) + 1
    for (let at = Number(before); at < Number(offset.offset); at += 1) {
      const origin = stage === 0 ? at : Number(readHistory(log[at]?.headers ?? [])?.history.offset ?? -1)
      if (!this.#isSafe(partition, origin, stage)) this.problem(`${key} is committed above ${at}, which is not safe`)
    }
    this.note(`commit ${key} ${offset.offset}`)
    this.committed.set(key, offset)
  }

  /** Whether a record is done, or lies in a stage behind this one. */
  #isSafe(partition: number, offset: number, stage: number): boolean {
    const name = `${partition}@${offset}`
    if (this.deliveries.has(name) || this.deadLetters.has(name)) return true
    return this.tiers.slice(stage).some(tier => {
      return this.log(tier, partition).some(({ headers }) => Number(readHistory(headers)?.history.offset) === offset)
    })
  }

  #fetcher(process: SimProcess, onRecords: (chunk: FetchedChunk) => void): ReturnType<KafkaSide['createFetcher']> {
    const positions = new Map<string, { name: string; partition: number; offset: number; isPaused: boolean }>()
    const poll = (): void => {
      for (const state of positions.values()) {
        const { name, partition, offset, isPaused } = state
        const log = this.log(name, partition)
        const count = Math.min(log.length - offset, 1 + randomInt(this.random, 8))
        if (isPaused || count <= 0) continue
        state.offset += count
        const end = BigInt(log.length)
        onRecords(chunkOf(BigInt(offset), log.slice(offset, offset + count), { topic: name, partition, end }))
      }
    }
    const keyOf = (name: string, partition: number): string => `${name}-${partition}`
    return {
      start: () => void process.clock.every(3, poll),
      close: () => {
        positions.clear()
        return Promise.resolve()
      },
      add: ({ topic: name, partition, offset }) => {
        positions.set(keyOf(name, partition), { name, partition, offset: Number(offset), isPaused: false })
      },
      remove: (name, partition) => void positions.delete(keyOf(name, partition)),
      pause: (name, partition) => {
        const state = positions.get(keyOf(name, partition))
        if (state !== undefined) state.isPaused = true
      },
      resume: (name, partition) => {
        const state = positions.get(keyOf(name, partition))
        if (state !== undefined) state.isPaused = false
      }
    }
  }

  /** Appends in order; an append may land after the process has died, or have no acknowledgement that anybody hears. */
  #appender(process: SimProcess): ReturnType<KafkaSide['createAppender']> {
    let freeMs = 0
    // What a process had not sent yet dies with it; what was sent before lands, and in order.
    let isCutOff = false
    return {
      append: (record, listener) => {
        freeMs = Math.max(freeMs, this.clock.monotonicMs()) + randomInt(this.random, 3)
        this.clock.after(freeMs - this.clock.monotonicMs(), () => {
          isCutOff ||= process.state === 'dead' && this.random.next() < 0.5
          if (!isCutOff) this.#land(process, record, listener)
        })
        return true
      },
      room: () => Promise.resolve(),
      flush: () => Promise.resolve(),
      close: () => Promise.resolve()
    }
  }

  #land(process: SimProcess, record: AppendRecord, listener: DeliveryListener): void {
    const { topic: name, partition = 0, key, value, headers = [], timestampMs = 0 } = record
    if (name === deadTopic) {
      const text = (header: string): string => headers.find(each => each.key === header)?.value?.toString() ?? ''
      const origin = `${text('comporta-origin-partition')}@${text('comporta-origin-offset')}`
      if (text('comporta-origin-topic') !== topic)
        this.problem(`a dead letter comes from ${text('comporta-origin-topic')}`)
      this.note(`dead letter ${origin} ${text('comporta-error-class')}`)
      this.deadLetters.set(origin, (this.deadLetters.get(origin) ?? 0) + 1)
    } else {
      const log = this.log(name, partition)
      this.note(
        `${name}-${partition}@${log.length} is ${String(readHistory(headers)?.history.offset)} of ${String(key)}`
      )
      log.push({ key, value, headers, timestampMs: Math.floor(timestampMs) })
    }
    this.clock.after(1 + randomInt(this.random, 4), () =>
      process.enter(() => listener.delivered({ topic: name, partition, baseOffset: 0n, recordCount: 1 }))
    )
  }

  readonly #transform: Transform = ({ partition, offset }) => {
    const isOdd = this.#fates.get(`${partition}@${offset}`) === 'flaky' && offset % 2n === 1n
    if (!isOdd || this.#thrown.has(offset)) return undefined
    this.#thrown.add(offset)
    throw new TypeError('not this time')
  }

  #target(process: SimProcess): Target {
    return {
      name: 'world',
      bodyBytesMax: 1_000_000,
      timeoutMs: 5000,
      close: () => Promise.resolve(),
      invoke: batch => {
        const payload = JSON.parse(batch.body.toString()) as Payload
        this.note(`${process.name} sends ${payload.partition}: ${payload.offsets.join()} (attempt ${batch.attempt})`)
        if (payload.topic !== topic) this.problem(`a batch has the topic ${payload.topic}`)
        return new Promise(resolve => {
          this.clock.after(1 + randomInt(this.random, 10), () => {
            const outcome = this.#judge(payload)
            this.clock.after(1 + randomInt(this.random, 5), () => process.enter(() => resolve(outcome)))
          })
        })
      }
    }
  }

  #judge(payload: Payload): TargetOutcome {
    const { partition, offsets, keys } = payload
    if (this.isTargetDown) return { kind: 'unavailable', reason: 'down' }
    const fates = offsets.map(offset => this.#fates.get(`${partition}@${offset}`))
    for (const offset of offsets) {
      const name = `${partition}@${offset}`
      this.attempts.set(name, (this.attempts.get(name) ?? 0) + 1)
    }
    if (fates.includes('throws')) return { kind: 'rejected', reason: 'threw', errorClass: 'TypeError' }
    const failures: RecordFailure[] = []
    const failedKeys = new Set<string>()
    for (const [index, offset] of offsets.entries()) {
      const key = keys[index] ?? null
      const fate = fates[index]
      const name = `${partition}@${offset}`
      const isFlaky = fate === 'flaky' && (this.attempts.get(name) ?? 0) <= this.#flakyFailures
      if ((key !== null && failedKeys.has(key)) || isFlaky || fate === 'poison') {
        if (key !== null) failedKeys.add(key)
        failures.push({ offset: BigInt(offset), action: 'retry', reason: 'not yet' })
      } else if (fate === 'verdict') {
        failures.push({ offset: BigInt(offset), action: 'deadLetter', reason: 'never' })
      } else this.#deliver(partition, offset, key)
    }
    return failures.length === 0 ? { kind: 'ok' } : { kind: 'partial', failures }
  }

  #deliver(partition: number, offset: number, key: string | null): void {
    const name = `${partition}@${offset}`
    const count = (this.deliveries.get(name) ?? 0) + 1
    this.deliveries.set(name, count)
    this.note(`delivered ${name} of ${key}${count > 1 ? ', again' : ''}`)
    // One that was a dead letter by then had left in its order: a crash before its commit lets it come again.
    const isRepeated = count > 1 || this.deadLetters.has(name)
    if (isRepeated || key === null || !this.#keepsOrder) return
    const last = this.#lastOfKey.get(`${partition}/${key}`) ?? -1
    if (offset < last) this.problem(`${name} of ${key} comes after ${last}`)
    this.#lastOfKey.set(`${partition}/${key}`, Math.max(last, offset))
  }
}
