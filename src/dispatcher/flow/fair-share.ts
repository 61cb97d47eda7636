/**
 * Whose turn it is: shares of the invocations among classes, unused ones lent out.
 *
 * Earliest deadline first among those whose turn has begun (WF²Q; the lag bound
 * is that of EEVDF). A class with share `s` of the sum `S` of all shares has its
 * n-th turn between `n·S/s` and `(n + 1)·S/s` grants: it is eligible from the
 * first on and is due by the second. Virtual time counts grants in proportion
 * to the shares of those that want something, so what one does not use goes to
 * the others, and a class that comes back has saved up nothing and owes nothing.
 *
 * Invariants: somebody is chosen whenever anybody wants something; classes that
 * want something all the time differ from their shares by less than one grant.
 * Pure; the cost is a walk over the classes, of which there are few.
 */

import { invariant } from '../../core/index.ts'

interface Flow {
  /** Its share of all, 0 to 1. */
  readonly weight: number
  /** Virtual time at which the next turn begins. */
  startAt: number
  isActive: boolean
}

/** Divides grants among classes by their shares. */
export class FairShare {
  #flows: Flow[]
  #virtualTime = 0

  /** @param shares - One per class, each above 0; only their ratio counts. */
  constructor(shares: readonly number[]) {
    invariant(shares.length > 0 && shares.every(share => share > 0), 'every class needs a share above 0')
    this.#flows = flowsOf(shares)
  }

  /** Changes the shares from the next grant on. As many as there are classes. */
  setShares(shares: readonly number[]): void {
    invariant(shares.length === this.#flows.length, 'the number of classes does not change')
    // Where each stands within its turn is forgotten: at most one grant each.
    this.#virtualTime = 0
    this.#flows = flowsOf(shares)
  }

  /**
   * Chooses the class that gets the next grant, and counts it.
   *
   * @param wants - Whether the class with this index has something to do and may do it now.
   * @returns Its index, or `undefined` if none wants anything.
   */
  next(wants: (index: number) => boolean): number | undefined {
    const { chosen, activeWeight } = this.#choose(wants)
    const flow = chosen === undefined ? undefined : this.#flows[chosen]
    if (flow === undefined) return undefined
    // Rounding, or classes that came and went, may leave only turns that have not begun: time moves to the first.
    this.#virtualTime = Math.max(this.#virtualTime, flow.startAt)
    flow.startAt += 1 / flow.weight
    this.#virtualTime += 1 / activeWeight
    if (this.#virtualTime > REBASE_AT) this.#rebase()
    return chosen
  }

  /** Moves the origin of virtual time up: sums that grow for ever lose their last digits. */
  #rebase(): void {
    for (const flow of this.#flows) flow.startAt -= this.#virtualTime
    this.#virtualTime = 0
  }

  #choose(wants: (index: number) => boolean): { chosen: number | undefined; activeWeight: number } {
    let activeWeight = 0
    let chosen: number | undefined
    let dueAt = Number.POSITIVE_INFINITY
    let isEligible = false
    for (const [index, flow] of this.#flows.entries()) {
      const isActive = wants(index)
      if (isActive && !flow.isActive) flow.startAt = Math.max(flow.startAt, this.#virtualTime)
      flow.isActive = isActive
      if (!isActive) continue
      activeWeight += flow.weight
      const hasBegun = flow.startAt <= this.#virtualTime + EPSILON
      // Those whose turn has begun go by when they are due, and before all others; the others by when they begin.
      const key = hasBegun ? flow.startAt + 1 / flow.weight : flow.startAt
      if ((hasBegun && !isEligible) || (hasBegun === isEligible && key < dueAt - EPSILON)) {
        chosen = index
        dueAt = key
        isEligible = hasBegun
      }
    }
    return { chosen, activeWeight }
  }
}

function flowsOf(shares: readonly number[]): Flow[] {
  const sum = shares.reduce((total, share) => total + share, 0)
  return shares.map(share => ({ weight: share / sum, startAt: 0, isActive: false }))
}

/** Virtual time at which its origin moves up. */
const REBASE_AT = 1_000_000
/** Sums of fractions differ in their last bits: turns that begin together must not be told apart by them. */
const EPSILON = 1e-9
