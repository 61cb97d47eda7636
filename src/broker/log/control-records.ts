/**
 * Markers that end a transaction: one control batch with one record, in Kafka's
 * bytes.
 *
 *   key   => version i16 (0) | type i16 (0 abort, 1 commit)
 *   value => version i16 (0) | coordinator_epoch i32
 *
 * Source: Kafka `ControlRecordType`, `EndTransactionMarker`.
 */

import { RecordBatchBuilder, RecordCursor } from '../../protocol/index.ts'

const KEY_BYTES = 4
const VALUE_BYTES = 6
const ABORT = 0
const COMMIT = 1

/** What a marker says. */
export interface MarkerFields {
  readonly producerId: bigint
  readonly producerEpoch: number
  /** Epoch of the transaction coordinator that writes it. */
  readonly coordinatorEpoch: number
  readonly isCommit: boolean
}

/** Encodes the batch of a marker. */
export function encodeMarker(marker: MarkerFields, timestampMs: number): Buffer {
  const key = Buffer.alloc(KEY_BYTES)
  key.writeInt16BE(marker.isCommit ? COMMIT : ABORT, 2)
  const value = Buffer.alloc(VALUE_BYTES)
  value.writeInt32BE(marker.coordinatorEpoch, 2)
  const builder = new RecordBatchBuilder()
  builder.tryAppend(timestampMs, key, value)
  const { producerId, producerEpoch } = marker
  return builder.build({ producerId, producerEpoch, baseSequence: -1, isTransactional: true, isControl: true })
}

/**
 * Reads the end of a transaction out of a control batch; `undefined` for control
 * batches of another kind, and for those that compaction has emptied.
 *
 * @throws PipelineError if the record cannot be read.
 */
export function decodeMarker(batch: Buffer): MarkerFields | undefined {
  const cursor = new RecordCursor({ isCrcChecked: false })
  cursor.reset(batch)
  if (!cursor.nextBatch() || !cursor.nextRecord()) return undefined
  const key = cursor.key()
  const value = cursor.value()
  if (key === null || value === null || key.length < KEY_BYTES || value.length < VALUE_BYTES) return undefined
  const type = key.readInt16BE(2)
  if (type !== ABORT && type !== COMMIT) return undefined
  const { producerId, producerEpoch } = cursor.header
  return { producerId, producerEpoch, coordinatorEpoch: value.readInt32BE(2), isCommit: type === COMMIT }
}
