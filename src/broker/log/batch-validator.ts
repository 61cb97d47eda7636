/**
 * Checks a batch of a client before it gets an offset. What the log takes, every
 * consumer must be able to read, so the records are walked as Kafka walks them:
 * a batch whose count lies, or whose compressed part does not open, would stop
 * each of its consumers for good.
 *
 * Stored as produced, with two exceptions: a topic with its own compression
 * type, and a batch whose offset deltas are not 0, 1, 2, …, are encoded again.
 *
 * Never throws for bad input: the answer is an error code of the protocol.
 * Source: Kafka `LogValidator`, `UnifiedLog.analyzeAndValidateRecords`, `ProduceRequest.validateRecords`.
 */

import { messageOf, PipelineError } from '../../core/index.ts'
import {
  BATCH_AT,
  batchSizeAt,
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  compressionOf,
  type CompressionName,
  isBatchCrcValid,
  isControl,
  isLogAppendTime,
  isTransactional,
  KAFKA_ERRORS,
  readBatchHeader,
  RecordBatchBuilder,
  type RecordBatchHeader,
  RecordCursor,
  writeBatchCrc
} from '../../protocol/index.ts'
import type { RecordError } from './append-result.ts'
import type { LogConfig } from './topic-config.ts'

/** Who appends: a client, or the broker itself (committed offsets, transaction state). */
export type AppendOrigin = 'client' | 'coordinator'

/** What the check depends on. */
export interface ValidationOptions {
  readonly config: LogConfig
  readonly origin: AppendOrigin
  readonly nowMs: number
}

/** A batch that may be appended. */
export interface ValidBatch {
  readonly isValid: true
  /** Exactly one batch: the bytes that came in, or a new encoding of its records. */
  readonly records: Buffer
  readonly header: RecordBatchHeader
}

/** A batch that may not, with the reason. */
export interface InvalidBatch {
  readonly isValid: false
  readonly errorCode: number
  readonly errorMessage: string
  readonly recordErrors: readonly RecordError[]
  /** Whether the bytes as a whole were refused, before the log was asked: then Kafka tells no log start offset. */
  readonly isUnframed: boolean
}

/** Outcome of the check. */
export type Validation = ValidBatch | InvalidBatch

const LOG_APPEND_TIME_BIT = 0x08

/** Most records named in one answer: a batch may hold hundreds of thousands. */
const RECORD_ERRORS_MAX = 100

const NOTHING = Buffer.alloc(0)

function refuse(code: { readonly code: number }, errorMessage: string, recordErrors: RecordError[] = []): InvalidBatch {
  return { isValid: false, errorCode: code.code, errorMessage, recordErrors, isUnframed: false }
}

function refuseBytes(code: { readonly code: number }, errorMessage: string): InvalidBatch {
  return { ...refuse(code, errorMessage), isUnframed: true }
}

/** Checks batches; one for all partitions, as a check never waits. */
export class BatchValidator {
  readonly #cursor = new RecordCursor({ isCrcChecked: false })

  /** Checks what one produce request has for one partition. */
  validate(records: Buffer, options: ValidationOptions): Validation {
    const framed = frame(records)
    if (typeof framed !== 'number') return framed
    const batch = framed === records.length ? records : records.subarray(0, framed)
    const sent = readBatchHeader(batch, 0)
    const problem = bytesProblem(batch, sent, options) ?? headerProblem(sent, options)
    if (problem !== undefined) return problem
    const header = isLogAppendTime(sent.attributes) ? withCreateTime(batch) : sent
    try {
      return this.#checkRecords(batch, header, options)
    } catch (error) {
      // What the cursor or a codec refuses is the client's fault; all else is a defect of ours and must be seen.
      if (!PipelineError.is(error)) throw error
      // The checksum is right, so the bytes are what the client sent: not retriable, unlike CORRUPT_MESSAGE.
      return refuse(KAFKA_ERRORS.INVALID_RECORD, `the records cannot be read: ${messageOf(error)}`)
    } finally {
      this.#cursor.reset(NOTHING)
    }
  }

  #checkRecords(batch: Buffer, header: RecordBatchHeader, options: ValidationOptions): Validation {
    const walk = new RecordChecks(options)
    const cursor = this.#cursor
    cursor.reset(batch)
    let count = 0
    let isInOrder = true
    if (cursor.nextBatch()) {
      while (cursor.nextRecord()) {
        if (cursor.offsetDelta !== count) isInOrder = false
        walk.check(count, cursor.keyStart >= 0, cursor.timestampMs)
        // Not for their values: headers that do not fit their record are found only by reading them.
        if (cursor.headerCount > 0) cursor.headers()
        count += 1
      }
    }
    const problem = walk.problem()
    if (problem !== undefined) return problem
    const target = targetCompression(options.config, header)
    if (!isInOrder || target !== undefined) {
      const records = this.#encodeAgain(batch, header, target ?? compressionOf(header.attributes))
      return sizeProblem(records.length, options) ?? { isValid: true, records, header: readBatchHeader(records, 0) }
    }
    if (BigInt(walk.maxTimestampMs) === header.maxTimestamp) return { isValid: true, records: batch, header }
    // Time lookups and retention believe the header: it must not say anything else than the records.
    batch.writeBigInt64BE(BigInt(walk.maxTimestampMs), BATCH_AT.maxTimestamp)
    writeBatchCrc(batch, 0)
    return { isValid: true, records: batch, header: readBatchHeader(batch, 0) }
  }

  #encodeAgain(batch: Buffer, header: RecordBatchHeader, compression: CompressionName): Buffer {
    const builder = new RecordBatchBuilder({ compression, sizeBytesMax: 0x7fff_ffff })
    const cursor = this.#cursor
    cursor.reset(batch)
    cursor.nextBatch()
    while (cursor.nextRecord()) {
      builder.tryAppend(cursor.timestampMs, cursor.key(), cursor.value(), cursor.headers())
    }
    return builder.build({
      producerId: header.producerId,
      producerEpoch: header.producerEpoch,
      baseSequence: header.baseSequence,
      isTransactional: isTransactional(header.attributes),
      isControl: isControl(header.attributes)
    })
  }
}

/** Checks of single records: gathers what is wrong with which. */
class RecordChecks {
  readonly #needsKey: boolean
  readonly #checksTime: boolean
  readonly #minTimestampMs: number
  readonly #limitTimestampMs: number
  /** Largest timestamp seen, or -1. */
  maxTimestampMs = -1
  readonly #keyErrors: RecordError[] = []
  readonly #timeErrors: RecordError[] = []

  constructor({ config, nowMs }: ValidationOptions) {
    this.#needsKey = config.isCompacted
    this.#checksTime = config.timestampType === 'CreateTime'
    this.#minTimestampMs = nowMs - config.timestampBeforeMsMax
    this.#limitTimestampMs = nowMs + config.timestampAfterMsMax
  }

  check(batchIndex: number, hasKey: boolean, timestampMs: number): void {
    if (this.#needsKey && !hasKey && this.#keyErrors.length < RECORD_ERRORS_MAX) {
      this.#keyErrors.push({ batchIndex, message: 'a compacted topic takes no record without a key' })
    }
    if (timestampMs > this.maxTimestampMs) this.maxTimestampMs = timestampMs
    // -1 means that the producer gave no time: Kafka lets it pass.
    if (!this.#checksTime || timestampMs === -1) return
    const isIn = timestampMs >= this.#minTimestampMs && timestampMs <= this.#limitTimestampMs
    if (isIn || this.#timeErrors.length >= RECORD_ERRORS_MAX) return
    const range = `${this.#minTimestampMs} to ${this.#limitTimestampMs}`
    this.#timeErrors.push({ batchIndex, message: `timestamp ${timestampMs} is outside of ${range}` })
  }

  problem(): InvalidBatch | undefined {
    const errors = [...this.#timeErrors, ...this.#keyErrors]
    if (errors.length === 0) return undefined
    // With both kinds Kafka answers the one of the timestamps.
    const code = this.#timeErrors.length > 0 ? KAFKA_ERRORS.INVALID_TIMESTAMP : KAFKA_ERRORS.INVALID_RECORD
    return refuse(code, 'one or more records have been rejected', errors)
  }
}

/** Size of the one batch, or why there is not exactly one. An incomplete rest behind it is dropped, as in Kafka. */
function frame(records: Buffer): number | InvalidBatch {
  const sizeBytes = sizeOrProblem(records, 0)
  if (typeof sizeBytes === 'object') return sizeBytes
  if (sizeBytes === undefined) return refuseBytes(KAFKA_ERRORS.INVALID_RECORD, 'there is no complete record batch')
  const magic = records.readInt8(BATCH_AT.magic)
  // The older formats are known and not accepted any more; others have never been.
  const magicError = magic === 0 || magic === 1 ? KAFKA_ERRORS.INVALID_RECORD : KAFKA_ERRORS.CORRUPT_MESSAGE
  if (magic !== BATCH_MAGIC) return refuseBytes(magicError, `magic ${magic} is not accepted, only 2`)
  if (sizeBytes < BATCH_HEADER_BYTES) {
    return refuseBytes(KAFKA_ERRORS.CORRUPT_MESSAGE, `a record batch cannot have ${sizeBytes} bytes`)
  }
  const second = sizeOrProblem(records, sizeBytes)
  if (typeof second === 'object') return second
  if (second !== undefined) return refuseBytes(KAFKA_ERRORS.INVALID_RECORD, 'there is more than one record batch')
  return sizeBytes
}

function sizeOrProblem(records: Buffer, position: number): number | undefined | InvalidBatch {
  try {
    return batchSizeAt(records, position)
  } catch (error) {
    if (!PipelineError.is(error)) throw error
    return refuseBytes(KAFKA_ERRORS.CORRUPT_MESSAGE, messageOf(error))
  }
}

/** What is wrong with the bytes as such: size and checksum. */
function bytesProblem(
  batch: Buffer,
  { sizeBytes }: RecordBatchHeader,
  options: ValidationOptions
): InvalidBatch | undefined {
  const problem = sizeProblem(sizeBytes, options)
  if (problem !== undefined) return problem
  if (isBatchCrcValid(batch, 0)) return undefined
  return refuseBytes(KAFKA_ERRORS.CORRUPT_MESSAGE, 'the checksum of the record batch is wrong')
}

/** What is wrong with the size of a batch: as it was sent, or as its new encoding made it. */
function sizeProblem(sizeBytes: number, { config }: ValidationOptions): InvalidBatch | undefined {
  if (sizeBytes > config.messageBytesMax) {
    const text = `the record batch has ${sizeBytes} bytes, max.message.bytes is ${config.messageBytesMax}`
    return refuseBytes(KAFKA_ERRORS.MESSAGE_TOO_LARGE, text)
  }
  if (sizeBytes > config.segmentBytes) {
    const text = `the record batch has ${sizeBytes} bytes, segment.bytes is ${config.segmentBytes}`
    return refuseBytes(KAFKA_ERRORS.RECORD_LIST_TOO_LARGE, text)
  }
  return undefined
}

function headerProblem(header: RecordBatchHeader, { config, origin }: ValidationOptions): InvalidBatch | undefined {
  const { recordCount, lastOffsetDelta, attributes } = header
  if (recordCount <= 0 || lastOffsetDelta !== recordCount - 1) {
    const text = `${recordCount} records do not fit a last offset delta of ${lastOffsetDelta}`
    return refuse(KAFKA_ERRORS.INVALID_RECORD, text)
  }
  if ((attributes & 0x07) > 4) {
    return refuse(KAFKA_ERRORS.UNSUPPORTED_COMPRESSION_TYPE, `compression ${attributes & 0x07} is unknown`)
  }
  // Odd, but so it is in Kafka: refused only where the broker would set that type itself.
  if (isLogAppendTime(attributes) && config.timestampType === 'LogAppendTime') {
    const message = 'producers must not set the timestamp type LogAppendTime'
    const count = Math.min(recordCount, RECORD_ERRORS_MAX)
    const errors = Array.from({ length: count }, (_, batchIndex) => ({ batchIndex, message }))
    return refuse(KAFKA_ERRORS.INVALID_TIMESTAMP, 'one or more records have been rejected', errors)
  }
  return origin === 'client' ? clientHeaderProblem(header) : undefined
}

/** Takes the timestamp type LogAppendTime away from a batch of a topic with CreateTime: its records have their own. */
function withCreateTime(batch: Buffer): RecordBatchHeader {
  batch.writeInt16BE(batch.readInt16BE(BATCH_AT.attributes) & ~LOG_APPEND_TIME_BIT, BATCH_AT.attributes)
  writeBatchCrc(batch, 0)
  return readBatchHeader(batch, 0)
}

function clientHeaderProblem(header: RecordBatchHeader): InvalidBatch | undefined {
  if (isControl(header.attributes)) {
    return refuse(KAFKA_ERRORS.INVALID_RECORD, 'clients may not write control records')
  }
  if (header.producerId >= 0n && header.baseSequence < 0) {
    const text = `sequence ${header.baseSequence} of producer id ${header.producerId} is negative`
    return refuse(KAFKA_ERRORS.INVALID_RECORD, text)
  }
  if (isTransactional(header.attributes) && header.producerId < 0n) {
    return refuse(KAFKA_ERRORS.INVALID_TXN_STATE, 'a transactional batch needs a producer id')
  }
  return undefined
}

/** The compression that the topic wants, if it differs from that of the batch. */
function targetCompression(config: LogConfig, header: RecordBatchHeader): CompressionName | undefined {
  if (config.compressionType === 'producer') return undefined
  const target = config.compressionType === 'uncompressed' ? 'none' : config.compressionType
  return target === compressionOf(header.attributes) ? undefined : target
}
