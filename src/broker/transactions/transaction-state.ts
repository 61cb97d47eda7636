/**
 * What is known of one transactional id, as values, and which state may follow
 * which. Pure.
 *
 * Source: KIP-98, KIP-890; Kafka `TransactionState`, `TransactionMetadata`.
 */

/** No producer id, in Kafka's records. */
export const NO_PRODUCER_ID = -1n
/** No producer epoch, in Kafka's records. */
export const NO_PRODUCER_EPOCH = -1
/** The largest epoch a client is ever told. One more is left, so that its owner can still be fenced. */
export const CLIENT_EPOCH_MAX = 0x7fff - 1
/** Feature level from which on the epoch is bumped with every transaction (KIP-890). */
export const EPOCH_BUMP_VERSION = 2

/** `transaction.version` that a request speaks of: whether the client's protocol bumps the epoch at every end. */
export function clientTransactionVersion(isBumping: boolean): number {
  return isBumping ? EPOCH_BUMP_VERSION : 0
}

/** Kafka's ids of the states, as they are stored. */
export const TRANSACTION_STATE_IDS = {
  Empty: 0,
  Ongoing: 1,
  PrepareCommit: 2,
  PrepareAbort: 3,
  CompleteCommit: 4,
  CompleteAbort: 5,
  Dead: 6,
  PrepareEpochFence: 7
} as const

/** State of a transactional id. */
export type TransactionState = keyof typeof TRANSACTION_STATE_IDS

/**
 * Which states may follow a state. `Dead` is the tombstone, and nothing follows
 * it. `PrepareEpochFence` is passed through within one decision and never stored:
 * the epoch is raised before the transaction of its former owner is aborted.
 */
export const NEXT_STATES: Readonly<Record<TransactionState, readonly TransactionState[]>> = {
  Empty: ['Empty', 'Ongoing', 'PrepareAbort', 'Dead'],
  Ongoing: ['Ongoing', 'PrepareCommit', 'PrepareAbort', 'PrepareEpochFence'],
  PrepareCommit: ['CompleteCommit'],
  PrepareAbort: ['CompleteAbort'],
  CompleteCommit: ['Empty', 'Ongoing', 'PrepareAbort', 'Dead'],
  CompleteAbort: ['Empty', 'Ongoing', 'PrepareAbort', 'Dead'],
  Dead: [],
  PrepareEpochFence: ['PrepareAbort']
}

/** A partition by name. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** Partition numbers by topic. */
export type PartitionSet = ReadonlyMap<string, ReadonlySet<number>>

/** Everything stored of a transactional id. Immutable. */
export interface TransactionMetadata {
  readonly state: TransactionState
  readonly producerId: bigint
  /** The producer id before this record, or -1. */
  readonly previousProducerId: bigint
  /** The producer id that follows when the transaction is complete, because the epochs are used up; else -1. */
  readonly nextProducerId: bigint
  /** -1 until the first InitProducerId has been answered. */
  readonly producerEpoch: number
  /** The epoch before, if its owner may ask again; else -1. Lost at a restart, as in Kafka. */
  readonly lastProducerEpoch: number
  /** How long a transaction may be open, in milliseconds. */
  readonly timeoutMs: number
  /** The partitions of the transaction; `__consumer_offsets` among them for offsets. */
  readonly partitions: PartitionSet
  /** When the transaction began, in epoch milliseconds, or -1. */
  readonly startMs: number
  /** When this was decided, in epoch milliseconds. */
  readonly lastUpdateMs: number
  /** `transaction.version` that the client used: from 2 on the epoch grows with every transaction. */
  readonly clientVersion: number
}

/** No partitions. */
export const NO_PARTITIONS: PartitionSet = new Map()

/** Whether no epoch of a producer id is left for clients. */
export function isEpochExhausted(epoch: number): boolean {
  return epoch >= CLIENT_EPOCH_MAX
}

/** Whether a set contains all of the partitions. */
export function containsAll(set: PartitionSet, partitions: readonly TopicPartition[]): boolean {
  return partitions.every(({ topic, partition }) => set.get(topic)?.has(partition) === true)
}

/** The set with more partitions in it. */
export function withPartitions(set: PartitionSet, partitions: readonly TopicPartition[]): PartitionSet {
  const added = new Map([...set].map(([topic, numbers]) => [topic, new Set(numbers)]))
  for (const { topic, partition } of partitions) {
    const numbers = added.get(topic)
    if (numbers === undefined) added.set(topic, new Set([partition]))
    else numbers.add(partition)
  }
  return added
}

/** The partitions one by one. */
export function partitionsOf(set: PartitionSet): TopicPartition[] {
  return [...set].flatMap(([topic, numbers]) => [...numbers].map(partition => ({ topic, partition })))
}

/** A new transactional id: nothing of it is stored yet. */
export function newTransaction(producerId: bigint, timeoutMs: number, nowMs: number): TransactionMetadata {
  return {
    state: 'Empty',
    producerId,
    previousProducerId: NO_PRODUCER_ID,
    nextProducerId: NO_PRODUCER_ID,
    producerEpoch: NO_PRODUCER_EPOCH,
    lastProducerEpoch: NO_PRODUCER_EPOCH,
    timeoutMs,
    partitions: NO_PARTITIONS,
    startMs: -1,
    lastUpdateMs: nowMs,
    clientVersion: 0
  }
}
