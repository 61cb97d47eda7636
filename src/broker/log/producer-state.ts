/**
 * Producers of one partition: who wrote what last, so that a retry is recognised
 * and a gap is refused, and which transactions are open.
 *
 * Per producer id it keeps the epoch, and the last five batches, because a
 * client has at most five requests in flight. The last batch alone says what
 * must come next; the older four only recognise retries. Entries are immutable
 * values: an append that could not be written is undone by putting the entry
 * before it back.
 *
 * A transaction is open from when its first batch gets an offset. Its marker
 * takes it out of the producer's entry at once, so that the next batch may begin
 * another; the last stable offset moves only when the marker is written.
 *
 * Pure: no I/O, no clock. Source: KIP-98, KIP-360, KIP-890; Kafka `ProducerStateManager`, `ProducerAppendInfo`.
 */

import { isTransactional } from '../../protocol/index.ts'
import type { MarkerFields } from './control-records.ts'
import { type EndingTransaction, OpenTransactions } from './open-transactions.ts'
import type { PendingSequence } from './transaction-verification.ts'

/** Batches per producer that a retry is compared with. Source: `ProducerStateEntry.NUM_BATCHES_TO_RETAIN`. */
export const RETAINED_BATCH_COUNT = 5

const SEQUENCE_MAX = 0x7fff_ffff
const NO_SEQUENCE = -1
const NO_EPOCH = -1
/** Since KIP-890 every marker has a higher epoch than the records of its transaction. */
const TRANSACTION_VERSION_2 = 2

/** One written batch of a producer. */
export interface ProducerBatch {
  /** -1 for batches of the group coordinator, which have no sequences. */
  readonly firstSequence: number
  readonly lastSequence: number
  readonly firstOffset: bigint
  readonly lastOffset: bigint
  /** Largest timestamp of the batch, as stored; answered to a retry under LogAppendTime. */
  readonly timestampMs: bigint
}

/** What is known of one producer id. */
export interface ProducerEntry {
  readonly producerId: bigint
  readonly producerEpoch: number
  /** Last batches of this epoch, oldest first; at most five, empty after an epoch change without data. */
  readonly batches: readonly ProducerBatch[]
  /** Timestamp of the last write, in epoch milliseconds: the producer expires after it. */
  readonly lastTimestampMs: bigint
  /** Epoch of the transaction coordinator that wrote the last marker, or -1. */
  readonly coordinatorEpoch: number
  /** First offset of the open transaction, or -1. */
  readonly transactionFirstOffset: bigint
}

/** The fields of a batch that is to be appended. */
export interface SequencedBatch {
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
  readonly attributes: number
}

/** What the broker found out about the transaction of a batch before it came to the log. */
export interface TransactionProof {
  /** Whether the transaction coordinator says that the partition is in the producer's open transaction. */
  readonly isVerified: boolean
  /**
   * Whether the producer uses transactions of version 2 (Produce 12 and later): then a producer without records in
   * this partition begins at sequence 0. Default false.
   */
  readonly isVersion2?: boolean
}

/** Answer to an append: go on, or the batch of an earlier append it repeats, or why not. */
export type SequenceVerdict =
  | { readonly kind: 'next' }
  | { readonly kind: 'duplicate'; readonly batch: ProducerBatch }
  | { readonly kind: 'staleEpoch'; readonly currentEpoch: number }
  | { readonly kind: 'outOfOrder'; readonly expectedSequence: number }
  | { readonly kind: 'notInTransaction' }
  | { readonly kind: 'inTransaction'; readonly firstOffset: bigint }

/** Answer to a marker: go on, or why not. */
export type MarkerVerdict =
  | { readonly kind: 'next' }
  | { readonly kind: 'staleEpoch'; readonly currentEpoch: number }
  | { readonly kind: 'fencedCoordinator'; readonly currentCoordinatorEpoch: number }

/** What a planned batch has changed: to be undone if it is not written, to be finished when it is. */
export interface ProducerChange {
  readonly producerId: bigint
  readonly before: ProducerEntry | undefined
  /** First offset of the transaction that the batch began. */
  readonly begun: bigint | undefined
  /** The transaction that the marker ends. */
  readonly ending: EndingTransaction | undefined
}

/** One producer, as DescribeProducers tells it. */
export interface ProducerDescription {
  readonly producerId: bigint
  readonly producerEpoch: number
  /** -1 if no batch of this epoch is known. */
  readonly lastSequence: number
  readonly lastTimestampMs: bigint
  /** -1 before the first marker. */
  readonly coordinatorEpoch: number
  /** -1 without an open transaction. */
  readonly transactionFirstOffset: bigint
}

/** Sequence of the last of `count` records from `first` on; sequences wrap to 0 after 2^31-1. -1 stays -1. */
export function lastSequenceOf(first: number, count: number): number {
  if (first === NO_SEQUENCE) return NO_SEQUENCE
  const last = first + count - 1
  return last > SEQUENCE_MAX ? last - SEQUENCE_MAX - 1 : last
}

/** The sequence that follows. */
export function nextSequence(sequence: number): number {
  return sequence === SEQUENCE_MAX ? 0 : sequence + 1
}

/** All producers of one partition. */
export class ProducerState {
  readonly #entries = new Map<bigint, ProducerEntry>()
  readonly #transactions = new OpenTransactions()

  /** How many producer ids are known. */
  get count(): number {
    return this.#entries.size
  }

  /** First offset of the oldest transaction whose end is not written; `undefined` if there is none. */
  get firstUnstableOffset(): bigint | undefined {
    return this.#transactions.firstOffset
  }

  /** What is known of a producer id. */
  get(producerId: bigint): ProducerEntry | undefined {
    return this.#entries.get(producerId)
  }

  /** All entries. */
  entries(): IterableIterator<ProducerEntry> {
    return this.#entries.values()
  }

  /** All producers, for DescribeProducers. */
  describe(): ProducerDescription[] {
    return Array.from(this.#entries.values(), entry => {
      const { producerId, producerEpoch, lastTimestampMs, coordinatorEpoch, transactionFirstOffset } = entry
      const lastSequence = entry.batches.at(-1)?.lastSequence ?? NO_SEQUENCE
      return { producerId, producerEpoch, lastSequence, lastTimestampMs, coordinatorEpoch, transactionFirstOffset }
    })
  }

  /** Takes the entries of a snapshot, in place of everything known. */
  load(entries: readonly ProducerEntry[]): void {
    this.clear()
    for (const entry of entries) this.#entries.set(entry.producerId, entry)
    const open = entries.filter(entry => entry.transactionFirstOffset >= 0n)
    this.#transactions.load(open.map(entry => entry.transactionFirstOffset))
  }

  /** Forgets everybody. */
  clear(): void {
    this.#entries.clear()
    this.#transactions.load([])
  }

  /**
   * Whether a client's batch may be appended now. Changes nothing.
   *
   * @param pending - The first batch that may begin the producer's transaction, if one is waited for.
   */
  check(batch: SequencedBatch, proof?: TransactionProof, pending?: PendingSequence): SequenceVerdict {
    const entry = this.#entries.get(batch.producerId)
    const repeated = entry === undefined ? undefined : findRepeated(entry, batch)
    if (repeated !== undefined) return { kind: 'duplicate', batch: repeated }
    const isInTransaction = isTransactional(batch.attributes)
    if (isInTransaction && proof?.isVerified !== true && !isOpenIn(entry, batch.producerEpoch)) {
      return { kind: 'notInTransaction' }
    }
    if (entry !== undefined && batch.producerEpoch < entry.producerEpoch) {
      return { kind: 'staleEpoch', currentEpoch: entry.producerEpoch }
    }
    const isVersion2 = proof?.isVersion2 === true || pending?.isVersion2 === true
    const expectedSequence = expectedSequenceOf(entry, batch, isVersion2)
    if (pending !== undefined && batch.baseSequence > pending.lowestSequence) {
      return { kind: 'outOfOrder', expectedSequence: pending.lowestSequence }
    }
    if (expectedSequence !== undefined && batch.baseSequence !== expectedSequence) {
      return { kind: 'outOfOrder', expectedSequence }
    }
    const firstOffset = entry?.transactionFirstOffset ?? -1n
    return firstOffset >= 0n && !isInTransaction ? { kind: 'inTransaction', firstOffset } : { kind: 'next' }
  }

  /** Whether a batch of the broker itself may be appended: it has no sequences, only its epoch counts. */
  checkEpoch({ producerId, producerEpoch }: SequencedBatch): SequenceVerdict {
    const currentEpoch = this.#entries.get(producerId)?.producerEpoch ?? NO_EPOCH
    return producerEpoch < currentEpoch ? { kind: 'staleEpoch', currentEpoch } : { kind: 'next' }
  }

  /**
   * Whether a marker may be appended now. Changes nothing.
   *
   * With transactions of version 2 its epoch must be above that of the records; the
   * same epoch without an open transaction is a retry, which is written once more.
   */
  checkMarker(marker: MarkerFields & { readonly transactionVersion?: number }): MarkerVerdict {
    const entry = this.#entries.get(marker.producerId)
    if (entry === undefined) return { kind: 'next' }
    const isRetry = marker.producerEpoch === entry.producerEpoch && entry.transactionFirstOffset < 0n
    const isVersion2 = (marker.transactionVersion ?? 0) >= TRANSACTION_VERSION_2
    const epochMin = isVersion2 && !isRetry ? entry.producerEpoch + 1 : entry.producerEpoch
    if (marker.producerEpoch < epochMin) return { kind: 'staleEpoch', currentEpoch: entry.producerEpoch }
    if (marker.coordinatorEpoch < entry.coordinatorEpoch) {
      return { kind: 'fencedCoordinator', currentCoordinatorEpoch: entry.coordinatorEpoch }
    }
    return { kind: 'next' }
  }

  /** Records a data batch that is on its way to the log. */
  apply(batch: SequencedBatch, baseOffset: bigint, timestampMs: bigint): ProducerChange {
    const before = this.#entries.get(batch.producerId)
    const written: ProducerBatch = {
      firstSequence: batch.baseSequence,
      lastSequence: lastSequenceOf(batch.baseSequence, batch.recordCount),
      firstOffset: baseOffset,
      lastOffset: baseOffset + BigInt(batch.recordCount - 1),
      timestampMs
    }
    const kept = before?.producerEpoch === batch.producerEpoch ? before.batches.slice(1 - RETAINED_BATCH_COUNT) : []
    const openOffset = before?.transactionFirstOffset ?? -1n
    const begun = openOffset < 0n && isTransactional(batch.attributes) ? baseOffset : undefined
    if (begun !== undefined) this.#transactions.begin(begun)
    this.#entries.set(batch.producerId, {
      producerId: batch.producerId,
      producerEpoch: batch.producerEpoch,
      batches: [...kept, written],
      lastTimestampMs: timestampMs,
      coordinatorEpoch: before?.coordinatorEpoch ?? -1,
      transactionFirstOffset: begun ?? openOffset
    })
    return { producerId: batch.producerId, before, begun, ending: undefined }
  }

  /** Records a marker that is on its way to the log: the transaction is over for its producer, not yet for readers. */
  applyMarker(marker: MarkerFields, offset: bigint, timestampMs: bigint): ProducerChange {
    const { producerId, producerEpoch, coordinatorEpoch, isCommit } = marker
    const before = this.#entries.get(producerId)
    const firstOffset = before?.transactionFirstOffset ?? -1n
    const ending = firstOffset < 0n ? undefined : { producerId, firstOffset, lastOffset: offset, isCommit }
    this.#entries.set(producerId, {
      producerId,
      producerEpoch,
      batches: before?.producerEpoch === producerEpoch ? before.batches : [],
      lastTimestampMs: timestampMs,
      coordinatorEpoch,
      transactionFirstOffset: -1n
    })
    return { producerId, before, begun: undefined, ending }
  }

  /** Takes a change back that was not written; the latest change first. */
  undo({ producerId, before, begun }: ProducerChange): void {
    if (before === undefined) this.#entries.delete(producerId)
    else this.#entries.set(producerId, before)
    if (begun !== undefined) this.#transactions.end(begun)
  }

  /**
   * Ends a transaction whose marker is written: readers may see all of it.
   *
   * @returns The last stable offset right after the marker, as if nothing behind it were there.
   */
  complete({ firstOffset, lastOffset }: EndingTransaction): bigint {
    this.#transactions.end(firstOffset)
    const first = this.#transactions.firstOffset
    return first !== undefined && first < lastOffset ? first : lastOffset + 1n
  }

  /**
   * Forgets producers that wrote nothing for `expirationMs` and have no open transaction.
   * Source: `producer.id.expiration.ms`, default 86_400_000.
   *
   * @returns How many were forgotten.
   */
  expire(nowMs: number, expirationMs: number): number {
    let count = 0
    for (const entry of this.#entries.values()) {
      if (entry.transactionFirstOffset >= 0n || nowMs - Number(entry.lastTimestampMs) < expirationMs) continue
      this.#entries.delete(entry.producerId)
      count += 1
    }
    return count
  }
}

function findRepeated(entry: ProducerEntry, batch: SequencedBatch): ProducerBatch | undefined {
  if (batch.producerEpoch !== entry.producerEpoch) return undefined
  const lastSequence = lastSequenceOf(batch.baseSequence, batch.recordCount)
  return entry.batches.find(known => known.firstSequence === batch.baseSequence && known.lastSequence === lastSequence)
}

function isOpenIn(entry: ProducerEntry | undefined, producerEpoch: number): boolean {
  return entry !== undefined && entry.transactionFirstOffset >= 0n && entry.producerEpoch === producerEpoch
}

/** The sequence a batch must begin with; `undefined` if any will do. */
function expectedSequenceOf(
  entry: ProducerEntry | undefined,
  batch: SequencedBatch,
  isVersion2: boolean
): number | undefined {
  const last = entry?.batches.at(-1)
  if (isVersion2 && last === undefined) return 0
  // The state may be gone by expiry or retention, so an unknown producer may begin anywhere.
  if (entry === undefined) return undefined
  if (batch.producerEpoch !== entry.producerEpoch || last === undefined) return 0
  return nextSequence(last.lastSequence)
}
