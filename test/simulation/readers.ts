/** The simulated fetcher and appender: they keep the contracts of the client's own. */

import type { AppendRecord, DeliveryListener, FetchedChunk } from '../../src/client/index.ts'
import { PipelineError, type Random, randomInt, sleep } from '../../src/core/index.ts'
import type { AppenderLike, FetcherLike, FetcherLikeOptions } from '../../src/dispatcher/kafka-side.ts'
import type { ClusterLogs } from './logs.ts'
import { nameOf } from './member.ts'
import type { Network } from './network.ts'
import type { SimProcess } from './process.ts'

interface Reading {
  readonly topic: string
  readonly partition: number
  offset: number
  isPaused: boolean
  isStopped: boolean
  isAsked: boolean
  held: FetchedChunk[]
}

/** What is shared by all readers. */
export interface ReaderSurroundings {
  readonly process: SimProcess
  readonly network: Network
  readonly logs: ClusterLogs
  readonly random: Random
  /** Share of fetches of one partition that fail, 0 to 1. */
  readonly faults: { fetchError: number; appendError: number }
}

/** Wait before an empty partition is asked for again, in milliseconds. */
const POLL_MS = 20

/** Reads partitions, each with a request of its own: answers of several overtake each other. */
export class SimFetcher implements FetcherLike {
  readonly #around: ReaderSurroundings
  readonly #options: FetcherLikeOptions
  readonly #readings = new Map<string, Reading>()
  #isStarted = false
  #isClosed = false

  constructor(around: ReaderSurroundings, options: FetcherLikeOptions) {
    this.#around = around
    this.#options = options
  }

  add(from: { topic: string; partition: number; offset: bigint }): void {
    const { topic, partition } = from
    const rest = { isPaused: false, isStopped: false, isAsked: false, held: [] }
    const reading: Reading = { topic, partition, offset: Number(from.offset), ...rest }
    this.#readings.set(nameOf(from), reading)
    this.#ask(reading)
  }

  remove(topic: string, partition: number): void {
    this.#readings.delete(nameOf({ topic, partition }))
  }

  pause(topic: string, partition: number): void {
    const reading = this.#readings.get(nameOf({ topic, partition }))
    if (reading !== undefined) reading.isPaused = true
  }

  resume(topic: string, partition: number): void {
    const reading = this.#readings.get(nameOf({ topic, partition }))
    if (reading === undefined || !reading.isPaused) return
    reading.isPaused = false
    if (reading.held.length === 0) this.#ask(reading)
    else queueMicrotask(() => this.#handOut(reading))
  }

  start(): void {
    this.#isStarted = true
    for (const reading of this.#readings.values()) this.#ask(reading)
  }

  close(): Promise<void> {
    this.#isClosed = true
    this.#readings.clear()
    return Promise.resolve()
  }

  #isCurrent(reading: Reading): boolean {
    return !this.#isClosed && this.#readings.get(nameOf(reading)) === reading
  }

  #ask(reading: Reading): void {
    const { isAsked, isPaused, isStopped, held } = reading
    if (!this.#isStarted || isAsked || isPaused || isStopped || held.length > 0 || !this.#isCurrent(reading)) return
    reading.isAsked = true
    void this.#fetch(reading).finally(() => {
      reading.isAsked = false
      this.#ask(reading)
    })
  }

  async #fetch(reading: Reading): Promise<void> {
    const { process, network, logs, random, faults } = this.#around
    const { topic, partition, offset } = reading
    const bytesMax = 1 + randomInt(random, this.#options.partitionBytesMax ?? 65_536)
    let chunk: FetchedChunk | 'outOfRange' | 'failed' | undefined
    try {
      chunk = await network.call(process, () => {
        const log = logs.find(topic, partition)
        if (log === undefined || random.next() < faults.fetchError) return 'failed' as const
        if (offset < log.start || offset > log.end) return 'outOfRange' as const
        if (offset === log.end) return undefined
        const { bytes, next } = log.read(offset, bytesMax)
        return {
          topic,
          partition,
          fromOffset: BigInt(offset),
          records: bytes,
          nextOffset: BigInt(next),
          highWatermark: BigInt(log.end),
          lastStableOffset: BigInt(log.end),
          logStartOffset: BigInt(log.start)
        }
      })
    } catch {
      chunk = 'failed'
    }
    if (!this.#isCurrent(reading)) return
    if (chunk === undefined || chunk === 'failed') {
      if (chunk === 'failed') this.#failed(reading, 'ERR_CLIENT_KAFKA')
      await sleep(process.clock, POLL_MS)
    } else if (chunk === 'outOfRange') {
      reading.isStopped = true
      this.#failed(reading, 'ERR_CLIENT_OFFSET_OUT_OF_RANGE')
    } else {
      reading.offset = Number(chunk.nextOffset)
      reading.held.push(chunk)
      this.#handOut(reading)
    }
  }

  #failed({ topic, partition, offset }: Reading, code: 'ERR_CLIENT_KAFKA' | 'ERR_CLIENT_OFFSET_OUT_OF_RANGE'): void {
    const error = new PipelineError(code, 'a fetch failed', { retriable: code === 'ERR_CLIENT_KAFKA' })
    this.#options.onPartitionError({ topic, partition, offset: BigInt(offset), error, willRetry: error.retriable })
  }

  #handOut(reading: Reading): void {
    while (reading.held.length > 0 && !reading.isPaused && this.#isCurrent(reading)) {
      const chunk = reading.held.shift()
      if (chunk !== undefined) this.#options.onRecords(chunk)
    }
    this.#ask(reading)
  }
}

/** Most records that wait for their verdict. */
const APPENDS_MAX = 50

/** Wait before a record is appended again that may not be given up, in milliseconds. */
const APPEND_AGAIN_MS = 20

/**
 * Appends records one call at a time; a failed call may or may not have arrived. One that gives nothing up appends in
 * order and each record once, as an idempotent producer does.
 */
export class SimAppender implements AppenderLike {
  readonly #around: ReaderSurroundings
  readonly #onAppended: (record: AppendRecord) => void
  readonly #isPatient: boolean
  /** The last append of a patient one. */
  #last: Promise<void> = Promise.resolve()
  #open = 0
  #isClosed = false
  #waits: (() => void)[] = []

  constructor(around: ReaderSurroundings, onAppended: (record: AppendRecord) => void, isPatient: boolean) {
    this.#isPatient = isPatient
    this.#around = around
    this.#onAppended = onAppended
  }

  append(record: AppendRecord, listener: DeliveryListener): boolean {
    if (this.#isClosed) throw new PipelineError('ERR_CLIENT_CLOSED', 'the appender is closed')
    if (this.#open >= APPENDS_MAX) return false
    this.#open += 1
    if (this.#isPatient) this.#last = this.#last.then(() => this.#sendAgain(record, listener))
    else void this.#send(record, listener)
    return true
  }

  room(): Promise<void> {
    return new Promise(resolve => this.#waits.push(resolve))
  }

  async flush(): Promise<void> {
    while (this.#open > 0) await this.room()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.flush()
  }

  async #sendAgain(record: AppendRecord, listener: DeliveryListener): Promise<void> {
    const { process, network, random, faults } = this.#around
    let isAppended = false
    for (;;) {
      try {
        await network.call(process, () => {
          if (random.next() < faults.appendError) throw new PipelineError('ERR_CLIENT_KAFKA', 'not enough replicas')
          if (!isAppended) this.#onAppended(record)
          isAppended = true
        })
        break
      } catch {
        if (this.#isClosed) break
        await sleep(process.clock, APPEND_AGAIN_MS)
      }
    }
    const { topic, partition = 0 } = record
    if (!this.#isClosed) listener.delivered({ topic, partition, baseOffset: 0n, recordCount: 1 })
    else listener.failed(new PipelineError('ERR_CLIENT_CLOSED', 'the appender is closed'), [record])
    this.#settled()
  }

  #settled(): void {
    this.#open -= 1
    for (const wake of this.#waits.splice(0)) wake()
  }

  async #send(record: AppendRecord, listener: DeliveryListener): Promise<void> {
    const { process, network, random, faults } = this.#around
    try {
      await network.call(process, () => {
        if (random.next() < faults.appendError) throw new PipelineError('ERR_CLIENT_KAFKA', 'not enough replicas')
        this.#onAppended(record)
      })
      listener.delivered({ topic: record.topic, partition: 0, baseOffset: 0n, recordCount: 1 })
    } catch (cause) {
      const error = PipelineError.is(cause) ? cause : new PipelineError('ERR_CLIENT_KAFKA', 'failed', { cause })
      listener.failed(error, [record])
    }
    this.#settled()
  }
}
