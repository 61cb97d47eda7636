/** Samples, peaks, alerts and the timeline of a run. */

import { simulationSeconds } from '../../config/index.ts'
import type { RunStats } from './run-stats.ts'
import type { SimulationMoment, SimulationScenario, SimulationSeries } from './simulation-types.ts'

/** A look at everything. */
export interface Look {
  readonly timeS: number
  readonly produced: number
  readonly lag: number
  readonly lagSeconds: number
  readonly instances: number
  readonly memoryBytes: number
}

/** Most entries of a timeline; what comes after is left out. */
const MOMENTS_MAX = 5000

/** What a run writes down. */
export class Recorder {
  readonly moments: SimulationMoment[] = []
  readonly alerts: { name: string; atS: number }[] = []
  readonly looks: Look[] = []
  readonly #scenario: SimulationScenario
  readonly #stats: RunStats
  readonly #series = {
    timesS: [] as number[],
    lag: [] as number[],
    lagSeconds: [] as number[],
    arrival: [] as number[],
    service: [] as number[],
    instances: [] as number[],
    invocations: [] as number[],
    targetMs: [] as number[],
    memoryBytes: [] as number[],
    lost: [] as number[]
  }
  readonly #breaches: { sinceS: number | undefined; isFired: boolean }[]
  #last = { timeS: 0, produced: 0, consumed: 0, invocations: 0, targetSeconds: 0 }
  #isAbove = false
  #lostNoted = 0
  instanceSeconds = 0
  lagSeconds = 0

  constructor(scenario: SimulationScenario, stats: RunStats) {
    this.#scenario = scenario
    this.#stats = stats
    this.#breaches = scenario.alerts.map(() => ({ sinceS: undefined, isFired: false }))
  }

  get series(): SimulationSeries {
    return this.#series
  }

  /** Writes a moment down. */
  note(atS: number, kind: SimulationMoment['kind'], text: string): void {
    if (this.moments.length < MOMENTS_MAX) this.moments.push({ atS, kind, text })
  }

  /** One point of the series. */
  sample(look: Look): void {
    const before = this.looks.at(-1)
    const { timeS } = look
    const stats = this.#stats
    const last = this.#last
    const stepS = timeS - last.timeS
    if (before !== undefined) {
      this.instanceSeconds += before.instances * (timeS - before.timeS)
      this.lagSeconds += ((before.lag + look.lag) / 2) * (timeS - before.timeS)
    }
    this.looks.push(look)
    const invocations = stats.invocations - last.invocations
    const series = this.#series
    series.timesS.push(timeS)
    series.lag.push(look.lag)
    series.lagSeconds.push(look.lagSeconds)
    series.arrival.push(stepS > 0 ? (look.produced - last.produced) / stepS : 0)
    series.service.push(stepS > 0 ? (stats.consumed - last.consumed) / stepS : 0)
    series.instances.push(look.instances)
    series.invocations.push(invocations)
    series.targetMs.push(invocations > 0 ? ((stats.targetSeconds - last.targetSeconds) * 1000) / invocations : 0)
    series.memoryBytes.push(look.memoryBytes)
    series.lost.push(stats.lost)
    this.#last = {
      timeS,
      produced: look.produced,
      consumed: stats.consumed,
      invocations: stats.invocations,
      targetSeconds: stats.targetSeconds
    }
    this.#judge(look)
  }

  /** Whether lag is normal, and whether anything was lost, for the timeline. */
  #judge({ timeS, lag, lagSeconds }: Look): void {
    const limitS = this.#scenario.normalLagS
    if (!this.#isAbove && lagSeconds > limitS) {
      this.#isAbove = true
      this.note(timeS, 'lag', `lag is above normal: ${whole(lag)} records, the oldest waits ${whole(lagSeconds)} s`)
    } else if (this.#isAbove && lagSeconds <= limitS) {
      this.#isAbove = false
      this.note(timeS, 'normal', `lag is normal again: ${whole(lag)} records`)
    }
    const { lost } = this.#stats
    if (lost > 0 && (this.#lostNoted === 0 || lost >= 2 * this.#lostNoted)) {
      this.#lostNoted = lost
      this.note(timeS, 'loss', `retention has deleted ${whole(lost)} records that nobody had read`)
    }
  }

  /** Looks at one alert. */
  checkAlert(index: number, look: Pick<Look, 'timeS' | 'lag' | 'lagSeconds'>): void {
    const alert = this.#scenario.alerts[index]
    const breach = this.#breaches[index]
    if (alert === undefined || breach === undefined) return
    const isOver =
      (alert.lag === undefined || look.lag > alert.lag) && (alert.lagS === undefined || look.lagSeconds > alert.lagS)
    if (!isOver) {
      if (breach.isFired) this.note(look.timeS, 'alert', `${alert.name}: over`)
      breach.sinceS = undefined
      breach.isFired = false
      return
    }
    breach.sinceS ??= look.timeS
    if (breach.isFired || look.timeS - breach.sinceS < simulationSeconds(alert.for)) return
    breach.isFired = true
    if (this.alerts.every(({ name }) => name !== alert.name)) this.alerts.push({ name: alert.name, atS: look.timeS })
    this.note(
      look.timeS,
      'alert',
      `${alert.name}: lag ${whole(look.lag)}, the oldest waits ${whole(look.lagSeconds)} s`
    )
  }
}

/** A number for people, without fractions. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
