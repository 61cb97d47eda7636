/**
 * Whether a producer takes part: its sources run, and what they hand over becomes safe, in Kafka or on its disk.
 *
 * Events that failed and will be read again are no progress. Kafka being away is no fault while the spill has room.
 */

import type { ProducerStatus } from '../../../producer/index.ts'
import type { Readiness } from '../role-endpoint.ts'
import { ProgressMemory } from './progress.ts'

/** Time with open events of which none becomes safe after which a producer is not ready, in milliseconds. */
export const PRODUCER_TIMEOUT_MS = 60_000

/** The judge of one producer. */
export class ProducerReadiness {
  readonly #memory: ProgressMemory
  readonly #failed: readonly string[]
  #last: ProducerStatus | undefined

  /** @param failed - Names of sources that have failed; read at each verdict. */
  constructor(failed: readonly string[], timeoutMs: number = PRODUCER_TIMEOUT_MS) {
    this.#failed = failed
    this.#memory = new ProgressMemory(timeoutMs)
  }

  /** Takes a look. */
  look(now: ProducerStatus, nowMs: number): void {
    this.#last = now
    const { deliveredCount, deadLetteredCount, refusedCount, spilledCount, shedCount } = now.totals
    this.#memory.look(
      {
        hasWork: now.openChunkCount > 0 || now.bufferedBytes > 0,
        // Waiting for the rate is what was asked for.
        mark: [deliveredCount, deadLetteredCount, refusedCount, spilledCount, shedCount, now.throttledMs].join('/'),
        allowanceMs: 0
      },
      nowMs
    )
  }

  /** The verdict of the last look. */
  verdict(): Readiness {
    const now = this.#last
    if (now === undefined) return { isReady: false, reason: 'starting' }
    if (now.state !== 'running') return { isReady: false, reason: `the producer is ${now.state}` }
    if (this.#failed.length > 0) return { isReady: false, reason: `failed: ${this.#failed.join(', ')}` }
    if (now.outlet === 'away') return { isReady: false, reason: 'Kafka does not answer, and events are refused' }
    if (now.spill?.isInTrouble === true) return { isReady: false, reason: 'the disk of the spill refuses' }
    if (now.spill?.isFull === true) return { isReady: false, reason: 'the spill is full: sources wait' }
    if (this.#memory.standsStill) {
      const forSeconds = Math.round(this.#memory.stoodStillMs / 1000)
      return { isReady: false, reason: `no event became safe for ${forSeconds} s although some wait` }
    }
    return { isReady: true, reason: outletWords[now.outlet] }
  }
}

const outletWords: Readonly<Record<Exclude<ProducerStatus['outlet'], 'away'>, string>> = {
  up: 'events become safe as they come',
  spilling: 'Kafka does not answer: events go to disk, which has room',
  replaying: 'Kafka is back: what is on disk goes there first'
}
