/**
 * Cuts the records of a fetch answer into runs of whole batches that are for
 * the reader. Pure; the runs are views into the answer.
 *
 * Left out are: a batch that the byte limit cut off, batches below the
 * requested offset, control batches (transaction markers), and, when reading
 * committed, batches of aborted transactions. The offsets of what was left out
 * still count as read: otherwise a reader at the end of a transactional
 * partition would never get past its last marker.
 */

import { PipelineError } from '../core/index.ts'
import {
  BATCH_AT,
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  batchSizeAt,
  ByteReader,
  isBatchCrcValid,
  isControl,
  isTransactional
} from '../protocol/index.ts'

/** A producer whose transaction was aborted, from this offset on. */
export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: bigint
}

/** How to cut. */
export interface CutOptions {
  /** Offset that was asked for. */
  readonly fromOffset: bigint
  /** Aborted transactions of the answer; `null` or empty when there are none or all records are read. */
  readonly aborted: readonly AbortedTransaction[] | null
  readonly isCrcChecked: boolean
  /** Name of the partition, for messages. */
  readonly what: string
}

/** Batches that follow each other in the log. */
export interface RecordRun {
  readonly records: Buffer
  readonly fromOffset: bigint
  /** Where the next run, or the next fetch, goes on. */
  readonly nextOffset: bigint
}

const abortMarker = 0

/**
 * Cuts an answer.
 *
 * @returns The runs in offset order; one empty run if offsets were passed without a record for the reader; none if
 *   there was no whole batch.
 * @throws PipelineError `ERR_CLIENT_RECORDS_CORRUPT`.
 */
export function cutRecords(records: Buffer, options: CutOptions): RecordRun[] {
  const cutter = new Cutter(records, options)
  let position = 0
  for (;;) {
    const bytes = wholeBatchBytes(records, position, options)
    if (bytes === undefined) break
    cutter.take(position, bytes)
    position += bytes
  }
  return cutter.finish(position)
}

function wholeBatchBytes(records: Buffer, position: number, options: CutOptions): number | undefined {
  if (records.length - position < BATCH_HEADER_BYTES) return undefined
  try {
    return batchSizeAt(records, position, records.length)
  } catch (error) {
    throw corrupt({ options, position }, 'the length of a batch is not possible', error)
  }
}

class Cutter {
  readonly #records: Buffer
  readonly #options: CutOptions
  readonly #runs: RecordRun[] = []
  readonly #pendingAborts: AbortedTransaction[]
  readonly #aborting = new Set<bigint>()
  #runStart: number | undefined
  #runFrom: bigint
  #next: bigint

  constructor(records: Buffer, options: CutOptions) {
    this.#records = records
    this.#options = options
    this.#runFrom = options.fromOffset
    this.#next = options.fromOffset
    this.#pendingAborts = [...(options.aborted ?? [])].sort((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1))
  }

  take(position: number, bytes: number): void {
    this.#check(position)
    const lastOffset =
      this.#records.readBigInt64BE(position) + BigInt(this.#records.readInt32BE(position + BATCH_AT.lastOffsetDelta))
    const isWanted = !this.#isExcluded(position, bytes, lastOffset) && lastOffset >= this.#options.fromOffset
    if (isWanted) this.#runStart ??= position
    else this.#closeRun(position)
    if (lastOffset >= this.#next) this.#next = lastOffset + 1n
  }

  finish(end: number): RecordRun[] {
    this.#closeRun(end)
    const last = this.#runs.pop()
    if (last !== undefined) return [...this.#runs, { ...last, nextOffset: this.#next }]
    if (this.#next === this.#options.fromOffset) return []
    return [{ records: this.#records.subarray(0, 0), fromOffset: this.#options.fromOffset, nextOffset: this.#next }]
  }

  #closeRun(end: number): void {
    if (this.#runStart === undefined) return
    const records = this.#records.subarray(this.#runStart, end)
    this.#runs.push({ records, fromOffset: this.#runFrom, nextOffset: this.#next })
    this.#runFrom = this.#next
    this.#runStart = undefined
  }

  #check(position: number): void {
    const magic = this.#records[position + BATCH_AT.magic]
    if (magic !== BATCH_MAGIC)
      throw corrupt({ options: this.#options, position }, `a batch has format ${magic}, only 2 is known`)
    if (this.#options.isCrcChecked && !isBatchCrcValid(this.#records, position)) {
      throw corrupt({ options: this.#options, position }, 'the checksum of a batch is wrong')
    }
  }

  #isExcluded(position: number, bytes: number, lastOffset: bigint): boolean {
    const attributes = this.#records.readInt16BE(position + BATCH_AT.attributes)
    const producerId = this.#records.readBigInt64BE(position + BATCH_AT.producerId)
    for (
      let next = this.#pendingAborts[0];
      next !== undefined && next.firstOffset <= lastOffset;
      next = this.#pendingAborts[0]
    ) {
      this.#aborting.add(next.producerId)
      this.#pendingAborts.shift()
    }
    if (isControl(attributes)) {
      if (this.#aborting.has(producerId) && this.#isAbortMarker(position, bytes)) this.#aborting.delete(producerId)
      return true
    }
    return isTransactional(attributes) && this.#aborting.has(producerId)
  }

  /**
   * ```
   * control record => length attributes timestampDelta offsetDelta keyLength version type …
   *   version, type => INT16
   * ```
   */
  #isAbortMarker(position: number, bytes: number): boolean {
    try {
      const reader = new ByteReader(this.#records, position + BATCH_HEADER_BYTES, position + bytes)
      reader.varint()
      reader.int8()
      reader.varlong()
      reader.varint()
      reader.varint()
      reader.int16()
      return reader.int16() === abortMarker
    } catch (error) {
      throw corrupt({ options: this.#options, position }, 'a control batch cannot be read', error)
    }
  }
}

function corrupt(at: { options: CutOptions; position: number }, reason: string, cause?: unknown): PipelineError {
  const { options, position } = at
  return new PipelineError(
    'ERR_CLIENT_RECORDS_CORRUPT',
    `${options.what} from offset ${options.fromOffset}: ${reason} (byte ${position} of the answer)`,
    { cause, kafkaCode: 2 }
  )
}
