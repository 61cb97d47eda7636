/**
 * A batch of records on their way to one partition, with who is to be told.
 *
 * The records go into their wire form as they arrive; the references are kept
 * beside it, because a batch may have to be split or handed back. Memory is
 * accounted by the caller in wire bytes.
 */

import { BATCH_AT, type RecordBatchBuilder, writeBatchCrc } from '../protocol/index.ts'
import type { AppendRecord, DeliveryListener } from './appender-types.ts'

/** Who wrote a batch, for the broker's duplicate check: source KIP-98. */
export interface ProducerStamp {
  readonly producerId: bigint
  readonly producerEpoch: number
  /** Sequence of the first record. */
  readonly baseSequence: number
  /** Whether the batch is part of a transaction. Default `false`. */
  readonly isTransactional?: boolean
}

/** Something that waits for batches to get their verdict. */
export interface FlushWait {
  pendingCount: number
  readonly resolve: () => void
}

interface Run {
  readonly listener: DeliveryListener
  count: number
}

/** Records of one partition that are sent together. */
export class AppendBatch {
  readonly topic: string
  readonly partition: number
  /** When the first record came, in milliseconds of the monotonic clock: linger and delivery timeout count from it. */
  readonly createdAtMs: number
  readonly records: AppendRecord[] = []
  readonly flushWaits: FlushWait[] = []
  /** Set when it was first sent; kept when it is sent again, unless the epoch was bumped. */
  stamp: ProducerStamp | undefined
  /** Place among the batches of the partition that were sent; `undefined` before the first time. */
  order: number | undefined
  /** How much of the order this batch stands for: halves of a split batch share its place. */
  orderSpan = 1
  readonly #runs: Run[] = []
  #builder: RecordBatchBuilder | undefined
  #bytes: Buffer | undefined
  #sizeBytes = 0
  #recordCount = 0
  #isSealed = false

  constructor(
    at: { readonly topic: string; readonly partition: number; readonly createdAtMs: number },
    builder: RecordBatchBuilder
  ) {
    this.topic = at.topic
    this.partition = at.partition
    this.createdAtMs = at.createdAtMs
    this.#builder = builder
  }

  get recordCount(): number {
    return this.#recordCount
  }

  /** Bytes of the wire form, before compression until it is built. */
  get sizeBytes(): number {
    return this.#bytes?.length ?? this.#builder?.sizeBytes ?? 0
  }

  /** Bytes that this batch takes of the buffer: those before compression. */
  get accountedBytes(): number {
    return this.#sizeBytes
  }

  /** Whether nothing can be added any more. */
  get isSealed(): boolean {
    return this.#isSealed
  }

  /** Adds a record if there is room; a full batch is sealed. */
  tryAppend(record: AppendRecord, listener: DeliveryListener, timestampMs: number): boolean {
    const builder = this.#builder
    if (this.#isSealed || builder === undefined) return false
    if (!builder.tryAppend(timestampMs, record.key, record.value, record.headers)) {
      this.#isSealed = true
      return false
    }
    this.records.push(record)
    this.#recordCount += 1
    this.#sizeBytes = builder.sizeBytes
    const last = this.#runs.at(-1)
    if (last?.listener === listener) last.count += 1
    else this.#runs.push({ listener, count: 1 })
    return true
  }

  /** Nothing can be added from now on. */
  seal(): void {
    this.#isSealed = true
  }

  /** The wire form under a stamp. The builder is given back through `release` when it is no longer needed. */
  build(stamp: ProducerStamp | undefined, release: (builder: RecordBatchBuilder) => void): Buffer {
    this.#isSealed = true
    if (this.#bytes === undefined) {
      const builder = this.#builder
      this.#bytes = builder?.build(stamp ?? {}) ?? Buffer.alloc(0)
      if (builder !== undefined) release(builder)
      this.#builder = undefined
    } else if (stamp !== undefined && stamp !== this.stamp) {
      // A copy: the old bytes may still wait in a socket.
      this.#bytes = Buffer.from(this.#bytes)
      this.#bytes.writeBigInt64BE(stamp.producerId, BATCH_AT.producerId)
      this.#bytes.writeInt16BE(stamp.producerEpoch, BATCH_AT.producerEpoch)
      this.#bytes.writeInt32BE(stamp.baseSequence, BATCH_AT.baseSequence)
      writeBatchCrc(this.#bytes, 0)
    }
    this.stamp = stamp
    return this.#bytes
  }

  /** Gives back the builder of a batch that will not be sent. */
  abandon(release: (builder: RecordBatchBuilder) => void): void {
    this.#isSealed = true
    if (this.#builder !== undefined) release(this.#builder)
    this.#builder = undefined
  }

  /** Every listener once, with its records in the order they came. */
  byListener(): Map<DeliveryListener, AppendRecord[]> {
    const groups = new Map<DeliveryListener, AppendRecord[]>()
    let index = 0
    for (const run of this.#runs) {
      const records = this.records.slice(index, index + run.count)
      index += run.count
      const group = groups.get(run.listener)
      if (group === undefined) groups.set(run.listener, records)
      else for (const record of records) group.push(record)
    }
    return groups
  }

  /** Every listener once, with the count of its records. */
  countsByListener(): Map<DeliveryListener, number> {
    const counts = new Map<DeliveryListener, number>()
    for (const { listener, count } of this.#runs) counts.set(listener, (counts.get(listener) ?? 0) + count)
    return counts
  }

  /** The listener of every record, in order: to split a batch. */
  *listeners(): Generator<DeliveryListener> {
    for (const run of this.#runs) for (let left = run.count; left > 0; left--) yield run.listener
  }
}
