/**
 * One transactional id: what each request decides.
 *
 * Pure. A decision is an answer, or the metadata to store first; nothing changes
 * until the runtime has stored it and calls `apply`, which is also what a restart
 * replays. Between `begin` and `apply` or `abandon` the id is changing: whatever
 * would change it again is CONCURRENT_TRANSACTIONS, which clients retry.
 *
 * Invariants: a transition that is not in the table is never decided. The epoch
 * of a producer id only grows. A transaction leaves `PrepareCommit` and
 * `PrepareAbort` only by `complete`, when all its markers are written.
 *
 * Source: KIP-98, KIP-360 (expected producer id), KIP-447, KIP-890 (epoch bump);
 * Kafka `TransactionCoordinator`, `TransactionMetadata`, KAFKA-19367, KAFKA-20090.
 */

import { invariant } from '../../core/index.ts'
import type { KafkaErrorName } from '../../protocol/index.ts'
import {
  CLIENT_EPOCH_MAX,
  containsAll,
  EPOCH_BUMP_VERSION,
  isEpochExhausted,
  newTransaction,
  NEXT_STATES,
  NO_PARTITIONS,
  NO_PRODUCER_EPOCH,
  NO_PRODUCER_ID,
  type TopicPartition,
  type TransactionMetadata,
  type TransactionState,
  withPartitions
} from './transaction-state.ts'

/** A producer id with its epoch. */
export interface ProducerIdentity {
  readonly producerId: bigint
  readonly producerEpoch: number
}

/** Something that a request decides. */
export type Decision =
  /** Nothing to store; with NONE, the identity that the client goes on with. */
  | ({ readonly kind: 'answer'; readonly error: KafkaErrorName } & ProducerIdentity)
  /** To be stored before it is answered. */
  | { readonly kind: 'write'; readonly metadata: TransactionMetadata }
  /** The same request again, with a producer id that was never given: the epochs are used up. */
  | { readonly kind: 'needProducerId' }

/** InitProducerId with a transactional id. */
export interface InitRequest {
  readonly timeoutMs: number
  /** The identity that the caller believes to have (KIP-360). */
  readonly expected: ProducerIdentity | undefined
  /** `transaction.version` of the cluster. */
  readonly serverVersion: number
  /** After `needProducerId`. */
  readonly freshProducerId?: bigint
}

/** AddPartitionsToTxn, AddOffsetsToTxn, or what a produce request adds. */
export interface AddRequest extends ProducerIdentity {
  readonly partitions: readonly TopicPartition[]
  /** `transaction.version` of the client. */
  readonly clientVersion: number
}

/** EndTxn. */
export interface EndRequest extends ProducerIdentity {
  readonly isCommit: boolean
  /** `transaction.version` of the client. */
  readonly clientVersion: number
  /** After `needProducerId`. */
  readonly freshProducerId?: bigint
}

/** What the coordinator decides by itself: to fence the owner of an open transaction and abort it. */
export interface FenceRequest {
  /** `transaction.version` of the cluster. */
  readonly serverVersion: number
  /** After `needProducerId`. */
  readonly freshProducerId?: bigint
}

/** The state of one transactional id. */
export class Transaction {
  #current: TransactionMetadata
  #next: TransactionMetadata | 'Dead' | undefined

  constructor(current: TransactionMetadata) {
    this.#current = current
  }

  /** A transactional id of which nothing is stored yet. */
  static create(producerId: bigint, timeoutMs: number, nowMs: number): Transaction {
    return new Transaction(newTransaction(producerId, timeoutMs, nowMs))
  }

  /** What was stored last. */
  get current(): TransactionMetadata {
    return this.#current
  }

  /** Whether something is being stored, or markers are being written: no request may change it meanwhile. */
  get isChanging(): boolean {
    return this.#next !== undefined || this.isCompleting
  }

  /** Whether markers must be written. */
  get isCompleting(): boolean {
    return this.#current.state === 'PrepareCommit' || this.#current.state === 'PrepareAbort'
  }

  /** Says that the metadata, or with `Dead` the tombstone, is being stored. */
  begin(next: TransactionMetadata | 'Dead'): void {
    const state = next === 'Dead' ? 'Dead' : next.state
    invariant(this.#next === undefined, 'a transactional id changes twice at a time')
    invariant(NEXT_STATES[this.#current.state].includes(state), `a transaction went from ${this.#current.state} to it`)
    this.#next = next
  }

  /** Takes over what was stored. */
  apply(metadata: TransactionMetadata): void {
    this.#current = metadata
    this.#next = undefined
  }

  /** Says that it could not be stored: nothing has changed. */
  abandon(): void {
    this.#next = undefined
  }

  /** InitProducerId: a new epoch, after the open transaction of the former owner is aborted. */
  initProducerId(request: InitRequest, nowMs: number): Decision {
    const { state, producerEpoch } = this.#current
    const { expected, timeoutMs, freshProducerId } = request
    if (this.#next !== undefined) return refuse('CONCURRENT_TRANSACTIONS')
    if (expected !== undefined && !this.#isKnown(expected)) return refuse('PRODUCER_FENCED')
    if (this.isCompleting) return refuse('CONCURRENT_TRANSACTIONS')
    if (state === 'Ongoing') return this.fence(request, nowMs)
    const isRotated =
      isEpochExhausted(producerEpoch) && (expected === undefined || expected.producerEpoch === producerEpoch)
    const begun = { timeoutMs, partitions: NO_PARTITIONS, startMs: -1, lastUpdateMs: nowMs }
    if (isRotated) {
      if (freshProducerId === undefined) return { kind: 'needProducerId' }
      const lastProducerEpoch = expected === undefined ? NO_PRODUCER_EPOCH : producerEpoch
      return this.#write('Empty', { ...begun, producerId: freshProducerId, producerEpoch: 0, lastProducerEpoch })
    }
    const epochs = this.#nextEpoch(expected?.producerEpoch)
    return epochs === undefined ? refuse('PRODUCER_FENCED') : this.#write('Empty', { ...begun, ...epochs })
  }

  /**
   * Aborts the open transaction and raises the epoch, so that its owner is
   * fenced. The new epoch is told to nobody: a client that asks next gets a
   * higher one.
   */
  fence({ serverVersion, freshProducerId }: FenceRequest, nowMs: number): Decision {
    const { state, producerEpoch } = this.#current
    if (this.#next !== undefined || state !== 'Ongoing') return refuse('CONCURRENT_TRANSACTIONS')
    const isFencedByAbort = serverVersion >= EPOCH_BUMP_VERSION
    const isRotated = isFencedByAbort && isEpochExhausted(producerEpoch)
    if (isRotated && freshProducerId === undefined) return { kind: 'needProducerId' }
    return this.#write('PrepareAbort', {
      producerEpoch: producerEpoch + 1,
      // With KIP-890 the owner's own EndTxn is answered as a retry of this abort; before, it must not come back.
      lastProducerEpoch: isFencedByAbort ? producerEpoch : NO_PRODUCER_EPOCH,
      nextProducerId: isRotated && freshProducerId !== undefined ? freshProducerId : NO_PRODUCER_ID,
      lastUpdateMs: nowMs,
      clientVersion: isFencedByAbort ? EPOCH_BUMP_VERSION : 0
    })
  }

  /** Adds partitions to the transaction, and begins it with the first. */
  addPartitions(request: AddRequest, nowMs: number): Decision {
    // Before the identity: while a producer id is being replaced, its owner must retry instead of giving up.
    if (this.isChanging) return refuse('CONCURRENT_TRANSACTIONS')
    const error = this.#identityError(request)
    if (error !== undefined) return refuse(error)
    const { state, partitions, startMs } = this.#current
    const isOngoing = state === 'Ongoing'
    if (isOngoing && containsAll(partitions, request.partitions)) return this.#answer()
    return this.#write('Ongoing', {
      partitions: withPartitions(isOngoing ? partitions : NO_PARTITIONS, request.partitions),
      startMs: isOngoing ? startMs : nowMs,
      lastUpdateMs: nowMs,
      clientVersion: request.clientVersion
    })
  }

  /** Whether partitions are in the transaction: one error for each. */
  verifyPartitions(request: ProducerIdentity & { readonly partitions: readonly TopicPartition[] }): KafkaErrorName[] {
    const { partitions } = this.#current
    const error = this.#identityError(request) ?? (this.isCompleting ? 'CONCURRENT_TRANSACTIONS' : undefined)
    if (error !== undefined) return request.partitions.map(() => error)
    return request.partitions.map(each => (containsAll(partitions, [each]) ? 'NONE' : 'TRANSACTION_ABORTABLE'))
  }

  /** EndTxn. What follows `write` is answered with `identityAfterEnd`. */
  endTransaction(request: EndRequest, nowMs: number): Decision {
    return request.clientVersion >= EPOCH_BUMP_VERSION
      ? this.#endWithBump(request, nowMs)
      : this.#endWithoutBump(request, nowMs)
  }

  /** All markers are written: what ends the transaction. */
  complete(nowMs: number): TransactionMetadata {
    const { state, clientVersion, nextProducerId } = this.#current
    invariant(this.isCompleting, `a transaction in ${state} cannot be completed`)
    const isRotated = clientVersion >= EPOCH_BUMP_VERSION && nextProducerId !== NO_PRODUCER_ID
    return this.#transit(state === 'PrepareCommit' ? 'CompleteCommit' : 'CompleteAbort', {
      ...(isRotated ? { producerId: nextProducerId, producerEpoch: 0 } : {}),
      nextProducerId: NO_PRODUCER_ID,
      partitions: NO_PARTITIONS,
      lastUpdateMs: nowMs
    })
  }

  /** Whether the transaction has been open for longer than its timeout. */
  isTimedOut(nowMs: number): boolean {
    const { state, startMs, timeoutMs } = this.#current
    return state === 'Ongoing' && !this.isChanging && startMs + timeoutMs < nowMs
  }

  /** Whether nobody has used the id for so long that it may be forgotten. */
  isExpired(nowMs: number, expirationMs: number): boolean {
    const { state, lastUpdateMs } = this.#current
    const isIdle = state === 'Empty' || state === 'CompleteCommit' || state === 'CompleteAbort'
    return isIdle && !this.isChanging && lastUpdateMs <= nowMs - expirationMs
  }

  #endWithoutBump(request: EndRequest, nowMs: number): Decision {
    const { state } = this.#current
    const error = this.#identityError(request)
    if (error !== undefined) return refuse(error)
    if (this.isChanging) return refuse('CONCURRENT_TRANSACTIONS')
    if (state === 'Ongoing') return this.#prepare(request, nowMs)
    const isRepeated = state === (request.isCommit ? 'CompleteCommit' : 'CompleteAbort')
    return isRepeated ? this.#answer() : refuse('INVALID_TXN_STATE')
  }

  /**
   * With KIP-890 the same epoch means another transaction, and the epoch before
   * means a retry. A client does not know whether a failed produce began a
   * transaction, so an abort is taken even if there is none.
   */
  #endWithBump(request: EndRequest, nowMs: number): Decision {
    const { state, producerId, previousProducerId, producerEpoch } = this.#current
    const isSameId = request.producerId === producerId
    const isRetryOfRotation =
      request.producerId === previousProducerId && request.producerEpoch === CLIENT_EPOCH_MAX && producerEpoch === 0
    if (!isSameId && !isRetryOfRotation) return refuse('INVALID_PRODUCER_ID_MAPPING')
    const isCompleted = state === 'CompleteCommit' || state === 'CompleteAbort'
    const isBumped = isSameId && producerEpoch === request.producerEpoch + 1 && (isCompleted || this.isCompleting)
    const isRetry = isBumped || (isRetryOfRotation && isCompleted)
    const isCurrent = isSameId && request.producerEpoch === producerEpoch && !this.isCompleting
    if (!isRetry && !isCurrent) return refuse('PRODUCER_FENCED')
    if (this.isChanging) return refuse('CONCURRENT_TRANSACTIONS')
    if (isRetry) {
      return state === (request.isCommit ? 'CompleteCommit' : 'CompleteAbort')
        ? this.#answer()
        : refuse('INVALID_TXN_STATE')
    }
    if (request.isCommit && state !== 'Ongoing') return refuse('INVALID_TXN_STATE')
    return this.#prepare(request, nowMs)
  }

  #prepare({ isCommit, clientVersion, freshProducerId }: EndRequest, nowMs: number): Decision {
    const { producerEpoch, state, startMs } = this.#current
    const decided = { lastUpdateMs: nowMs, clientVersion }
    const next = isCommit ? 'PrepareCommit' : 'PrepareAbort'
    if (clientVersion < EPOCH_BUMP_VERSION) return this.#write(next, { ...decided, clientVersion: 0 })
    const isRotated = isEpochExhausted(producerEpoch)
    if (isRotated && freshProducerId === undefined) return { kind: 'needProducerId' }
    return this.#write(next, {
      ...decided,
      // The epoch above all client epochs: the markers of the last transaction of this producer id have it.
      producerEpoch: producerEpoch + 1,
      lastProducerEpoch: producerEpoch,
      nextProducerId: isRotated && freshProducerId !== undefined ? freshProducerId : NO_PRODUCER_ID,
      startMs: state === 'Ongoing' ? startMs : nowMs
    })
  }

  /** The epochs after InitProducerId; `undefined` if the expected one belongs to somebody who was fenced. */
  #nextEpoch(expectedEpoch: number | undefined): Pick<TransactionMetadata, Epochs> | undefined {
    const { producerEpoch, lastProducerEpoch } = this.#current
    if (expectedEpoch === undefined) {
      // Nobody may come back with an older epoch once a new producer has begun.
      return { producerEpoch: producerEpoch + 1, lastProducerEpoch: NO_PRODUCER_EPOCH }
    }
    if (producerEpoch === NO_PRODUCER_EPOCH || expectedEpoch === producerEpoch) {
      return { producerEpoch: producerEpoch + 1, lastProducerEpoch: producerEpoch }
    }
    // A retry of a call whose answer was lost.
    return expectedEpoch === lastProducerEpoch ? { producerEpoch, lastProducerEpoch } : undefined
  }

  /** KIP-360: whether the identity can be that of the last owner. */
  #isKnown(expected: ProducerIdentity): boolean {
    const { producerId, previousProducerId, producerEpoch } = this.#current
    const isPrevious = expected.producerId === previousProducerId && isEpochExhausted(expected.producerEpoch)
    return producerEpoch === NO_PRODUCER_EPOCH || expected.producerId === producerId || isPrevious
  }

  #identityError({ producerId, producerEpoch }: ProducerIdentity): KafkaErrorName | undefined {
    if (producerId !== this.#current.producerId) return 'INVALID_PRODUCER_ID_MAPPING'
    const isOwner = producerEpoch === this.#current.producerEpoch && producerEpoch !== NO_PRODUCER_EPOCH
    return isOwner ? undefined : 'PRODUCER_FENCED'
  }

  #answer(): Decision {
    const { producerId, producerEpoch } = this.#current
    return { kind: 'answer', error: 'NONE', producerId, producerEpoch }
  }

  #write(state: TransactionState, change: Partial<TransactionMetadata>): Decision {
    return { kind: 'write', metadata: this.#transit(state, change) }
  }

  #transit(state: TransactionState, change: Partial<TransactionMetadata>): TransactionMetadata {
    const current = this.#current
    invariant(NEXT_STATES[current.state].includes(state), `a transaction cannot go from ${current.state} to ${state}`)
    return { ...current, previousProducerId: current.producerId, ...change, state }
  }
}

type Epochs = 'producerEpoch' | 'lastProducerEpoch'

/** The identity that a client has after its EndTxn has stored the metadata: that of its next transaction. */
export function identityAfterEnd(metadata: TransactionMetadata): ProducerIdentity {
  const { producerId, producerEpoch, nextProducerId, clientVersion } = metadata
  if (clientVersion < EPOCH_BUMP_VERSION) return NO_IDENTITY
  return nextProducerId === NO_PRODUCER_ID
    ? { producerId, producerEpoch }
    : { producerId: nextProducerId, producerEpoch: 0 }
}

/** What is answered where there is no producer id to tell. */
export const NO_IDENTITY: ProducerIdentity = { producerId: NO_PRODUCER_ID, producerEpoch: NO_PRODUCER_EPOCH }

function refuse(error: KafkaErrorName): Decision {
  return { kind: 'answer', error, ...NO_IDENTITY }
}
