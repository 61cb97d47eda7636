/** A pipeline that is made up: it does what a test says, on a clock that stands still. */

import { sleep, type VirtualClock } from '../../../src/core/index.ts'
import type { AuditReport } from '../../../src/ops/audit/audit.ts'
import type { ChaosAction, ChaosExperiment } from '../../../src/ops/chaos/experiment.ts'
import type { ChaosLedgers, ChaosSample } from '../../../src/ops/chaos/observation.ts'
import type { ChaosWorld } from '../../../src/ops/chaos/run-experiment.ts'

const none = { count: 0, examples: [] }

/** An audit that holds. */
export const SOUND_AUDIT: AuditReport = {
  holds: true,
  produced: 1000,
  deliveriesDue: 1000,
  delivered: 1000,
  duplicates: 0,
  deadLettered: 0,
  deadLettersByReason: {},
  lost: none,
  outOfOrder: none,
  unexpected: none,
  wrongDeadLetters: none
}

/** An experiment that waits two seconds between a harm and its end. */
export const EXPERIMENT: ChaosExperiment = {
  name: 'made-up',
  summary: 'The function is slow for two seconds.',
  hypothesis: 'Nothing happens.',
  needs: {},
  harm: [
    { do: 'faults', faults: { extraLatencyMs: 950 } },
    { do: 'wait', ms: 2000 },
    { do: 'faults', faults: { extraLatencyMs: 0 } }
  ],
  abort: { lagSecondsMax: 10, strayDeadLettersMax: 0 },
  recoverWithinMs: 5000,
  duplicatesMax: 0
}

/** What the world shows at a moment, in place of a sound sample's members. */
export type Seen = Partial<Omit<ChaosSample, 'atMs'>>

/** The world. It notes every call. */
export class MadeUpWorld implements ChaosWorld {
  readonly calls: string[] = []
  readonly #clock: VirtualClock
  #rate = 0
  #loadFromMs = 0
  /** What is seen at so many milliseconds after the start of the load; default: all is well. */
  seenAt: (ms: number) => Seen = () => ({})
  onApply: (action: ChaosAction, signal: AbortSignal) => Promise<void> = () => Promise.resolve()
  onStart: () => Promise<void> = () => Promise.resolve()
  onSettle: () => Promise<void> = () => Promise.resolve()
  onClose: () => Promise<void> = () => Promise.resolve()
  looksFailAtMs = Number.POSITIVE_INFINITY
  audit: AuditReport = SOUND_AUDIT

  constructor(clock: VirtualClock) {
    this.#clock = clock
  }

  async start(): Promise<void> {
    this.calls.push('start')
    await sleep(this.#clock, 100)
    await this.onStart()
  }

  startLoad(ratePerSecond: number): Promise<void> {
    this.calls.push('load')
    this.#rate = ratePerSecond
    this.#loadFromMs = this.#clock.monotonicMs()
    return Promise.resolve()
  }

  look(): Promise<Omit<ChaosSample, 'atMs'>> {
    const ms = this.#clock.monotonicMs() - this.#loadFromMs
    if (this.looksFailAtMs < ms) return Promise.reject(new Error('blind'))
    const made = this.#rate === 0 ? 0 : Math.round((ms / 1000) * this.#rate)
    return Promise.resolve({
      produced: made,
      delivered: made,
      offsets: new Map([['t-0', { committed: made, end: made + 10, logStart: 0 }]]),
      assigned: 1,
      partitionCount: 1,
      rebalances: 0,
      strayDeadLetters: 0,
      ended: [],
      ...this.seenAt(ms)
    })
  }

  async apply(action: ChaosAction, signal: AbortSignal): Promise<undefined> {
    this.calls.push(action.do)
    await this.onApply(action, signal)
  }

  restore(): Promise<void> {
    this.calls.push('restore')
    return Promise.resolve()
  }

  async settle(): Promise<ChaosLedgers> {
    this.calls.push('settle')
    await this.onSettle()
    return { audit: this.audit, handedOver: this.audit.produced, movedOutOfOrder: 0 }
  }

  close(): Promise<void> {
    this.calls.push('close')
    return this.onClose()
  }
}
