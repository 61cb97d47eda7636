/**
 * Leads one experiment: steady state → harm → recovery → steady state again → verdict.
 *
 * Whatever happens (an abort condition, Ctrl-C, a failure of the pipeline or of a step) what was harmed is restored and
 * what was started is closed. Time is passed in, and the pipeline is an interface, so that all of this is tested on a
 * clock that stands still.
 *
 * Limits: the steady state is waited for `steadyWithinMs`, recovery `recoverWithinMs` of the experiment, every look and
 * every step of harm `stepMaxMs`, the last commits `settleMaxMs`.
 */

import { type Clock, messageOf, PipelineError, sleep, within } from '../../core/index.ts'
import { type ChaosAction, type ChaosExperiment, describeAction } from './experiment.ts'
import { type ChaosReport, type ChaosVerdict, judgeRun } from './judge.ts'
import type { ChaosLedgers, ChaosSample, SteadyState, TimelineEntry } from './observation.ts'
import { steadyOf } from './observation.ts'
import { abortReason, unsteadyReason } from './steady.ts'

/** A pipeline that an experiment may harm. */
export interface ChaosWorld {
  /** Starts everything but the load. */
  start(signal: AbortSignal): Promise<void>
  /** Starts the load: events per second, until `settle`. */
  startLoad(ratePerSecond: number): Promise<void>
  /** Looks at everything; `atMs` is filled in by the runner. */
  look(): Promise<Omit<ChaosSample, 'atMs'>>
  /** Carries out one step. Returns what the timeline says besides. */
  apply(action: ChaosAction, signal: AbortSignal): Promise<string | undefined>
  /** Takes back every harm: faults, frozen and killed processes, the network. May be called again. */
  restore(): Promise<void>
  /** Ends the load, waits until everything is committed, and reads the ledgers. */
  settle(signal: AbortSignal): Promise<ChaosLedgers>
  /** Ends every process and removes what was created. May be called again. */
  close(): Promise<void>
}

/** How a run is led. */
export interface ChaosRunOptions {
  readonly world: ChaosWorld
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Events per second of the load. Default 1000. */
  readonly ratePerSecond?: number
  /** How long the steady state must hold before the harm, and again after it, in milliseconds. Default 3000. */
  readonly steadyMs?: number
  /** Events in all, at least: the load goes on until then. Default 0. */
  readonly recordsMin?: number
  /** Time between two looks, in milliseconds. Default 250. */
  readonly tickMs?: number
  /** Longest wait for the first steady state, in milliseconds. Default 60_000 and `steadyMs`. */
  readonly steadyWithinMs?: number
  /** Longest time of one step of harm, in milliseconds. Default 60_000. */
  readonly stepMaxMs?: number
  /** Longest wait for the last commits, in milliseconds. Default 120_000. */
  readonly settleMaxMs?: number
  /** Hears of every line of the timeline. */
  readonly onEvent?: (entry: TimelineEntry) => void
  /** Hears of every look. */
  readonly onSample?: (sample: ChaosSample) => void
}

/** Runs an experiment to its report. Never rejects: what goes wrong is in the report. */
export async function runExperiment(experiment: ChaosExperiment, options: ChaosRunOptions): Promise<ChaosReport> {
  return await new ExperimentRun(experiment, options).run()
}

/** The end of a run before its end. */
interface Stop {
  readonly verdict: Exclude<ChaosVerdict, 'holds' | 'refuted'>
  readonly reason: string
  readonly code?: string
}

const STEADY_MS = 3000

class ExperimentRun {
  readonly #experiment: ChaosExperiment
  readonly #options: Required<Omit<ChaosRunOptions, 'onEvent' | 'onSample'>> & ChaosRunOptions
  readonly #startMs: number
  readonly #samples: ChaosSample[] = []
  readonly #timeline: TimelineEntry[] = []
  /** Ends waits and steps. */
  readonly #halt = new AbortController()
  #stop: Stop | undefined
  #isWatching = false
  #areAbortsOn = false
  #harm: { fromMs: number; toMs: number; firstSample: number } | undefined
  #before: SteadyState | undefined
  #after: SteadyState | undefined
  #recoveredMs: number | undefined
  #ledgers: ChaosLedgers | undefined

  constructor(experiment: ChaosExperiment, options: ChaosRunOptions) {
    this.#experiment = experiment
    this.#options = {
      ratePerSecond: 1000,
      steadyMs: STEADY_MS,
      recordsMin: 0,
      tickMs: 250,
      steadyWithinMs: 60_000 + (options.steadyMs ?? STEADY_MS),
      stepMaxMs: 60_000,
      settleMaxMs: 120_000,
      ...options
    }
    this.#startMs = options.clock.monotonicMs()
  }

  async run(): Promise<ChaosReport> {
    const { signal, world } = this.#options
    const onInterrupt = (): void => this.#give('interrupted', 'the run was interrupted')
    if (signal.aborted) onInterrupt()
    signal.addEventListener('abort', onInterrupt, { once: true })
    let watching: Promise<void> = Promise.resolve()
    try {
      if (this.#stop === undefined) await world.start(this.#halt.signal)
      this.#isWatching = true
      watching = this.#watch()
      await this.#lead()
    } catch (error) {
      this.#give('failed', messageOf(error), PipelineError.is(error) ? error.code : undefined)
    } finally {
      this.#isWatching = false
      await this.#restore()
      await watching
      signal.removeEventListener('abort', onInterrupt)
      await this.#close()
    }
    return this.#report()
  }

  async #lead(): Promise<void> {
    const { world, ratePerSecond } = this.#options
    if (this.#isStopped()) return
    this.#note('the load begins')
    await world.startLoad(ratePerSecond)
    if (!(await this.#untilSteady())) return
    await this.#doHarm()
    // Restored also when the harm was given up: what follows judges what is left.
    await this.#restore()
    if (this.#isStopped()) return
    await this.#recover()
    if (this.#isStopped()) return
    await this.#untilRecords()
    this.#note('the load ends')
    const ledgers = await this.#bounded(this.#options.settleMaxMs, 'everything to be committed', limit =>
      world.settle(limit)
    )
    this.#ledgers = ledgers
    this.#note('everything is committed')
  }

  async #untilSteady(): Promise<boolean> {
    const { steadyMs, steadyWithinMs, clock, ratePerSecond } = this.#options
    const fromMs = clock.monotonicMs()
    const giveUpMs = fromMs + steadyWithinMs
    for (;;) {
      const reason = this.#unsteadyFor(steadyMs, fromMs)
      if (reason === undefined) {
        this.#before = steadyOf(this.#samplesOfLast(steadyMs))
        this.#note(`steady: ${Math.round(this.#before?.deliveredPerSecond ?? 0)} deliveries/s`)
        return true
      }
      if (clock.monotonicMs() > giveUpMs) {
        this.#give('unsteady', `no steady state at ${ratePerSecond} events/s, nothing was harmed: ${reason}`)
        return false
      }
      if (!(await this.#pause(this.#options.tickMs))) return false
    }
  }

  async #doHarm(): Promise<void> {
    const { stepMaxMs, world } = this.#options
    this.#areAbortsOn = true
    this.#harm = { fromMs: this.#nowMs(), toMs: this.#nowMs(), firstSample: this.#samples.length - 1 }
    for (const action of this.#experiment.harm) {
      if (this.#isStopped()) return
      this.#note(describeAction(action))
      if (action.do === 'wait') await this.#pause(action.ms)
      else {
        const said = await this.#bounded(stepMaxMs, describeAction(action), limit => world.apply(action, limit))
        if (said !== undefined) this.#note(said)
      }
      this.#harm = { ...this.#harm, toMs: this.#nowMs() }
    }
  }

  /** Waits until all is as it was, for as long as that was measured before. */
  async #recover(): Promise<void> {
    const { clock, steadyMs, tickMs } = this.#options
    const fromMs = clock.monotonicMs()
    const giveUpMs = fromMs + this.#experiment.recoverWithinMs + steadyMs
    // A moment of well-being is not recovery, and the wait for its end does not count as time to it.
    const probeMs = Math.min(steadyMs, 4 * tickMs)
    while (clock.monotonicMs() <= giveUpMs) {
      if (!(await this.#pause(tickMs))) return
      const reason = this.#unsteadyFor(probeMs, fromMs)
      if (reason !== undefined) {
        this.#recoveredMs = undefined
        continue
      }
      if (this.#recoveredMs === undefined) {
        this.#recoveredMs = Math.max(0, clock.monotonicMs() - fromMs - probeMs)
      }
      if (clock.monotonicMs() - fromMs - this.#recoveredMs < steadyMs) continue
      this.#after = steadyOf(this.#samplesOfLast(steadyMs))
      this.#note(`steady again, ${Math.round(this.#recoveredMs)} ms after the harm`)
      return
    }
    this.#recoveredMs = undefined
    this.#note(`not steady again: ${this.#unsteadyFor(probeMs, fromMs) ?? 'not for long enough'}`)
  }

  async #untilRecords(): Promise<void> {
    const { recordsMin, tickMs } = this.#options
    while ((this.#samples.at(-1)?.produced ?? 0) < recordsMin) if (!(await this.#pause(tickMs))) return
  }

  /** One look after the other; one that does not answer in time shows as Kafka's silence only where it is that. */
  async #watch(): Promise<void> {
    const { clock, tickMs, world, onSample } = this.#options
    while (this.#isWatching) {
      const atMs = this.#nowMs()
      const seen = await world.look().catch((error: unknown) => this.#give('failed', messageOf(error)))
      if (seen === undefined) return
      const sample = { ...seen, atMs }
      this.#samples.push(sample)
      onSample?.(sample)
      this.#checkAborts(sample)
      await sleep(clock, Math.max(1, atMs + tickMs - this.#nowMs()))
    }
  }

  #checkAborts(sample: ChaosSample): void {
    if (!this.#areAbortsOn || this.#stop !== undefined) return
    const reason = abortReason(sample, this.#experiment.abort, this.#options.ratePerSecond)
    if (reason !== undefined) this.#give('aborted', reason)
  }

  async #restore(): Promise<void> {
    try {
      await this.#options.world.restore()
    } catch (error) {
      this.#give('failed', `what was harmed could not be restored: ${messageOf(error)}`)
    }
  }

  async #close(): Promise<void> {
    try {
      await this.#options.world.close()
    } catch (error) {
      // Also where the run was given up before: whoever reads the report must see what is left behind.
      this.#note(`not everything could be removed: ${messageOf(error)}`)
      this.#give('failed', `not everything could be removed: ${messageOf(error)}`)
    }
  }

  async #bounded<T>(maxMs: number, what: string, work: (limit: AbortSignal) => Promise<T>): Promise<T> {
    const limit = new AbortController()
    const onHalt = (): void => limit.abort()
    this.#halt.signal.addEventListener('abort', onHalt, { once: true })
    if (this.#halt.signal.aborted) limit.abort()
    const halted = new Promise<'halted'>(resolve => {
      if (limit.signal.aborted) resolve('halted')
      else limit.signal.addEventListener('abort', () => resolve('halted'), { once: true })
    })
    const done = work(limit.signal).then(value => ({ value }))
    // Given up or not: what becomes of it later is nobody's business.
    done.catch(() => undefined)
    try {
      const outcome = await within(this.#options.clock, maxMs, Promise.race([done, halted]))
      if (typeof outcome === 'object') return outcome.value
      const why = outcome === 'halted' ? 'given up' : `took longer than ${maxMs / 1000} s`
      throw new PipelineError('ERR_OPS_CHAOS_TIMEOUT', `${what}: ${why}`)
    } finally {
      this.#halt.signal.removeEventListener('abort', onHalt)
      limit.abort()
    }
  }

  /** @returns Whether the time has passed; false if the run was given up. */
  async #pause(ms: number): Promise<boolean> {
    return await sleep(this.#options.clock, ms, this.#halt.signal)
  }

  #samplesOfLast(ms: number): ChaosSample[] {
    const fromMs = this.#nowMs() - ms - this.#options.tickMs
    return this.#samples.filter(sample => sample.atMs >= fromMs)
  }

  #unsteadyFor(ms: number, sinceMs: number): string | undefined {
    const nowMs = this.#nowMs()
    const window = this.#samplesOfLast(ms).filter(sample => sample.atMs >= sinceMs - this.#startMs)
    const first = window[0]
    if (first === undefined || nowMs - first.atMs < ms) return 'not seen for long enough'
    return unsteadyReason(window, this.#options.ratePerSecond)
  }

  /** The first reason stays. */
  #give(verdict: Stop['verdict'], reason: string, code?: string): void {
    if (this.#stop !== undefined) return
    this.#stop = { verdict, reason, ...(code === undefined ? {} : { code }) }
    this.#note(`${verdict}: ${reason}`)
    this.#halt.abort()
  }

  #isStopped(): boolean {
    return this.#stop !== undefined
  }

  #note(text: string): void {
    const entry = { atMs: Math.round(this.#nowMs()), text }
    this.#timeline.push(entry)
    this.#options.onEvent?.(entry)
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs() - this.#startMs
  }

  #report(): ChaosReport {
    return judgeRun(this.#experiment, {
      ratePerSecond: this.#options.ratePerSecond,
      tookMs: Math.round(this.#nowMs()),
      stop: this.#stop,
      before: this.#before,
      after: this.#after,
      ledgers: this.#ledgers,
      harm: this.#harm,
      recoveredMs: this.#recoveredMs,
      samples: this.#samples,
      timeline: this.#timeline
    })
  }
}
