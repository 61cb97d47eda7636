/**
 * A broker with nothing but transactions, for the simulation: a coordinator, its
 * log, and partitions in memory. Writes finish in random order across logs and
 * in order within each; a crash keeps a random part of what is under way.
 */

import type { Marker, MarkerWriter, TransactionCoordinator } from '../../../src/broker/transactions/index.ts'
import type { TransactionRecord } from '../../../src/broker/transactions/transaction-records.ts'
import type { TopicPartition } from '../../../src/broker/transactions/transaction-state.ts'
import { randomInt, type Random, turn, VirtualClock } from '../../../src/core/index.ts'
import type { KafkaErrorName } from '../../../src/protocol/index.ts'
import { loadedCoordinator, MemoryProducerIds, MemoryTransactionLog, WriteQueue } from './support.ts'

const PARTITION_COUNT = 3
const TOPIC = 'orders'
/** Longer than the longest timeout of a transaction, its check and the waits between attempts. */
const SETTLE_SECONDS = 60

/** A producer's identity. */
export interface Identity {
  readonly producerId: bigint
  readonly producerEpoch: number
}

/** What a partition holds. */
export type Entry =
  | ({ readonly kind: 'record'; readonly tag: string } & Identity)
  | ({ readonly kind: 'marker'; readonly isCommit: boolean } & Identity)

/** A partition's log with Kafka's rules for transactional producers. */
export class SimulatedPartition {
  readonly entries: Entry[]
  readonly queue = new WriteQueue()
  readonly #producers = new Map<bigint, { epoch: number; isOpen: boolean }>()

  constructor(entries: Entry[] = []) {
    this.entries = entries
    for (const { kind, producerId, producerEpoch } of entries) {
      this.#producers.set(producerId, { epoch: producerEpoch, isOpen: kind === 'record' })
    }
  }

  isOpen({ producerId, producerEpoch }: Identity): boolean {
    const known = this.#producers.get(producerId)
    return known?.isOpen === true && known.epoch === producerEpoch
  }

  append(record: Identity & { tag: string }, isVerified: boolean): Promise<KafkaErrorName> {
    const known = this.#producers.get(record.producerId)
    if (known !== undefined && record.producerEpoch < known.epoch) return Promise.resolve('INVALID_PRODUCER_EPOCH')
    if (!isVerified && !this.isOpen(record)) return Promise.resolve('INVALID_TXN_STATE')
    this.#producers.set(record.producerId, { epoch: record.producerEpoch, isOpen: true })
    return this.#write({ kind: 'record', ...record })
  }

  appendMarker({ producerId, producerEpoch, isCommit, transactionVersion }: Marker): Promise<KafkaErrorName> {
    const known = this.#producers.get(producerId)
    const isOld =
      known !== undefined && (producerEpoch < known.epoch || (transactionVersion >= 2 && producerEpoch === known.epoch))
    if (isOld) return Promise.resolve('INVALID_PRODUCER_EPOCH')
    this.#producers.set(producerId, { epoch: producerEpoch, isOpen: false })
    return this.#write({ kind: 'marker', producerId, producerEpoch, isCommit })
  }

  #write(entry: Entry): Promise<KafkaErrorName> {
    return this.queue.run(() => {
      this.entries.push(entry)
      return 'NONE'
    })
  }
}

/** The broker, through all its lives. */
export class SimulatedCluster {
  readonly #random: Random
  readonly #records: TransactionRecord[]
  readonly #producerIds = new MemoryProducerIds()
  #log: MemoryTransactionLog
  #coordinator: TransactionCoordinator | undefined
  #crash = Promise.withResolvers<'lost'>()
  /** Whether writes fail now and then. */
  isFailing = true
  clock = new VirtualClock()
  partitions = Array.from({ length: PARTITION_COUNT }, () => new SimulatedPartition())

  /** @param records - What `__transaction_state` begins with. */
  constructor(random: Random, records: TransactionRecord[] = []) {
    this.#random = random
    this.#records = records
    this.#log = new MemoryTransactionLog(records)
  }

  get coordinator(): TransactionCoordinator {
    if (this.#coordinator === undefined) throw new Error('the broker is down')
    return this.#coordinator
  }

  /** The answer of a request, or that the connection was lost. */
  ask<T>(request: (coordinator: TransactionCoordinator) => Promise<T>): Promise<T | 'lost'> {
    return Promise.race([request(this.coordinator), this.#crash.promise])
  }

  /** A produce request with one record. */
  async produce(
    index: number,
    record: Identity & { tag: string },
    options: { transactionalId: string; mayAdd: boolean }
  ): Promise<KafkaErrorName> {
    const partition = this.#partition(index)
    if (partition.isOpen(record)) return partition.append(record, false)
    const partitions = [{ topic: TOPIC, partition: index }]
    const [error = 'NONE'] = await this.coordinator.verifyOrAdd({ ...record, ...options, partitions })
    return error === 'NONE' ? partition.append(record, true) : error
  }

  /** Starts for the first time, or again. */
  async start(): Promise<void> {
    const markerWriter: MarkerWriter = { write: (target, marker) => this.#writeMarker(target, marker) }
    const settings = { timeoutCheckMs: 1000 }
    const { clock } = this
    const log = this.#log
    log.queue.isImmediate = true
    const loaded = await loadedCoordinator({ log, clock, markerWriter, settings, producerIds: this.#producerIds })
    this.#coordinator = loaded.coordinator
    this.#setImmediate(false)
  }

  /** Dies, and starts again with what reached the disk. */
  async crash(): Promise<void> {
    const lost = this.#crash
    for (const queue of this.#queues()) queue.crash(randomInt(this.#random, queue.count + 1))
    const epoch = this.#log.coordinatorEpoch + 1
    this.#log = new MemoryTransactionLog(this.#records)
    this.#log.coordinatorEpoch = epoch
    this.partitions = this.partitions.map(({ entries }) => new SimulatedPartition(entries))
    this.clock = new VirtualClock(this.clock.now() + 1)
    this.#crash = Promise.withResolvers()
    await this.start()
    lost.resolve('lost')
  }

  /** Finishes one write of a random log. */
  async finishOne(): Promise<void> {
    const busy = this.#queues().filter(({ count }) => count > 0)
    busy[randomInt(this.#random, busy.length)]?.finishOne()
    await turn()
  }

  /** Lets everything finish that is under way, and all that follows from it. */
  async settle(): Promise<void> {
    this.isFailing = false
    this.#setImmediate(true)
    for (let step = 0; step < SETTLE_SECONDS; step++) {
      for (const queue of this.#queues()) while (queue.finishOne()) await turn()
      await this.clock.advance(1000)
      await turn()
    }
  }

  #writeMarker({ partition }: TopicPartition, marker: Marker): Promise<KafkaErrorName> {
    if (this.isFailing && this.#random.next() < 0.1) return Promise.resolve('KAFKA_STORAGE_ERROR')
    return this.#partition(partition).appendMarker(marker)
  }

  #partition(index: number): SimulatedPartition {
    const partition = this.partitions[index]
    if (partition === undefined) throw new Error(`there is no partition ${index}`)
    return partition
  }

  #queues(): WriteQueue[] {
    return [this.#log.queue, ...this.partitions.map(({ queue }) => queue)]
  }

  #setImmediate(isImmediate: boolean): void {
    for (const queue of this.#queues()) queue.isImmediate = isImmediate
    if (this.isFailing && this.#random.next() < 0.5) this.#log.errors.push('NONE', 'NONE', 'NOT_COORDINATOR')
  }
}
