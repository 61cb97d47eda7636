/**
 * Guards between asking the transaction coordinator about a partition and
 * appending to it. Pure.
 *
 * While the answer is on its way, the transaction may end here and the next one
 * of the same producer begin: the answer then speaks of a transaction that is
 * over, and a batch appended on its word would hang open for ever. Source:
 * KIP-890, Kafka `VerificationGuard`.
 *
 * They keep the order, too: a batch whose partition needs no question must not
 * overtake an earlier one of its producer that waits for an answer. And where the
 * coordinator's answer was no, nothing behind the refused batch may become the
 * first of the transaction: the lowest sequence that was asked about stays until
 * a transactional batch or a marker of the producer is planned. Source: KIP-890,
 * Kafka `VerificationStateEntry`.
 *
 * Limits: one guard per request in flight and partition, whoever begins one ends
 * it; one lowest sequence per producer id, for `producer.id.expiration.ms`.
 */

/** One question to the coordinator. */
export interface TransactionVerification {
  readonly producerId: bigint
  /** Whether a marker of the producer was planned since. */
  readonly isVoid: boolean
  /** Resolves when all earlier guards of the producer here have ended; `undefined` if there are none. */
  turn(): Promise<void> | undefined
  /** Ends the guard, whatever became of the question. Idempotent. */
  end(): void
}

/** The batch that is asked about. */
export interface VerifiedBatch {
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
}

/** The first batch that may begin the transaction of a producer. */
export interface PendingSequence {
  readonly producerEpoch: number
  readonly lowestSequence: number
  /** Whether the first question was that of a producer with transactions of version 2. */
  readonly isVersion2: boolean
  readonly sinceMs: number
}

interface Guard extends TransactionVerification {
  isVoid: boolean
  wake: () => void
}

/** Questions under way, of one partition. */
export class TransactionVerifications {
  /** Oldest first. */
  readonly #guards = new Map<bigint, Guard[]>()
  readonly #pending = new Map<bigint, PendingSequence>()

  /** How many producers are asked about. */
  get producerCount(): number {
    return this.#guards.size
  }

  /** Begins a question. */
  begin(producerId: bigint): TransactionVerification {
    const guard: Guard = {
      producerId,
      isVoid: false,
      wake: () => undefined,
      turn: () => this.#turn(guard),
      end: () => this.#end(guard)
    }
    const guards = this.#guards.get(producerId)
    if (guards === undefined) this.#guards.set(producerId, [guard])
    else guards.push(guard)
    return guard
  }

  /** Remembers a batch that would begin a transaction. */
  noteFirst({ producerId, producerEpoch, baseSequence }: VerifiedBatch, isVersion2: boolean, nowMs: number): void {
    const known = this.#pending.get(producerId)
    const isLower = known === undefined || producerEpoch > known.producerEpoch || baseSequence < known.lowestSequence
    if (!isLower || (known !== undefined && producerEpoch < known.producerEpoch)) return
    const { isVersion2: wasVersion2 = isVersion2, sinceMs = nowMs } = known ?? {}
    this.#pending.set(producerId, { producerEpoch, lowestSequence: baseSequence, isVersion2: wasVersion2, sinceMs })
  }

  /** The first batch that may begin the transaction of a producer; `undefined` if nobody has asked. */
  pending(producerId: bigint): PendingSequence | undefined {
    return this.#pending.get(producerId)
  }

  /** A transactional batch of the producer gets an offset: it has begun. */
  batchPlanned(producerId: bigint): void {
    this.#pending.delete(producerId)
  }

  /** Forgets what was asked too long ago. */
  expire(nowMs: number, expirationMs: number): void {
    for (const [producerId, { sinceMs }] of this.#pending) {
      if (nowMs - sinceMs >= expirationMs) this.#pending.delete(producerId)
    }
  }

  /** A marker of the producer gets an offset: answers to earlier questions are void. */
  markerPlanned(producerId: bigint): void {
    this.#pending.delete(producerId)
    for (const guard of this.#guards.get(producerId) ?? []) guard.isVoid = true
  }

  #turn(guard: Guard): Promise<void> | undefined {
    const guards = this.#guards.get(guard.producerId) ?? []
    if (guards.indexOf(guard) <= 0) return undefined
    return new Promise(resolve => (guard.wake = resolve))
  }

  #end(guard: Guard): void {
    const guards = this.#guards.get(guard.producerId) ?? []
    const index = guards.indexOf(guard)
    if (index < 0) return
    guards.splice(index, 1)
    if (guards.length === 0) this.#guards.delete(guard.producerId)
    if (index === 0) guards[0]?.wake()
    guard.wake()
  }
}
