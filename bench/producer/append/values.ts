/** The values that every program of the append benchmark sends: JSON events of exactly 200 bytes. */

import { randomInt, SeededRandom } from '../../../src/core/index.ts'

/** Bytes of a value. */
export const VALUE_BYTES = 200

/** Values that are made; programs begin again after the last. */
export const VALUE_COUNT = 10_000

/** Trucks, and so keys where records have one. */
const TRUCK_COUNT = 1_000

/** The values as lines, and of each the key. */
export interface Values {
  /** Lines of JSON, each ended by LF. */
  readonly lines: Buffer
  /** Start and end (exclusive) of each value in `lines`. */
  readonly spans: Uint32Array
  /** The `truck_id` of each value. */
  readonly keys: readonly Buffer[]
}

/** Makes the values: the same ones each time. */
export function makeValues(): Values {
  const random = new SeededRandom(11)
  const lines = Buffer.alloc(VALUE_COUNT * (VALUE_BYTES + 1))
  const spans = new Uint32Array(VALUE_COUNT * 2)
  const trucks = Array.from({ length: TRUCK_COUNT }, (_, truck) => Buffer.from(`T-${String(truck).padStart(5, '0')}`))
  const keys: Buffer[] = []
  for (let index = 0; index < VALUE_COUNT; index += 1) {
    const truck = trucks[randomInt(random, TRUCK_COUNT)] ?? Buffer.alloc(0)
    keys.push(truck)
    const start = index * (VALUE_BYTES + 1)
    lines.write(`${valueOf(index, truck.toString(), random)}\n`, start)
    spans[index * 2] = start
    spans[index * 2 + 1] = start + VALUE_BYTES
  }
  return { lines, spans, keys }
}

function valueOf(index: number, truck: string, random: SeededRandom): string {
  const event = {
    event_id: `e-${String(index).padStart(8, '0')}`,
    truck_id: truck,
    codigo: 400 + randomInt(random, 20),
    ts: 1_700_000_000_000 + index,
    lat: (-23.5 - random.next() / 10).toFixed(6),
    lon: (-46.6 - random.next() / 10).toFixed(6),
    note: ''
  }
  const missing = VALUE_BYTES - JSON.stringify(event).length
  return JSON.stringify({ ...event, note: 'n'.repeat(missing) })
}
