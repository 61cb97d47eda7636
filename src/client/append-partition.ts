/**
 * The batches of one partition: waiting, in flight, to be sent again. Pure: no I/O, no clock.
 *
 * Order and idempotence (KIP-98, KIP-360, as Kafka's own producer):
 * - A batch gets its sequence when it is first sent and keeps it when it is
 *   sent again, so the broker recognises it.
 * - After a failure nothing is sent until everything in flight has come back;
 *   then all of it is sent again in the old order, one batch at a time: a
 *   broker recognises only the last few batches, so none may overtake. Without
 *   idempotence one batch is in flight at a time in any case, which keeps the
 *   order without sequences.
 * - The broker refuses a sequence that does not follow (45) or a producer it
 *   has forgotten (59). For a batch behind another one that is only the echo of
 *   the failure before it. For the *first* outstanding batch the gap is real:
 *   an earlier batch was given up, or the log lost its end. Then the producer
 *   epoch of this partition goes up by one and the sequences begin at 0 again;
 *   brokers take a new epoch without asking the coordinator. After the last
 *   epoch, or when the epoch is refused (47), a new producer id is used.
 *   Limit: if records were lost by the log, the batches are appended anyway;
 *   if an earlier batch was given up, what follows it is appended without it.
 */

import type { AppendBatch, ProducerStamp } from './append-batch.ts'

/** A producer id and where its epochs begin. */
export interface ProducerIdentity {
  readonly producerId: bigint
  readonly producerEpoch: number
}

/** Batches in flight per partition that brokers can check for duplicates. Source: Kafka `NUM_BATCHES_TO_RETAIN`. */
export const PARTITION_IN_FLIGHT_MAX = 5

const epochMax = 32_766
/** Brokers forget idle producers (`producer.id.expiration.ms`, a day by default): after this they count as unknown. */
const knownForMs = 60_000
const sequenceModulus = 2 ** 31

/** The queue of one partition. */
export class AppendPartition {
  readonly topic: string
  readonly partition: number
  /** Not sent to before this time of the monotonic clock. */
  restUntilMs = 0
  /** Failures in a row. */
  failureCount = 0
  readonly #isIdempotent: boolean
  readonly #queue: AppendBatch[] = []
  #inFlight: AppendBatch[] = []
  /** The batch in flight that was sent before. */
  #retried: AppendBatch | undefined
  #identity: ProducerIdentity | undefined
  #isTransactional = false
  #nextSequence = 0
  #nextOrder = 0
  /** When the broker last took a batch under the present identity. */
  #knownAtMs = Number.NEGATIVE_INFINITY
  /** What is to happen once nothing is in flight. */
  #restart: 'none' | 'epoch' | 'identity' = 'none'

  constructor(topic: string, partition: number, isIdempotent: boolean) {
    this.topic = topic
    this.partition = partition
    this.#isIdempotent = isIdempotent
  }

  /** Whether nothing waits and nothing is in flight. */
  get isIdle(): boolean {
    return this.#queue.length === 0 && this.#inFlight.length === 0
  }

  get waitingCount(): number {
    return this.#queue.length
  }

  get inFlightCount(): number {
    return this.#inFlight.length
  }

  /** Producer id this partition needs before it can send; `false` if it has one or needs none. */
  get needsIdentity(): boolean {
    return this.#isIdempotent && this.#identity === undefined
  }

  /** Whether the present identity is another one than this. */
  hasOtherIdentity({ producerId, producerEpoch }: ProducerIdentity): boolean {
    return this.#identity?.producerId !== producerId || this.#identity.producerEpoch !== producerEpoch
  }

  /** The newest batch: records are added to it while it is not sealed. */
  get last(): AppendBatch | undefined {
    return this.#queue.at(-1)
  }

  /** The batch that is sent next. */
  get first(): AppendBatch | undefined {
    return this.#queue[0]
  }

  /** Gives the partition a producer id. Sequences begin at 0. */
  identify(identity: ProducerIdentity, options: { readonly isTransactional?: boolean } = {}): void {
    this.#identity = identity
    this.#isTransactional = options.isTransactional ?? false
    this.#knownAtMs = Number.NEGATIVE_INFINITY
    this.#nextSequence = 0
  }

  push(batch: AppendBatch): void {
    this.#queue.push(batch)
  }

  /** Whether a batch may be sent now, apart from whether the first one is full or due. */
  canSend(nowMs: number): boolean {
    const first = this.#queue[0]
    if (first === undefined || this.restUntilMs > nowMs || this.needsIdentity) return false
    // Brokers remember the last 5 batches: were new ones sent beside an old one, it would no longer be recognised.
    if (this.#retried !== undefined) return false
    if (first.order !== undefined) return this.#inFlight.length === 0
    // A broker takes any sequence from a producer it does not know: were the first batch refused (as too large), the
    // second, already on its way, would be appended before it.
    const isKnown = this.#isIdempotent && nowMs - this.#knownAtMs < knownForMs
    return this.#inFlight.length < (isKnown ? PARTITION_IN_FLIGHT_MAX : 1)
  }

  /** Takes the first batch for sending, with the stamp to send it under. */
  take(): { batch: AppendBatch; stamp: ProducerStamp | undefined } | undefined {
    const batch = this.#queue.shift()
    if (batch === undefined) return undefined
    if (batch.order !== undefined) this.#retried = batch
    batch.order ??= this.#nextOrder++
    this.#inFlight.push(batch)
    return { batch, stamp: batch.stamp ?? this.#newStamp(batch) }
  }

  /** The broker has appended a batch under the present identity. */
  known(nowMs: number): void {
    this.#knownAtMs = nowMs
  }

  /** A batch in flight was acknowledged, given up or replaced. */
  settle(batch: AppendBatch): void {
    this.#inFlight = this.#inFlight.filter(other => other !== batch)
    if (this.#retried === batch) this.#retried = undefined
    if (this.#inFlight.length === 0) this.#applyRestart()
  }

  /** A batch in flight has to be sent again, in its old place; `replacements` take its place after a split. */
  sendAgain(batch: AppendBatch, replacements: readonly AppendBatch[] = [batch]): void {
    const place = batch.order ?? 0
    const index = this.#queue.findIndex(other => other.order === undefined || other.order > place)
    this.#queue.splice(index < 0 ? this.#queue.length : index, 0, ...replacements)
    this.settle(batch)
  }

  /** Whether every batch before this one has its verdict. */
  isFirstOutstanding(batch: AppendBatch): boolean {
    const place = batch.order ?? Number.POSITIVE_INFINITY
    const isEarlier = (other: AppendBatch): boolean => other.order !== undefined && other.order < place
    return !this.#inFlight.some(isEarlier) && !this.#queue.some(isEarlier)
  }

  /** Sequences begin at 0 again, under the next epoch or another producer id, once nothing is in flight. */
  restartSequences(under: 'epoch' | 'identity'): void {
    if (this.#restart !== 'identity') this.#restart = under
    if (this.#inFlight.length === 0) this.#applyRestart()
  }

  /** All batches without a verdict, in their order. */
  outstanding(): AppendBatch[] {
    const place = (batch: AppendBatch): number => batch.order ?? Number.MAX_VALUE
    return [...this.#inFlight, ...this.#queue].toSorted((left, right) => place(left) - place(right))
  }

  /** Takes out all waiting batches that `isExpired` names. */
  removeWaiting(isExpired: (batch: AppendBatch) => boolean): AppendBatch[] {
    const expired = this.#queue.filter(isExpired)
    for (const batch of expired) this.#queue.splice(this.#queue.indexOf(batch), 1)
    return expired
  }

  #applyRestart(): void {
    if (this.#restart === 'none') return
    const { producerId, producerEpoch } = this.#identity ?? { producerId: -1n, producerEpoch: epochMax }
    const isNewIdentity = this.#restart === 'identity' || producerEpoch >= epochMax
    this.#restart = 'none'
    this.#knownAtMs = Number.NEGATIVE_INFINITY
    this.#nextSequence = 0
    for (const batch of this.#queue) batch.stamp = undefined
    this.#identity = isNewIdentity ? undefined : { producerId, producerEpoch: producerEpoch + 1 }
  }

  #newStamp(batch: AppendBatch): ProducerStamp | undefined {
    const identity = this.#identity
    if (identity === undefined) return undefined
    const baseSequence = this.#nextSequence
    this.#nextSequence = (baseSequence + batch.recordCount) % sequenceModulus
    const { producerId, producerEpoch } = identity
    return { producerId, producerEpoch, baseSequence, isTransactional: this.#isTransactional }
  }
}
