/**
 * A process of the simulation: everything that reaches it from outside (timers, answers) passes through here, so
 * that it can be stopped like by SIGSTOP, go on with all that piled up, or be killed between two steps.
 */

import { type Clock, type Random, type Timer, VirtualClock } from '../../src/core/index.ts'

/** What a process is doing. */
export type ProcessState = 'running' | 'frozen' | 'dead'

interface Pending {
  readonly kind: 'timer' | 'network'
  readonly run: () => void
}

/** One process on the shared virtual clock. */
export class SimProcess {
  readonly name: string
  readonly clock: Clock
  readonly #base: VirtualClock
  readonly #random: Random
  #state: ProcessState = 'running'
  #pending: Pending[] = []

  constructor(options: { name: string; base: VirtualClock; random: Random }) {
    this.name = options.name
    this.#base = options.base
    this.#random = options.random
    this.clock = {
      now: () => this.#base.now(),
      monotonicMs: () => this.#base.monotonicMs(),
      after: (delayMs, callback) => this.#timer(delayMs, undefined, callback),
      every: (periodMs, callback) => this.#timer(periodMs, periodMs, callback)
    }
  }

  get state(): ProcessState {
    return this.#state
  }

  /** Something from the network reaches the process: now, once it goes on, or never. */
  enter(run: () => void): void {
    this.#enter({ kind: 'network', run })
  }

  /** Nothing runs until `thaw`. */
  freeze(): void {
    if (this.#state === 'running') this.#state = 'frozen'
  }

  /** Goes on: due timers before what came over the network, or the other way round. */
  thaw(): void {
    if (this.#state !== 'frozen') return
    this.#state = 'running'
    const first = this.#random.next() < 0.5 ? 'timer' : 'network'
    const piled = this.#pending
    this.#pending = []
    for (const each of [...piled.filter(({ kind }) => kind === first), ...piled.filter(({ kind }) => kind !== first)]) {
      this.#base.after(0, () => this.#enter(each))
    }
  }

  /** Ends it without a word. */
  kill(): void {
    this.#state = 'dead'
    this.#pending = []
  }

  #enter(pending: Pending): void {
    if (this.#state === 'running') pending.run()
    else if (this.#state === 'frozen') this.#pending.push(pending)
  }

  #timer(delayMs: number, periodMs: number | undefined, callback: () => void): Timer {
    let isCancelled = false
    let isWaiting = false
    const run = (): void => {
      isWaiting = false
      if (!isCancelled) callback()
    }
    const fire = (): void => {
      if (this.#state === 'dead') inner.cancel()
      // A periodic timer fires once after a stop, however long that was.
      if (isWaiting) return
      isWaiting = true
      this.#enter({ kind: 'timer', run })
    }
    const inner = periodMs === undefined ? this.#base.after(delayMs, fire) : this.#base.every(periodMs, fire)
    const timer: Timer = {
      cancel: () => {
        isCancelled = true
        inner.cancel()
      },
      unref: () => timer
    }
    return timer
  }
}
