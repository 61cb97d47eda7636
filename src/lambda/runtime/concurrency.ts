/**
 * How many invocations may run at the same time: of one function (its reserved
 * concurrency) and of all functions (the account's). Pure counting.
 *
 * Source: Lambda developer guide, "Understanding Lambda function scaling".
 */

import { invariant } from '../../core/index.ts'
import type { ThrottleReason } from './api-errors.ts'

/** The account's limit. Functions count themselves against it. */
export class AccountConcurrency {
  readonly #max: number
  #count = 0
  /** Those who were refused because of the account, and would try again when a place is free. */
  readonly #refused = new Set<() => void>()

  constructor(max: number) {
    this.#max = max
  }

  get count(): number {
    return this.#count
  }

  get max(): number {
    return this.#max
  }

  /** Takes a place, or says that there is none; then `onFree` is called once when there may be. */
  tryEnter(onFree: () => void): boolean {
    if (this.#count < this.#max) {
      this.#count += 1
      return true
    }
    this.#refused.add(onFree)
    return false
  }

  leave(): void {
    invariant(this.#count > 0, 'a place is given back once')
    this.#count -= 1
    if (this.#refused.size === 0) return
    const waiting = [...this.#refused]
    this.#refused.clear()
    for (const each of waiting) each()
  }
}

/** Why this function cannot run one more; `undefined` if its own limit allows it. */
export function ownLimitReason(busyCount: number, reserved: number): ThrottleReason | undefined {
  return busyCount < reserved ? undefined : 'ReservedFunctionConcurrentInvocationLimitExceeded'
}
