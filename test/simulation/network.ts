/**
 * The way between processes and the cluster: requests and answers take time, get lost, come late, or find no way.
 *
 * A request that is lost or late fails at its sender like over a broken connection; whether the other side has
 * worked on it is open, as in life.
 */

import { PipelineError, type Random, randomInt, type VirtualClock } from '../../src/core/index.ts'
import type { SimProcess } from './process.ts'

/** How bad the network is; shares of requests, 0 to 1. */
export interface NetworkFaults {
  /** Never arrives. */
  lostRequest: number
  /** Arrives and is worked on, the answer is lost. */
  lostAnswer: number
  /** Arrives after the sender has given up. */
  lateRequest: number
  /** Longest way in one direction, in milliseconds. */
  latencyMaxMs: number
}

export const GOOD_NETWORK: NetworkFaults = { lostRequest: 0, lostAnswer: 0, lateRequest: 0, latencyMaxMs: 3 }

/** Longest wait for an answer, in milliseconds. */
export const REQUEST_TIMEOUT_MS = 2000

/** The network between processes and the cluster. */
export class Network {
  faults: NetworkFaults = GOOD_NETWORK
  /** No request reaches the cluster, nor any answer a process. */
  isClusterDown = false
  readonly #cut = new Set<SimProcess>()
  readonly #clock: VirtualClock
  readonly #random: Random

  constructor(clock: VirtualClock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  /** Takes the cluster out of a process's reach. */
  cut(process: SimProcess): void {
    this.#cut.add(process)
  }

  /** Ends `cut`. */
  mend(process: SimProcess): void {
    this.#cut.delete(process)
  }

  /**
   * Sends a request and waits for its answer. `serve` runs in the cluster; what it throws is the answer.
   *
   * @param timeoutMs - Longest wait for the answer; a long poll allows for more.
   */
  call<T>(process: SimProcess, serve: () => T | Promise<T>, timeoutMs = REQUEST_TIMEOUT_MS): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const timer = process.clock.after(timeoutMs, () => {
        reject(new PipelineError('ERR_CLIENT_REQUEST_TIMEOUT', 'no answer in time', { retriable: true }))
      })
      const fail = (): void => {
        const cause = new PipelineError('ERR_CLIENT_DISCONNECTED', 'the connection is gone', { retriable: true })
        this.#clock.after(this.#way(), () => process.enter(() => end(() => reject(cause))))
      }
      const end = (settle: () => void): void => {
        timer.cancel()
        settle()
      }
      const answer = (settle: () => void): void => {
        const { lostAnswer } = this.faults
        const isLost = this.#random.next() < lostAnswer
        this.#clock.after(this.#way(), () => {
          if (this.#isCut(process)) return
          if (isLost) fail()
          else process.enter(() => end(settle))
        })
      }
      if (this.#isCut(process) || this.#random.next() < this.faults.lostRequest) {
        fail()
        return
      }
      const lateMs = this.#random.next() < this.faults.lateRequest ? timeoutMs + randomInt(this.#random, 3000) : 0
      this.#clock.after(this.#way() + lateMs, () => {
        if (this.#isCut(process)) return
        void Promise.resolve()
          .then(serve)
          .then(
            value => answer(() => resolve(value)),
            (cause: unknown) => answer(() => reject(cause as Error))
          )
      })
    })
  }

  #way(): number {
    return 1 + randomInt(this.#random, this.faults.latencyMaxMs)
  }

  #isCut(process: SimProcess): boolean {
    return this.isClusterDown || this.#cut.has(process)
  }
}
