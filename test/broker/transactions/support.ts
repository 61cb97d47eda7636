/** A transaction coordinator over a log and partitions in memory, whose writes finish when a test says so. */

import { type Marker, type MarkerWriter, TransactionCoordinator } from '../../../src/broker/transactions/index.ts'
import type { TransactionLog, TransactionSettings } from '../../../src/broker/transactions/index.ts'
import { readTransactionRecord, type TransactionRecord } from '../../../src/broker/transactions/transaction-records.ts'
import type { TopicPartition, TransactionMetadata } from '../../../src/broker/transactions/transaction-state.ts'
import { SeededRandom, VirtualClock } from '../../../src/core/index.ts'
import type { KafkaErrorName } from '../../../src/protocol/index.ts'
import { silentLogger } from '../../../src/telemetry/index.ts'

/** Writes in the order in which they were begun. */
export class WriteQueue {
  readonly #waiting: { readonly write: () => KafkaErrorName; readonly resolve: (error: KafkaErrorName) => void }[] = []
  #isDead = false
  /** Whether writes finish at once. */
  isImmediate = true

  /** How many writes have not finished. */
  get count(): number {
    return this.#waiting.length
  }

  /** Runs a write, now or when `finishOne` gets to it. */
  run(write: () => KafkaErrorName): Promise<KafkaErrorName> {
    if (this.isImmediate && !this.#isDead && this.#waiting.length === 0) return Promise.resolve(write())
    return new Promise(resolve => {
      if (!this.#isDead) this.#waiting.push({ write, resolve })
    })
  }

  /** Finishes the oldest write. Answers whether there was one. */
  finishOne(): boolean {
    const first = this.#waiting.shift()
    first?.resolve(first.write())
    return first !== undefined
  }

  /** The process is gone: the first few writes reached the disk, nobody hears of any. */
  crash(keptCount = 0): void {
    this.#isDead = true
    for (const { write } of this.#waiting.splice(0).slice(0, keptCount)) write()
  }
}

/** `__transaction_state` in memory; a real one runs in the tests over sockets. */
export class MemoryTransactionLog implements TransactionLog {
  readonly records: TransactionRecord[]
  readonly queue = new WriteQueue()
  /** Errors that the next appends get. */
  readonly errors: KafkaErrorName[] = []
  coordinatorEpoch = 0

  constructor(records: TransactionRecord[] = []) {
    this.records = records
  }

  ensureCreated(): Promise<boolean> {
    return Promise.resolve(true)
  }

  append(_transactionalId: string, record: TransactionRecord): Promise<KafkaErrorName> {
    return this.queue.run(() => {
      const error = this.errors.shift() ?? 'NONE'
      if (error === 'NONE') this.records.push(record)
      return error
    })
  }

  replay(visit: (key: Buffer, value: Buffer | null) => void): Promise<void> {
    for (const { key, value } of this.records) visit(key, value)
    return Promise.resolve()
  }

  coordinatorEpochOf(): number {
    return this.coordinatorEpoch
  }

  /** The states that were stored of an id, oldest first; `-` for a tombstone. */
  states(transactionalId: string): string[] {
    return this.#read(transactionalId).map(metadata => metadata?.state ?? '-')
  }

  /** What was stored last of an id. */
  last(transactionalId: string): TransactionMetadata | undefined {
    return this.#read(transactionalId).at(-1)
  }

  #read(transactionalId: string): (TransactionMetadata | undefined)[] {
    return this.records.flatMap(({ key, value }) => {
      const record = readTransactionRecord(key, value)
      return record?.transactionalId === transactionalId ? [record.metadata] : []
    })
  }
}

/** Markers that arrive, and those that fail. */
export class MemoryMarkers implements MarkerWriter {
  readonly written: string[] = []
  /** Errors that the next markers of a partition get, by `topic/partition`. */
  readonly errors = new Map<string, KafkaErrorName[]>()
  readonly queue = new WriteQueue()

  write({ topic, partition }: TopicPartition, marker: Marker): Promise<KafkaErrorName> {
    return this.queue.run(() => {
      const error = this.errors.get(`${topic}/${partition}`)?.shift() ?? 'NONE'
      const { producerId, producerEpoch, isCommit } = marker
      const kind = isCommit ? 'commit' : 'abort'
      if (error === 'NONE') this.written.push(`${topic}/${partition} ${kind} ${producerId}/${producerEpoch}`)
      return error
    })
  }
}

/** Producer ids from 100 on. */
export class MemoryProducerIds {
  #next = 100n
  isFailing = false

  next(): Promise<bigint> {
    if (this.isFailing) return Promise.reject(new Error('the disk is full'))
    const id = this.#next
    this.#next += 1n
    return Promise.resolve(id)
  }
}

const SETTINGS: TransactionSettings = {
  timeoutMsMax: 900_000,
  idExpirationMs: 604_800_000,
  timeoutCheckMs: 10_000,
  expirationCheckMs: 3_600_000,
  changeWaitMs: 100,
  isVerificationEnabled: true
}

/** What a coordinator is made of in a test. */
export interface TestCoordinator {
  readonly coordinator: TransactionCoordinator
  readonly log: MemoryTransactionLog
  readonly markers: MemoryMarkers
  readonly clock: VirtualClock
}

/** A coordinator that has loaded its log. */
export async function loadedCoordinator(
  parts: Partial<Omit<TestCoordinator, 'coordinator'>> & {
    readonly markerWriter?: MarkerWriter
    readonly producerIds?: MemoryProducerIds
    readonly settings?: Partial<TransactionSettings>
    readonly version?: number
  } = {}
): Promise<TestCoordinator> {
  const { log = new MemoryTransactionLog(), markers = new MemoryMarkers(), clock = new VirtualClock() } = parts
  const coordinator = new TransactionCoordinator({
    settings: { ...SETTINGS, ...parts.settings },
    log,
    markers: parts.markerWriter ?? markers,
    producerIds: parts.producerIds ?? new MemoryProducerIds(),
    version: () => parts.version ?? 2,
    clock,
    random: new SeededRandom(1),
    logger: silentLogger
  })
  await coordinator.load()
  return { coordinator, log, markers, clock }
}
