/**
 * Guards between asking the transaction coordinator about a partition and
 * appending to it. Pure.
 *
 * While the answer is on its way, the transaction may end here and the next one
 * of the same producer begin: the answer then speaks of a transaction that is
 * over, and a batch appended on its word would hang open for ever. Source:
 * KIP-890, Kafka `VerificationGuard`.
 *
 * Limit: one guard per request in flight; whoever begins one ends it.
 */

/** One question to the coordinator. */
export interface TransactionVerification {
  readonly producerId: bigint
  /** Whether a marker of the producer was planned since. */
  readonly isVoid: boolean
  /** Ends the guard, whatever became of the question. Idempotent. */
  end(): void
}

interface Guard extends TransactionVerification {
  isVoid: boolean
}

/** Questions under way, of one partition. */
export class TransactionVerifications {
  readonly #guards = new Map<bigint, Set<Guard>>()

  /** How many producers are asked about. */
  get producerCount(): number {
    return this.#guards.size
  }

  /** Begins a question. */
  begin(producerId: bigint): TransactionVerification {
    const guard: Guard = { producerId, isVoid: false, end: () => this.#end(guard) }
    const guards = this.#guards.get(producerId)
    if (guards === undefined) this.#guards.set(producerId, new Set([guard]))
    else guards.add(guard)
    return guard
  }

  /** A marker of the producer gets an offset: answers to earlier questions are void. */
  markerPlanned(producerId: bigint): void {
    for (const guard of this.#guards.get(producerId) ?? []) guard.isVoid = true
  }

  #end(guard: Guard): void {
    const guards = this.#guards.get(guard.producerId)
    guards?.delete(guard)
    if (guards?.size === 0) this.#guards.delete(guard.producerId)
  }
}
