/**
 * Records of `__transaction_state`, in Kafka's format, so that Kafka's own tools
 * read them.
 *
 *   key   => type i16 (0) | transactionalId
 *   value => version i16 | fields     none for a tombstone
 *
 * Written is TransactionLogValue 1, which is flexible and carries what KIP-890
 * needs; 0 while the feature `transaction.version` is 0. Read are both.
 */

import {
  decodeRecordKey,
  decodeVersioned,
  encodeRecordKey,
  encodeVersioned,
  recordTypeOf,
  transactionLogKeyCodec,
  type TransactionLogValue,
  transactionLogValueCodec
} from '../../protocol/index.ts'
import { PipelineError } from '../../core/index.ts'
import {
  NO_PARTITIONS,
  NO_PRODUCER_EPOCH,
  type PartitionSet,
  TRANSACTION_STATE_IDS,
  type TransactionMetadata,
  type TransactionState
} from './transaction-state.ts'

/** Key and value of one record; no value for a tombstone. */
export interface TransactionRecord {
  readonly key: Buffer
  readonly value: Buffer | null
}

/** A record of `__transaction_state` as it was read. */
export interface ReadTransactionRecord {
  readonly transactionalId: string
  /** `undefined` for a tombstone. */
  readonly metadata: TransactionMetadata | undefined
}

/**
 * The record of a transactional id, or its tombstone.
 *
 * @param options.valueVersion - 0 or 1. Default 1.
 */
export function encodeTransaction(
  transactionalId: string,
  metadata: TransactionMetadata | undefined,
  options: { readonly valueVersion?: number } = {}
): TransactionRecord {
  const key = encodeRecordKey(transactionLogKeyCodec, { transactionalId })
  if (metadata === undefined) return { key, value: null }
  const { valueVersion = 1 } = options
  const partitions = [...metadata.partitions].map(([topic, numbers]) => ({ topic, partitionIds: [...numbers] }))
  const kip890 = {
    previousProducerId: metadata.previousProducerId,
    nextProducerId: metadata.nextProducerId,
    clientTransactionVersion: metadata.clientVersion
  }
  const value = encodeVersioned(transactionLogValueCodec, valueVersion, {
    producerId: metadata.producerId,
    producerEpoch: metadata.producerEpoch,
    transactionTimeoutMs: metadata.timeoutMs,
    transactionStatus: TRANSACTION_STATE_IDS[metadata.state],
    transactionPartitions: metadata.state === 'Empty' ? null : partitions,
    transactionLastUpdateTimestampMs: BigInt(metadata.lastUpdateMs),
    transactionStartTimestampMs: BigInt(metadata.startMs),
    ...(valueVersion >= 1 ? kip890 : {})
  })
  return { key, value }
}

/**
 * Reads one record; `undefined` for a type that Kafka has not either.
 *
 * @throws PipelineError `ERR_PROTOCOL_…` or `ERR_BROKER_DATA_DAMAGED` if the record is damaged: the log has checked
 *   its CRC before.
 */
export function readTransactionRecord(key: Buffer, value: Buffer | null): ReadTransactionRecord | undefined {
  if (recordTypeOf(key) !== transactionLogKeyCodec.recordType) return undefined
  const { transactionalId } = decodeRecordKey(transactionLogKeyCodec, key)
  if (value === null) return { transactionalId, metadata: undefined }
  return { transactionalId, metadata: readValue(decodeVersioned(transactionLogValueCodec, value)) }
}

function readValue(stored: TransactionLogValue): TransactionMetadata {
  return {
    state: stateOf(stored.transactionStatus),
    producerId: stored.producerId,
    previousProducerId: stored.previousProducerId,
    nextProducerId: stored.nextProducerId,
    producerEpoch: stored.producerEpoch,
    lastProducerEpoch: NO_PRODUCER_EPOCH,
    timeoutMs: stored.transactionTimeoutMs,
    partitions: readPartitions(stored.transactionPartitions),
    startMs: Number(stored.transactionStartTimestampMs),
    lastUpdateMs: Number(stored.transactionLastUpdateTimestampMs),
    clientVersion: stored.clientTransactionVersion
  }
}

function readPartitions(stored: TransactionLogValue['transactionPartitions']): PartitionSet {
  if (stored === null) return NO_PARTITIONS
  return new Map(stored.map(({ topic, partitionIds }) => [topic, new Set(partitionIds)]))
}

const STATES_BY_ID: ReadonlyMap<number, TransactionState> = new Map(
  Object.entries(TRANSACTION_STATE_IDS).flatMap(([name, id]) => (isState(name) ? [[id, name] as const] : []))
)

/** Whether a text is the name of a state. */
export function isState(name: string): name is TransactionState {
  return Object.hasOwn(TRANSACTION_STATE_IDS, name)
}

function stateOf(id: number): TransactionState {
  const state = STATES_BY_ID.get(id)
  if (state !== undefined) return state
  throw new PipelineError('ERR_BROKER_DATA_DAMAGED', `__transaction_state holds a state ${id} that does not exist`)
}
