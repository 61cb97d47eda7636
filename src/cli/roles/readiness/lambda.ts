/** Whether a Lambda runtime, or the mappings that poll for one, take part: invocations come to an end. */

import type { LambdaRuntime, MappingStatus } from '../../../lambda/index.ts'
import type { Readiness } from '../role-endpoint.ts'
import { ProgressMemory } from './progress.ts'

/** Time with work and without an outcome after which a role is not ready, in milliseconds. */
export const LAMBDA_TIMEOUT_MS = 60_000
/** Longest time of a function. Source: AWS Lambda quota, 15 minutes. */
const INVOCATION_MS_MAX = 900_000

/** The judge of one runtime: with callers in line, some invocation has to end, well or badly, or time out. */
export class RuntimeReadiness {
  readonly #memory: ProgressMemory
  readonly #invocationMs: number
  #hasLooked = false

  /** @param invocationMs - The longest timeout of its functions, in milliseconds. */
  constructor(invocationMs: number, timeoutMs: number = LAMBDA_TIMEOUT_MS) {
    this.#invocationMs = invocationMs
    this.#memory = new ProgressMemory(timeoutMs)
  }

  /** Takes a look. */
  look(functions: ReturnType<LambdaRuntime['status']>, nowMs: number): void {
    this.#hasLooked = true
    const ends = functions.map(each => [each.invocations, each.errors, each.timeouts, each.idleCount].join('-'))
    const hasWork = functions.some(each => each.waitingCount + each.eventsWaiting > 0)
    this.#memory.look({ hasWork, mark: ends.join('/'), allowanceMs: this.#invocationMs }, nowMs)
  }

  /** The verdict of the last look. */
  verdict(): Readiness {
    if (!this.#hasLooked) return { isReady: false, reason: 'starting' }
    if (!this.#memory.standsStill) return { isReady: true, reason: 'invocations are taken' }
    const forSeconds = Math.round(this.#memory.stoodStillMs / 1000)
    return { isReady: false, reason: `no invocation has ended for ${forSeconds} s although some wait in line` }
  }
}

/** The judge of event source mappings: records that were read have to be delivered, left out or given up. */
export class MappingsReadiness {
  readonly #memory: ProgressMemory
  #hasLooked = false

  constructor(timeoutMs: number = LAMBDA_TIMEOUT_MS) {
    this.#memory = new ProgressMemory(timeoutMs)
  }

  /** Takes a look. */
  look(mappings: readonly MappingStatus[], nowMs: number): void {
    this.#hasLooked = true
    const done = mappings.map(({ totals }) =>
      [totals.deliveredEventCount, totals.filteredOutEventCount, totals.droppedEventCount].join('-')
    )
    const isInvoking = mappings.some(({ invoking }) => invoking > 0)
    const hasWork = isInvoking || mappings.some(({ waiting }) => waiting > 0)
    this.#memory.look({ hasWork, mark: done.join('/'), allowanceMs: isInvoking ? INVOCATION_MS_MAX : 0 }, nowMs)
  }

  /** The verdict of the last look. */
  verdict(): Readiness {
    if (!this.#hasLooked) return { isReady: false, reason: 'starting' }
    if (!this.#memory.standsStill) return { isReady: true, reason: 'records are finished as they come' }
    const forSeconds = Math.round(this.#memory.stoodStillMs / 1000)
    return { isReady: false, reason: `no record was finished for ${forSeconds} s although some wait` }
  }
}
