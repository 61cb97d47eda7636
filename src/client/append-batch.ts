/**
 * A batch of records on their way to one partition, with who is to be told.
 *
 * The records go into their wire form as they arrive. A batch may have to be
 * split or handed back, so the records can be had again: those that came as
 * objects are kept, of a row only its number is, and its record is made again
 * from the row's value and the wire form. Memory is accounted by the caller in
 * wire bytes.
 *
 * What is not compressed goes to the socket from where it was written. That
 * memory is used again only after the batch was acknowledged at its first
 * attempt: of an attempt without an answer, bytes may still wait in a socket.
 */

import { invariant } from '../core/index.ts'
import { BATCH_AT, type RecordBatchBuilder, RecordCursor, writeBatchCrc } from '../protocol/index.ts'
import type { AppendRecord, DeliveryListener, OutstandingRecord, RecordRows, RowPlace } from './appender-types.ts'

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

/** Records that follow each other and came in the same way. */
interface Run {
  readonly listener: DeliveryListener
  /** `undefined`: they came as objects. */
  readonly rows: RecordRows | undefined
  /** Whether their caller chose the partition. */
  readonly isPinned: boolean
  count: number
}

/** Records of one partition that are sent together. */
export class AppendBatch {
  readonly topic: string
  readonly partition: number
  /** When the first record came, in milliseconds of the monotonic clock: linger and delivery timeout count from it. */
  readonly createdAtMs: number
  readonly flushWaits: FlushWait[] = []
  /** Set when it was first sent; kept when it is sent again, unless the epoch was bumped. */
  stamp: ProducerStamp | undefined
  /** Place among the batches of the partition that were sent; `undefined` before the first time. */
  order: number | undefined
  /** How much of the order this batch stands for: halves of a split batch share its place. */
  orderSpan = 1
  readonly #runs: Run[] = []
  #lastRun: Run | undefined
  /** The records of all runs of objects, in order. */
  readonly #objects: AppendRecord[] = []
  /** The row numbers of all other runs, in order. */
  readonly #rowNumbers: number[] = []
  #builder: RecordBatchBuilder | undefined
  #bytes: Buffer | undefined
  #buildCount = 0
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
    this.#objects.push(record)
    this.#count(builder, listener, undefined, record.partition !== undefined)
    return true
  }

  /** The same for a row. */
  // oxlint-disable-next-line max-params -- hot path: no object per record
  tryAppendRow(
    place: RowPlace,
    rows: RecordRows,
    row: number,
    listener: DeliveryListener,
    timestampMs: number
  ): boolean {
    const builder = this.#builder
    if (this.#isSealed || builder === undefined) return false
    const start = rows.spans[row * 2] ?? 0
    const end = rows.spans[row * 2 + 1] ?? 0
    if (!builder.tryAppendSpan(timestampMs, place.key, place.headers, rows.bytes, start, end)) {
      this.#isSealed = true
      return false
    }
    this.#rowNumbers.push(row)
    this.#count(builder, listener, rows, place.partition !== undefined)
    return true
  }

  // oxlint-disable-next-line max-params -- hot path: no object per record
  #count(
    builder: RecordBatchBuilder,
    listener: DeliveryListener,
    rows: RecordRows | undefined,
    isPinned: boolean
  ): void {
    this.#recordCount += 1
    this.#sizeBytes = builder.sizeBytes
    const last = this.#lastRun
    if (last?.listener === listener && last.rows === rows && last.isPinned === isPinned) {
      last.count += 1
      return
    }
    this.#lastRun = { listener, rows, isPinned, count: 1 }
    this.#runs.push(this.#lastRun)
  }

  /** Nothing can be added from now on. */
  seal(): void {
    this.#isSealed = true
  }

  /**
   * The wire form under a stamp, for one attempt; a promise while it is compressed in a thread. The builder is given
   * back through `release` if it is not needed.
   */
  build(stamp: ProducerStamp | undefined, release: (builder: RecordBatchBuilder) => void): Buffer | Promise<Buffer> {
    this.#isSealed = true
    this.#buildCount += 1
    if (this.#bytes === undefined) {
      const builder = this.#builder
      const built = builder?.buildInThread(stamp ?? {})
      if (built !== undefined) {
        this.stamp = stamp
        return built.then(bytes => {
          // Without a builder the batch was given up meanwhile, and so was the builder.
          if (this.#builder !== undefined) {
            release(this.#builder)
            this.#builder = undefined
            this.#bytes = bytes
          }
          return bytes
        })
      }
      this.#bytes = builder?.buildInPlace(stamp ?? {}) ?? Buffer.alloc(0)
      if (builder?.isInPlace === false) {
        release(builder)
        this.#builder = undefined
      }
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

  /** The batch is acknowledged: gives back the builder, if nothing else can hold on to its memory. */
  finish(release: (builder: RecordBatchBuilder) => void): void {
    if (this.#builder !== undefined && this.#buildCount === 1) release(this.#builder)
    this.#builder = undefined
    this.#bytes = undefined
  }

  /** The batch is given up: gives back the builder of one that was never sent. */
  abandon(release: (builder: RecordBatchBuilder) => void): void {
    this.#isSealed = true
    if (this.#builder !== undefined && this.#buildCount === 0) release(this.#builder)
    this.#builder = undefined
  }

  /** Every listener once, with its records in the order they came. */
  byListener(): Map<DeliveryListener, AppendRecord[]> {
    const groups = new Map<DeliveryListener, AppendRecord[]>()
    for (const { record, listener } of this.records()) {
      const group = groups.get(listener)
      if (group === undefined) groups.set(listener, [record])
      else group.push(record)
    }
    return groups
  }

  /** Every listener once, with the count of its records. */
  countsByListener(): Map<DeliveryListener, number> {
    const counts = new Map<DeliveryListener, number>()
    for (const { listener, count } of this.#runs) counts.set(listener, (counts.get(listener) ?? 0) + count)
    return counts
  }

  /** Every record with who is told of it, in order, with memory of its own. Of a batch without a verdict. */
  records(): OutstandingRecord[] {
    const records: OutstandingRecord[] = []
    const cursor = this.#rowNumbers.length === 0 ? undefined : this.#cursor()
    let objectIndex = 0
    let rowIndex = 0
    for (const { listener, rows, count, isPinned } of this.#runs) {
      for (let left = count; left > 0; left -= 1) {
        cursor?.nextRecord()
        const record =
          rows === undefined || cursor === undefined
            ? this.#objects[objectIndex++]
            : this.#recordOf(cursor, { rows, row: this.#rowNumbers[rowIndex++] ?? 0, isPinned })
        if (record !== undefined) records.push({ record, listener })
      }
    }
    return records
  }

  /** A cursor before the first record of the wire form. */
  #cursor(): RecordCursor {
    const bytes = this.#bytes ?? this.#builder?.build()
    invariant(bytes !== undefined, 'the records of an abandoned batch are gone')
    const cursor = new RecordCursor({ isCrcChecked: false, decompressedBytesMax: this.#sizeBytes })
    cursor.reset(bytes)
    cursor.nextBatch()
    return cursor
  }

  #recordOf(cursor: RecordCursor, from: { rows: RecordRows; row: number; isPinned: boolean }): AppendRecord {
    const { rows, row, isPinned } = from
    // Copies: the wire form is written over when the batch has its verdict.
    const headers = cursor.headers().map(({ key, value }) => ({ key, value: copyOf(value) }))
    return {
      topic: this.topic,
      key: copyOf(cursor.key()),
      value: rows.bytes.subarray(rows.spans[row * 2], rows.spans[row * 2 + 1]),
      timestampMs: cursor.timestampMs,
      row,
      ...(headers.length === 0 ? {} : { headers }),
      ...(isPinned ? { partition: this.partition } : {})
    }
  }
}

function copyOf(bytes: Buffer | null): Buffer | null {
  return bytes === null ? null : Buffer.from(bytes)
}
