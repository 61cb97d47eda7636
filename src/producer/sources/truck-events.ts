/**
 * The truck scenario: events of a fleet, the same for the same seed.
 *
 * Unless said otherwise there are twenty codes, of which four (20 %) make 80 % of
 * the traffic; the codes from 400 on make 80 % of it as well. Of the trucks, too,
 * 20 % make 80 %. An event has about 200 bytes:
 *
 *   {"id":"0-17","codigo":400,"truck_id":"T-00042","seq":3,"ts":1700000000000,
 *    "lat":-23.55052,"lon":-46.63331,"speed":71.4,"heading":183,"fuel":62.5,...}
 *
 * `id` is the producer's index and the event's number; `seq` counts the events
 * of one code and truck, from 0. A malformed event is cut short behind its `seq`, so
 * that it is no JSON but still tells its id; a poisonous one is sound JSON with
 * `"poison":true`, which its service refuses.
 */

import { type Random, randomInt } from '../../core/index.ts'
import type { ScenarioConfig } from '../../config/index.ts'
import { ChunkBuilder, type EventChunk } from '../event-chunk.ts'
import { ShareSampler, weightsOf } from './share-sampler.ts'

/** What a filler costs without its contents. */
const FILLER = ',"filler":""'

/** What is wrong with an event, as a number. */
export const TRUCK_EVENT_KIND = { sound: 0, malformed: 1, poison: 2 } as const

/** The codes of the scenario with their share of the traffic, most frequent first. */
const SHARES: ReadonlyMap<number, number> = new Map([
  [400, 0.3],
  [401, 0.25],
  [402, 0.15],
  [300, 0.1],
  ...codes(403, 7, 0.1),
  ...codes(301, 9, 0.1)
])

function codes(first: number, count: number, share: number): [number, number][] {
  return Array.from({ length: count }, (_, index) => [first + index, share / count])
}

/** The codes of the scenario, most frequent first. */
export const TRUCK_CODES: readonly number[] = [...SHARES.keys()]

/** Which codes and trucks there are, and how often each comes. */
export interface TruckPopulation {
  readonly codes: readonly number[]
  readonly codeSampler: ShareSampler
  readonly truckSampler: ShareSampler
}

/** The population that a load describes; the workers of one source share it. */
export function truckPopulation(config: Pick<ScenarioConfig, 'codes' | 'trucks'>): TruckPopulation {
  const { count, distribution } = config.trucks
  const [names, weights] = codeWeights(config.codes)
  return {
    codes: names,
    codeSampler: new ShareSampler(weights),
    truckSampler: new ShareSampler(weightsOf(distribution, count))
  }
}

function codeWeights(config: ScenarioConfig['codes']): [number[], Float64Array] {
  if (config === undefined) return [[...SHARES.keys()], Float64Array.from(SHARES.values())]
  if ('weights' in config) {
    return [Object.keys(config.weights).map(Number), Float64Array.from(Object.values(config.weights))]
  }
  const names = Array.from({ length: config.to - config.from + 1 }, (_, index) => config.from + index)
  return [names, weightsOf(config.distribution, names.length)]
}

/** Options of `TruckEvents`. */
export interface TruckEventsOptions {
  /** Index of this producer, 0 to 255: the first part of every id. */
  readonly producer: number
  readonly population: TruckPopulation
  readonly malformedRatio: number
  readonly poisonRatio: number
  /** Sound events are filled up to that many bytes. Default: not at all. */
  readonly valueBytes?: number | undefined
  readonly random: Random
}

/** What was made: one entry an event in every column. The events' numbers follow `firstEvent`. */
export interface TruckBatch {
  readonly producer: number
  /** Number of the first event; the others follow. */
  readonly firstEvent: number
  readonly count: number
  /** Time in the events, in epoch milliseconds. */
  readonly timeMs: number
  /** Number of the event's code and truck together: the unit that `sequences` counts in. */
  readonly keys: Uint32Array
  /** Position among the events of that code and truck, from 0. */
  readonly sequences: Uint32Array
  readonly codes: Uint16Array
  /** See `TRUCK_EVENT_KIND`. */
  readonly kinds: Uint8Array
}

/** Makes events. Pure but for the random numbers it is given. */
export class TruckEvents {
  readonly #options: TruckEventsOptions
  readonly #sequences: Uint32Array
  readonly #builder = new ChunkBuilder()
  #nextEvent = 0
  #bytes = 0

  constructor(options: TruckEventsOptions) {
    this.#options = options
    const { codeSampler, truckSampler } = options.population
    this.#sequences = new Uint32Array(codeSampler.count * truckSampler.count)
  }

  /** How many events were made. */
  get eventCount(): number {
    return this.#nextEvent
  }

  /** How many bytes they have. */
  get byteCount(): number {
    return this.#bytes
  }

  /** Makes the next `count` events with the given time. */
  next(count: number, timeMs: number): { readonly chunk: EventChunk; readonly batch: TruckBatch } {
    const batch = {
      producer: this.#options.producer,
      firstEvent: this.#nextEvent,
      count,
      timeMs,
      keys: new Uint32Array(count),
      sequences: new Uint32Array(count),
      codes: new Uint16Array(count),
      kinds: new Uint8Array(count)
    }
    let text = ''
    for (let index = 0; index < count; index += 1) {
      const start = text.length
      text += this.#event(batch, index)
      this.#builder.add(start, text.length, this.#nextEvent)
    }
    const bytes = Buffer.from(text, 'latin1')
    this.#bytes += bytes.length
    return { chunk: this.#builder.build(bytes, this.#bytes), batch }
  }

  #event(batch: TruckBatch, index: number): string {
    const { random, population } = this.#options
    const codeIndex = population.codeSampler.draw(random)
    const truck = population.truckSampler.draw(random)
    const key = codeIndex * population.truckSampler.count + truck
    const sequence = this.#sequences[key] ?? 0
    const code = population.codes[codeIndex] ?? 0
    const kind = this.#kind(random.next())
    const event = this.#nextEvent
    this.#sequences[key] = sequence + 1
    this.#nextEvent = event + 1
    batch.keys[index] = key
    batch.sequences[index] = sequence
    batch.codes[index] = code
    batch.kinds[index] = kind
    const truckId = `T-${String(truck).padStart(5, '0')}`
    const head = `{"id":"${batch.producer}-${event}","codigo":${code},"truck_id":"${truckId}","seq":${sequence}`
    if (kind === TRUCK_EVENT_KIND.malformed) return `${head},"ts":`
    const tail = kind === TRUCK_EVENT_KIND.poison ? ',"poison":true}' : '}'
    return this.#filled(`${head},"ts":${batch.timeMs}${this.#telemetry()}`, tail)
  }

  /** The event with a field of the length that it lacks. */
  #filled(head: string, tail: string): string {
    const missing = (this.#options.valueBytes ?? 0) - head.length - tail.length
    if (missing < FILLER.length) return head + tail
    return `${head},"filler":"${'x'.repeat(missing - FILLER.length)}"${tail}`
  }

  #telemetry(): string {
    const { random } = this.#options
    const word = randomInt(random, 4_294_967_296)
    const lat = (-33_000_000 + (word % 28_000_000)) / 1_000_000
    const lon = (-57_000_000 + ((word >>> 5) % 22_000_000)) / 1_000_000
    const speed = (word % 1200) / 10
    const fuel = ((word >>> 9) % 1000) / 10
    const odometer = 100_000 + ((word >>> 7) % 900_000)
    const place = `,"lat":${lat},"lon":${lon},"speed":${speed},"heading":${word % 360}`
    return `${place},"fuel":${fuel},"odometer":${odometer},"ignition":true,"driver":"D-${(word >>> 16) % 5000}"`
  }

  #kind(share: number): number {
    const { malformedRatio, poisonRatio } = this.#options
    if (share < malformedRatio) return TRUCK_EVENT_KIND.malformed
    return share < malformedRatio + poisonRatio ? TRUCK_EVENT_KIND.poison : TRUCK_EVENT_KIND.sound
  }
}
