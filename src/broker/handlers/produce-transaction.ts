/**
 * What a produce request with transactional batches must be told before they
 * are appended: whether their partitions are in the producer's transaction.
 *
 * The coordinator is asked for partitions that have no records of the
 * transaction yet. From version 12 on it adds them (KIP-890); before, the client
 * has added them and it only looks. Its errors become those that producers of
 * the version know how to handle.
 *
 * Source: KIP-890; Kafka `ReplicaManager.handleProduceAppend`,
 * `AddPartitionsToTxnManager`.
 */

import {
  BATCH_AT,
  BATCH_HEADER_BYTES,
  isTransactional,
  type KafkaErrorName,
  type ProduceRequest,
  readBatchHeader
} from '../../protocol/index.ts'
import type { AppendTransaction, PartitionLog, TransactionVerification } from '../log/index.ts'
import type { ProducerIdentity } from '../transactions/index.ts'
import type { BrokerState } from './broker-state.ts'
import { errorMessage, type Refusal } from './handler.ts'

/** First version whose clients know TRANSACTION_ABORTABLE. */
const ABORTABLE_VERSION = 11
/** First version whose batches add their partition to the transaction. */
const ADDING_VERSION = 12

/** A batch and the log it goes to. */
export interface BatchForLog {
  readonly log: PartitionLog
  readonly records: Buffer
}

/** What was found for the batches of one request. */
export interface CheckedTransaction {
  /** What is said of the batch of a partition when it is appended. */
  readonly proofs: ReadonlyMap<PartitionLog, AppendTransaction>
  /** Partitions that take no records of this request. */
  readonly refused: ReadonlyMap<PartitionLog, Refusal>
  /** To be called when the batches are with their logs. */
  release(): void
}

/** Whether a request holds transactional batches at all. */
export function hasTransactionalBatch(request: ProduceRequest): boolean {
  return request.topicData.some(({ partitionData }) =>
    partitionData.some(({ records }) => records !== null && isTransactionalBatch(records))
  )
}

/**
 * Asks the coordinator about the transactional batches of a request.
 *
 * @returns An error for the whole request, or what to append them with.
 */
export async function checkTransaction(
  broker: BrokerState,
  { transactionalId, apiVersion }: { readonly transactionalId: string; readonly apiVersion: number },
  batches: readonly BatchForLog[]
): Promise<CheckedTransaction | KafkaErrorName> {
  const transactional = batches.filter(({ records }) => isTransactionalBatch(records))
  const refused = new Map<PartitionLog, Refusal>()
  const proofs = new Map<PartitionLog, AppendTransaction>()
  const guards: TransactionVerification[] = []
  const release = (): void => guards.forEach(guard => guard.end())
  const [producer, ...others] = transactional.map(({ records }) => readBatchHeader(records, 0))
  if (producer === undefined) return { proofs, refused, release }
  const isSame = (other: ProducerIdentity): boolean =>
    other.producerId === producer.producerId && other.producerEpoch === producer.producerEpoch
  if (!others.every(isSame)) return 'INVALID_PRODUCER_ID_MAPPING'
  const asked: PartitionLog[] = []
  // A map: a request that names a partition twice must not wait for itself.
  for (const { log, records } of new Map(transactional.map(batch => [batch.log, batch])).values()) {
    const isVersion2 = apiVersion >= ADDING_VERSION
    const verification = log.beginVerification(readBatchHeader(records, 0), isVersion2)
    guards.push(verification)
    proofs.set(log, { isVerified: false, isVersion2, verification })
    const known = log.producers.get(producer.producerId)
    if (known !== undefined && producer.producerEpoch < known.producerEpoch) {
      refused.set(log, { error: 'INVALID_PRODUCER_EPOCH', message: errorMessage('INVALID_PRODUCER_EPOCH') })
    } else if (log.openTransaction(producer.producerId)?.producerEpoch !== producer.producerEpoch) asked.push(log)
  }
  try {
    await askCoordinator(broker, { transactionalId, apiVersion, producer, asked, proofs, refused })
    for (const guard of guards) await guard.turn()
  } catch (error) {
    release()
    throw error
  }
  return { proofs, refused, release }
}

async function askCoordinator(
  broker: BrokerState,
  question: {
    readonly transactionalId: string
    readonly apiVersion: number
    readonly producer: ProducerIdentity
    readonly asked: readonly PartitionLog[]
    readonly proofs: Map<PartitionLog, AppendTransaction>
    readonly refused: Map<PartitionLog, Refusal>
  }
): Promise<void> {
  const { transactionalId, apiVersion, asked, proofs, refused } = question
  if (asked.length === 0) return
  const { producerId, producerEpoch } = question.producer
  const errors = await broker.transactions.verifyOrAdd({
    transactionalId,
    producerId,
    producerEpoch,
    partitions: asked.map(({ topic, partition }) => ({ topic, partition })),
    mayAdd: apiVersion >= ADDING_VERSION
  })
  for (const [index, log] of asked.entries()) {
    const error = errors[index] ?? 'NONE'
    if (error !== 'NONE') refused.set(log, refusalOf(error, apiVersion))
    else proofs.set(log, { ...proofs.get(log), isVerified: true })
  }
}

/** Errors of the coordinator that pass: older clients would not retry a produce because of them. */
const PASSING_ERRORS: ReadonlySet<KafkaErrorName> = new Set([
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR'
])

function refusalOf(error: KafkaErrorName, apiVersion: number): Refusal {
  const isConcurrentHidden = error === 'CONCURRENT_TRANSACTIONS' && apiVersion < ADDING_VERSION
  if (isConcurrentHidden || PASSING_ERRORS.has(error)) {
    // This one makes clients retry without asking for metadata first.
    const message = `Unable to verify the partition has been added to the transaction. Underlying error: ${error}`
    return { error: 'NOT_ENOUGH_REPLICAS', message }
  }
  if (error === 'TRANSACTION_ABORTABLE' && apiVersion < ABORTABLE_VERSION) {
    return { error: 'INVALID_TXN_STATE', message: 'Partition was not added to the transaction' }
  }
  // What coordinators call fenced is an old epoch to a producer.
  const said = error === 'PRODUCER_FENCED' ? 'INVALID_PRODUCER_EPOCH' : error
  return { error: said, message: errorMessage(said) }
}

function isTransactionalBatch(records: Buffer): boolean {
  return records.length >= BATCH_HEADER_BYTES && isTransactional(records.readInt16BE(BATCH_AT.attributes))
}
