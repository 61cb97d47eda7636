/** What a load will be, before it is made: rates by phase, and how its events spread. From a sample of real events. */

import type { ScenarioConfig } from '../../config/index.ts'
import { SeededRandom } from '../../core/index.ts'
import { TRUCK_EVENT_KIND, TruckEvents, truckPopulation } from '../../producer/index.ts'
import { thousands } from '../demo/progress.ts'

const SAMPLE_COUNT = 100_000
/** Codes that are listed one by one. */
const CODES_SHOWN = 5

/** A load, foreseen. */
export interface ForeseenLoad {
  readonly name: string | undefined
  /** Events; absent if the load has no end. */
  readonly records?: number
  /** One after another. `recordsPerSecond` absent = as fast as Kafka takes them; `forMs` absent = to the end. */
  readonly phases: readonly { readonly workers: number; readonly recordsPerSecond?: number; readonly forMs?: number }[]
  /** Share of the events of the busiest fifth of the codes, and of the trucks: 0 to 1. */
  readonly topCodesShare: number
  readonly topTrucksShare: number
  readonly valueBytesMean: number
  readonly malformedRatio: number
  readonly poisonRatio: number
  /** The same for people. */
  readonly lines: readonly string[]
}

/** Foresees a load. */
export function foreseen(scenario: ScenarioConfig): ForeseenLoad {
  const population = truckPopulation(scenario)
  const events = new TruckEvents({ ...scenario, producer: 0, population, random: new SeededRandom(scenario.seed) })
  const { chunk, batch } = events.next(SAMPLE_COUNT, 0)
  const perCode = new Map<number, number>()
  const perTruck = new Map<number, number>()
  const kinds = [0, 0, 0]
  for (let index = 0; index < SAMPLE_COUNT; index += 1) {
    const code = batch.codes[index] ?? 0
    const truck = (batch.keys[index] ?? 0) % population.truckSampler.count
    const kind = batch.kinds[index] ?? 0
    perCode.set(code, (perCode.get(code) ?? 0) + 1)
    perTruck.set(truck, (perTruck.get(truck) ?? 0) + 1)
    kinds[kind] = (kinds[kind] ?? 0) + 1
  }
  const load = {
    name: scenario.name,
    ...(scenario.records === undefined ? {} : { records: scenario.records }),
    phases: phasesOf(scenario),
    topCodesShare: topFifthShare(perCode, population.codes.length),
    topTrucksShare: topFifthShare(perTruck, population.truckSampler.count),
    valueBytesMean: Math.round(chunk.bytes.length / SAMPLE_COUNT),
    malformedRatio: (kinds[TRUCK_EVENT_KIND.malformed] ?? 0) / SAMPLE_COUNT,
    poisonRatio: (kinds[TRUCK_EVENT_KIND.poison] ?? 0) / SAMPLE_COUNT
  }
  return { ...load, lines: linesOf(load, { scenario, perCode }) }
}

function phasesOf({ workers, recordsPerSecond }: ScenarioConfig): ForeseenLoad['phases'] {
  const most = Math.max(...workers.map(({ count }) => count))
  return workers.map(({ count, forMs }) => ({
    workers: count,
    ...(recordsPerSecond === undefined ? {} : { recordsPerSecond: (recordsPerSecond * count) / most }),
    ...(forMs === undefined ? {} : { forMs })
  }))
}

function topFifthShare(counts: ReadonlyMap<number, number>, valueCount: number): number {
  const busiest = [...counts.values()].toSorted((left, right) => right - left)
  const top = busiest.slice(0, Math.max(1, Math.round(valueCount / 5)))
  return top.reduce((sum, each) => sum + each, 0) / SAMPLE_COUNT
}

type Described = Omit<ForeseenLoad, 'lines'>
interface Details {
  readonly scenario: ScenarioConfig
  readonly perCode: ReadonlyMap<number, number>
}

function linesOf(load: Described, { scenario, perCode }: Details): string[] {
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
  const { bursts, trucks } = scenario
  const codes = [...perCode].toSorted(([, left], [, right]) => right - left).slice(0, CODES_SHOWN)
  const shares = codes.map(([code, events]) => `${code} ${percent(events / SAMPLE_COUNT)}`).join(', ')
  return [
    `${load.name ?? 'load'}: ${load.records === undefined ? 'no end' : `${thousands(load.records)} events`}`,
    ...load.phases.map(phaseLine),
    ...(bursts === undefined
      ? []
      : [`  every ${bursts.everyMs / 1000} s a burst of ${bursts.forMs / 1000} s at ${bursts.factor} times the rate`]),
    `codes   ${shares}; the busiest fifth makes ${percent(load.topCodesShare)}`,
    `trucks  ${thousands(trucks.count)}; the busiest fifth makes ${percent(load.topTrucksShare)}`,
    `events  ${load.valueBytesMean} bytes on average, ${percent(load.malformedRatio)} malformed, ` +
      `${percent(load.poisonRatio)} poisonous`,
    `From a sample of ${thousands(SAMPLE_COUNT)} events with the seed ${scenario.seed}.`
  ]
}

function phaseLine({ workers, recordsPerSecond, forMs }: ForeseenLoad['phases'][number]): string {
  const rate = recordsPerSecond === undefined ? 'as fast as it goes' : `${thousands(recordsPerSecond)}/s`
  const time = forMs === undefined ? 'to the end' : `for ${forMs / 1000} s`
  return `  ${workers} ${workers === 1 ? 'worker' : 'workers'}: ${rate}, ${time}`
}
