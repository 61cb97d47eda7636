/**
 * One transactional producer: what it may do now, and what each answer means. Pure: no I/O, no clock.
 *
 * ```
 * new ─ initializing ─ ready ─ open ─ committing ─ ready
 *            ▲                  │ └──── aborting ─ ready        (protocol 2: the end of a transaction raises the epoch)
 *            │                  └ abortable ─┘ └─ initializing  (protocol 1: only InitProducerId does, KIP-360)
 *            └──────────────────────────────────────┘
 * ```
 * and `fatal` from everywhere, for good.
 *
 * Invariants:
 * - Records and offsets are sent in `open` only, and with the first protocol
 *   only to partitions and groups that the coordinator knows to be part of it.
 * - What failed once is never committed: from `abortable` only an abort leads on.
 * - After an abort the next transaction has a higher epoch: whatever of the
 *   aborted one is still on its way is refused.
 * - A commit counts as done only on the coordinator's word. If it was sent and
 *   no word can be had any more, the outcome is *unknown*, never guessed.
 *
 * Source: KIP-98, KIP-360, KIP-447, KIP-890; the error table is that of Kafka's `TransactionManager`.
 */

import { invariant } from '../core/index.ts'
import { isKafkaErrorRetriable } from '../protocol/index.ts'
import type { ProducerIdentity } from './append-partition.ts'
import { KAFKA } from './kafka-error.ts'

/** What a transactional producer is doing. */
export type TransactionPhase =
  | 'new'
  | 'initializing'
  | 'ready'
  | 'open'
  /** A transaction that can only be aborted. */
  | 'abortable'
  | 'committing'
  | 'aborting'
  /** Fenced or refused for good. */
  | 'fatal'

/** Requests of a transaction. */
export type TransactionRequest =
  'InitProducerId' | 'AddPartitionsToTxn' | 'AddOffsetsToTxn' | 'TxnOffsetCommit' | 'Produce' | 'EndTxn'

/**
 * What an error code means: `retry` it, look for the `coordinator` and then retry, give the transaction up
 * (`abortable`; `member` if it is the group that refuses), or give the producer up (`fenced`, `fatal`).
 */
export type TransactionVerdict = 'done' | 'retry' | 'coordinator' | 'abortable' | 'member' | 'fenced' | 'fatal'

/** 1: partitions are added by request (KIP-98). 2: by writing to them, and every end raises the epoch (KIP-890). */
export type TransactionProtocol = 1 | 2

/** The phases that may follow each phase. */
export const NEXT_PHASES: Readonly<Record<TransactionPhase, readonly TransactionPhase[]>> = {
  new: ['initializing', 'fatal'],
  initializing: ['ready', 'fatal'],
  ready: ['open', 'initializing', 'fatal'],
  open: ['abortable', 'committing', 'aborting', 'ready', 'fatal'],
  abortable: ['aborting', 'ready', 'initializing', 'fatal'],
  committing: ['ready', 'abortable', 'fatal'],
  aborting: ['ready', 'initializing', 'fatal'],
  fatal: []
}

/** Retried beside what Kafka's table calls retriable. */
const retried: ReadonlySet<number> = new Set([KAFKA.CONCURRENT_TRANSACTIONS, KAFKA.REBALANCE_IN_PROGRESS])
const moved: ReadonlySet<number> = new Set([
  KAFKA.COORDINATOR_NOT_AVAILABLE,
  KAFKA.NOT_COORDINATOR,
  KAFKA.REQUEST_TIMED_OUT
])
const memberCodes: ReadonlySet<number> = new Set([
  KAFKA.ILLEGAL_GENERATION,
  KAFKA.UNKNOWN_MEMBER_ID,
  KAFKA.FENCED_INSTANCE_ID,
  KAFKA.STALE_MEMBER_EPOCH
])
/** Codes after which this producer cannot go on, whatever was asked. */
const fatalCodes: ReadonlySet<number> = new Set([
  KAFKA.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
  KAFKA.CLUSTER_AUTHORIZATION_FAILED,
  KAFKA.UNSUPPORTED_VERSION,
  KAFKA.INVALID_PRODUCER_ID_MAPPING
])
/** Codes that only concern what was asked for: the transaction fails, the producer goes on. */
const abortableCodes: ReadonlySet<number> = new Set([
  KAFKA.TRANSACTION_ABORTABLE,
  KAFKA.TOPIC_AUTHORIZATION_FAILED,
  KAFKA.GROUP_AUTHORIZATION_FAILED,
  KAFKA.OPERATION_NOT_ATTEMPTED,
  KAFKA.OFFSET_METADATA_TOO_LARGE
])

/**
 * What an error code means in the answer to a request.
 *
 * Produce differs: an old epoch there may be the coordinator's own doing (a transaction that took too long), so the
 * transaction is aborted, and the answer to that tells a fenced producer.
 */
export function transactionVerdict(code: number, request: TransactionRequest): TransactionVerdict {
  if (code === KAFKA.NONE) return 'done'
  if (request === 'Produce') {
    if (code === KAFKA.PRODUCER_FENCED) return 'fenced'
    return fatalCodes.has(code) ? 'fatal' : 'abortable'
  }
  if (code === KAFKA.PRODUCER_FENCED || code === KAFKA.INVALID_PRODUCER_EPOCH) return 'fenced'
  if (fatalCodes.has(code)) return 'fatal'
  if (moved.has(code)) return 'coordinator'
  if (request === 'TxnOffsetCommit' && memberCodes.has(code)) return 'member'
  if (retried.has(code) || isKafkaErrorRetriable(code)) return 'retry'
  if (abortableCodes.has(code)) return request === 'InitProducerId' ? 'fatal' : 'abortable'
  // INVALID_TXN_STATE among others: client and coordinator disagree, so nothing that follows could be trusted.
  return 'fatal'
}

/** What to do in order to end a transaction. */
export type EndStep =
  /** Send EndTxn. */
  | 'send'
  /** Nothing was sent in it: there is nothing to end. */
  | 'nothing'

/** State of one transactional producer. */
export class TransactionState {
  #phase: TransactionPhase = 'new'
  #identity: ProducerIdentity | undefined
  #protocol: TransactionProtocol = 1
  /** Something was, or may have been, made part of the transaction. */
  #isStarted = false
  /** Partitions that are part of it, as `topic/partition`. */
  readonly #partitions = new Set<string>()
  /** Partitions that the coordinator has to be told of. */
  readonly #wanted = new Set<string>()
  readonly #groups = new Set<string>()
  /** EndTxn requests of this commit that did not settle it. */
  #unsettledCommits = 0

  get phase(): TransactionPhase {
    return this.#phase
  }

  /** Who the producer is; `undefined` before it was first initialized. */
  get identity(): ProducerIdentity | undefined {
    return this.#identity
  }

  get protocol(): TransactionProtocol {
    return this.#protocol
  }

  /** Whether the commit that failed may have happened all the same. */
  get isCommitUnknown(): boolean {
    return this.#unsettledCommits > 0
  }

  /** Partitions that the coordinator has to be told of before they are written to, as `topic/partition`. */
  get wantedPartitions(): readonly string[] {
    return [...this.#wanted]
  }

  /** InitProducerId is about to be sent. */
  initialize(): void {
    this.#go('initializing')
  }

  /** InitProducerId was answered. */
  initialized(identity: ProducerIdentity, protocol: TransactionProtocol): void {
    invariant(this.#phase === 'initializing', `nobody asked for a producer id in phase ${this.#phase}`)
    this.#go('ready')
    this.#identity = identity
    this.#protocol = protocol
  }

  /** A transaction begins. */
  begin(): void {
    this.#go('open')
    this.#clear()
  }

  /** Whether a partition may be written to now. If not in an open transaction, it is wanted from now on. */
  admits(topic: string, partition: number): boolean {
    if (this.#phase !== 'open') return false
    const name = `${topic}/${partition}`
    if (this.#partitions.has(name)) return true
    if (this.#protocol === 1) {
      this.#wanted.add(name)
      return false
    }
    this.#isStarted = true
    this.#partitions.add(name)
    return true
  }

  /** The coordinator is being told of partitions: from now on they may be part of the transaction. */
  adding(): void {
    this.#isStarted = true
  }

  /** The coordinator knows of these partitions. */
  added(names: readonly string[]): void {
    for (const name of names) {
      this.#wanted.delete(name)
      if (this.#phase === 'open') this.#partitions.add(name)
    }
  }

  /** Offsets are about to be sent: whether the coordinator has to be told of their group before. */
  addingGroup(groupId: string): boolean {
    invariant(this.#phase === 'open', `offsets cannot be sent in phase ${this.#phase}`)
    this.#isStarted = true
    return this.#protocol === 1 && !this.#groups.has(groupId)
  }

  /** The coordinator knows of this group. */
  addedGroup(groupId: string): void {
    this.#groups.add(groupId)
  }

  /** Something failed: an open transaction cannot be committed any more, or nothing can go on at all. */
  fail(verdict: 'abortable' | 'fatal'): void {
    if (verdict === 'fatal') {
      if (this.#phase !== 'fatal') this.#go('fatal')
    } else if (this.#phase === 'open' || this.#phase === 'committing') {
      this.#go('abortable')
    }
  }

  /** Ends the transaction. */
  end(isCommit: boolean): EndStep {
    invariant(isCommit ? this.#phase === 'open' : this.#phase !== 'ready', `nothing to end in phase ${this.#phase}`)
    this.#unsettledCommits = 0
    if (this.#isStarted) {
      this.#go(isCommit ? 'committing' : 'aborting')
      return 'send'
    }
    this.#go('ready')
    return 'nothing'
  }

  /** EndTxn of a commit got no answer, or one that does not settle it. */
  commitUnsettled(): void {
    if (this.#phase === 'committing') this.#unsettledCommits += 1
  }

  /**
   * EndTxn was answered: the transaction is over. With the first protocol, an abort has to be followed by
   * `initialize`.
   *
   * @param next - The identity to go on with, if the coordinator gave one.
   */
  ended(next: ProducerIdentity | undefined): void {
    const wasAborted = this.#phase === 'aborting'
    invariant(wasAborted || this.#phase === 'committing', `no transaction is being ended in phase ${this.#phase}`)
    if (next !== undefined && this.#protocol === 2) this.#identity = next
    this.#unsettledCommits = 0
    this.#clear()
    this.#go(wasAborted && this.#protocol === 1 ? 'initializing' : 'ready')
  }

  #clear(): void {
    this.#isStarted = false
    this.#partitions.clear()
    this.#wanted.clear()
    this.#groups.clear()
  }

  #go(next: TransactionPhase): void {
    invariant(
      NEXT_PHASES[this.#phase].includes(next),
      `a transactional producer cannot go from ${this.#phase} to ${next}`
    )
    this.#phase = next
  }
}
