/**
 * Idempotent producers of one partition: who wrote what last, so that a retry
 * is recognised and a gap is refused.
 *
 * Per producer id it keeps the epoch, and the last five batches, because a
 * client has at most five requests in flight. The last batch alone says what
 * must come next; the older four only recognise retries. Entries are immutable
 * values: an append that could not be written is undone by putting the entry
 * before it back.
 *
 * Pure: no I/O, no clock. Source: KIP-98, KIP-360; Kafka `ProducerStateManager`.
 */

/** Batches per producer that a retry is compared with. Source: `ProducerStateEntry.NUM_BATCHES_TO_RETAIN`. */
export const RETAINED_BATCH_COUNT = 5

const SEQUENCE_MAX = 0x7fff_ffff

/** One written batch of a producer. */
export interface ProducerBatch {
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

/** The idempotence fields of a batch that is to be appended. */
export interface SequencedBatch {
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/** Answer to an append: go on, or the batch of an earlier append it repeats, or why not. */
export type SequenceVerdict =
  | { readonly kind: 'next' }
  | { readonly kind: 'duplicate'; readonly batch: ProducerBatch }
  | { readonly kind: 'staleEpoch'; readonly currentEpoch: number }
  | { readonly kind: 'outOfOrder'; readonly expectedSequence: number }

/** Sequence of the last of `count` records from `first` on; sequences wrap to 0 after 2^31-1. */
export function lastSequenceOf(first: number, count: number): number {
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

  /** How many producer ids are known. */
  get count(): number {
    return this.#entries.size
  }

  /** What is known of a producer id. */
  get(producerId: bigint): ProducerEntry | undefined {
    return this.#entries.get(producerId)
  }

  /** All entries. */
  entries(): IterableIterator<ProducerEntry> {
    return this.#entries.values()
  }

  /** Puts an entry back, or takes it away: undo of an append, or load of a snapshot. */
  restore(producerId: bigint, entry: ProducerEntry | undefined): void {
    if (entry === undefined) this.#entries.delete(producerId)
    else this.#entries.set(producerId, entry)
  }

  /** Forgets everybody. */
  clear(): void {
    this.#entries.clear()
  }

  /** Whether a client's batch may be appended now. Changes nothing. */
  check(batch: SequencedBatch): SequenceVerdict {
    const entry = this.#entries.get(batch.producerId)
    // The state may be gone by expiry or retention, so an unknown producer may begin anywhere.
    if (entry === undefined) return { kind: 'next' }
    if (batch.producerEpoch < entry.producerEpoch) return { kind: 'staleEpoch', currentEpoch: entry.producerEpoch }
    if (batch.producerEpoch > entry.producerEpoch) {
      return batch.baseSequence === 0 ? { kind: 'next' } : { kind: 'outOfOrder', expectedSequence: 0 }
    }
    const lastSequence = lastSequenceOf(batch.baseSequence, batch.recordCount)
    const repeated = entry.batches.find(
      known => known.firstSequence === batch.baseSequence && known.lastSequence === lastSequence
    )
    if (repeated !== undefined) return { kind: 'duplicate', batch: repeated }
    const last = entry.batches.at(-1)
    const expectedSequence = last === undefined ? 0 : nextSequence(last.lastSequence)
    return batch.baseSequence === expectedSequence ? { kind: 'next' } : { kind: 'outOfOrder', expectedSequence }
  }

  /**
   * Records a data batch that is in the log (or on its way there).
   *
   * @returns The entry before, for `restore`.
   */
  apply(batch: SequencedBatch, baseOffset: bigint, timestampMs: bigint): ProducerEntry | undefined {
    const before = this.#entries.get(batch.producerId)
    const written: ProducerBatch = {
      firstSequence: batch.baseSequence,
      lastSequence: lastSequenceOf(batch.baseSequence, batch.recordCount),
      firstOffset: baseOffset,
      lastOffset: baseOffset + BigInt(batch.recordCount - 1),
      timestampMs
    }
    const kept = before?.producerEpoch === batch.producerEpoch ? before.batches.slice(1 - RETAINED_BATCH_COUNT) : []
    this.#entries.set(batch.producerId, {
      producerId: batch.producerId,
      producerEpoch: batch.producerEpoch,
      batches: [...kept, written],
      lastTimestampMs: timestampMs,
      coordinatorEpoch: before?.coordinatorEpoch ?? -1,
      transactionFirstOffset: before?.transactionFirstOffset ?? -1n
    })
    return before
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
