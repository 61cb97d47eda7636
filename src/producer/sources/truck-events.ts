/**
 * The truck scenario: events of a fleet, the same for the same seed.
 *
 * Twenty codes, of which four (20 %) make 80 % of the traffic; the codes from 400
 * on make 80 % of it as well. Of the trucks, too, 20 % make 80 %. An event has
 * about 200 bytes:
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
import { ChunkBuilder, type EventChunk } from '../event-chunk.ts'

/** What is wrong with an event, as a number. */
export const TRUCK_EVENT_KIND = { sound: 0, malformed: 1, poison: 2 } as const

/** A code and its share of the traffic. */
interface CodeShare {
  readonly code: number
  readonly share: number
}

const SHARES: readonly CodeShare[] = [
  { code: 400, share: 0.3 },
  { code: 401, share: 0.25 },
  { code: 402, share: 0.15 },
  { code: 300, share: 0.1 },
  ...codes(403, 7, 0.1),
  ...codes(301, 9, 0.1)
]

function codes(first: number, count: number, share: number): CodeShare[] {
  return Array.from({ length: count }, (_, index) => ({ code: first + index, share: share / count }))
}

/** The codes of the scenario, most frequent first. */
export const TRUCK_CODES: readonly number[] = SHARES.map(({ code }) => code)

/** Options of `TruckEvents`. */
export interface TruckEventsOptions {
  /** Index of this producer, 0 to 255: the first part of every id. */
  readonly producer: number
  /** Number of trucks. At least 1. */
  readonly trucks: number
  readonly malformedRatio: number
  readonly poisonRatio: number
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
  readonly #bounds: Float64Array
  readonly #sequences: Uint32Array
  readonly #hotTrucks: number
  readonly #builder = new ChunkBuilder()
  #nextEvent = 0
  #bytes = 0

  constructor(options: TruckEventsOptions) {
    this.#options = options
    this.#hotTrucks = Math.max(1, Math.round(options.trucks / 5))
    this.#sequences = new Uint32Array(SHARES.length * options.trucks)
    let sum = 0
    this.#bounds = Float64Array.from(SHARES, ({ share }) => (sum += share))
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
    const { random, trucks } = this.#options
    const codeIndex = this.#codeIndex(random.next())
    const truck = this.#truck()
    const key = codeIndex * trucks + truck
    const sequence = this.#sequences[key] ?? 0
    const code = TRUCK_CODES[codeIndex] ?? 0
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
    return `${head},"ts":${batch.timeMs}${this.#telemetry()}${tail}`
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

  #codeIndex(share: number): number {
    const last = this.#bounds.length - 1
    for (let index = 0; index < last; index += 1) if (share < (this.#bounds[index] ?? 1)) return index
    return last
  }

  #truck(): number {
    const { random, trucks } = this.#options
    if (trucks === this.#hotTrucks || random.next() < 0.8) return randomInt(random, this.#hotTrucks)
    return this.#hotTrucks + randomInt(random, trucks - this.#hotTrucks)
  }

  #kind(share: number): number {
    const { malformedRatio, poisonRatio } = this.#options
    if (share < malformedRatio) return TRUCK_EVENT_KIND.malformed
    return share < malformedRatio + poisonRatio ? TRUCK_EVENT_KIND.poison : TRUCK_EVENT_KIND.sound
  }
}
