import assert from 'node:assert/strict'
import { test } from 'node:test'

import { scenarioConfig } from '../../src/config/index.ts'
import { SeededRandom } from '../../src/core/index.ts'
import { spanEnd, spanStart } from '../../src/producer/event-chunk.ts'
import { TRUCK_CODES, TRUCK_EVENT_KIND, TruckEvents, truckPopulation } from '../../src/producer/sources/truck-events.ts'

function trucks(options: {
  seed?: number
  malformedRatio?: number
  poisonRatio?: number
  producer?: number
}): TruckEvents {
  return new TruckEvents({
    producer: options.producer ?? 0,
    population: truckPopulation(scenarioConfig({})),
    malformedRatio: options.malformedRatio ?? 0,
    poisonRatio: options.poisonRatio ?? 0,
    random: new SeededRandom(options.seed ?? 1)
  })
}

const timeMs = 1_700_000_000_000

test('four of twenty codes make 80 % of the traffic, and so do the codes from 400 on', () => {
  const count = 100_000
  const { batch } = trucks({}).next(count, timeMs)
  const perCode = new Map<number, number>()
  for (const code of batch.codes) perCode.set(code, (perCode.get(code) ?? 0) + 1)

  assert.equal(perCode.size, 20)
  const hot = [...perCode.values()].sort((left, right) => right - left).slice(0, 4)
  const hotShare = hot.reduce((sum, value) => sum + value, 0) / count
  const from400 = batch.codes.filter(code => code >= 400).length / count
  assert.ok(Math.abs(hotShare - 0.8) < 0.01, `${hotShare}`) // more than 6 standard deviations
  assert.ok(Math.abs(from400 - 0.8) < 0.01, `${from400}`)
  assert.deepEqual(TRUCK_CODES.slice(0, 4), [400, 401, 402, 300])
})

test('a fifth of the trucks make 80 % of the traffic', () => {
  const count = 100_000
  const { batch } = trucks({}).next(count, timeMs)
  const perTruck = new Uint32Array(1000)
  for (const key of batch.keys) perTruck[key % 1000] = (perTruck[key % 1000] ?? 0) + 1
  const busiest = [...perTruck].sort((left, right) => right - left).slice(0, 200)
  const share = busiest.reduce((sum, value) => sum + value, 0) / count
  assert.ok(Math.abs(share - 0.8) < 0.01, `${share}`)
})

test('events are JSON of about 200 bytes that say what the columns say', () => {
  const { chunk, batch } = trucks({ producer: 7 }).next(2000, timeMs)
  let bytes = 0
  for (let index = 0; index < chunk.count; index += 1) {
    const text = chunk.bytes.toString('utf8', spanStart(chunk, index), spanEnd(chunk, index))
    const event = JSON.parse(text) as Record<string, unknown>
    bytes += text.length
    assert.equal(event['id'], `7-${batch.firstEvent + index}`)
    assert.equal(event['codigo'], batch.codes[index])
    assert.equal(event['seq'], batch.sequences[index])
    assert.equal(event['truck_id'], `T-${String((batch.keys[index] ?? 0) % 1000).padStart(5, '0')}`)
    assert.equal(event['ts'], timeMs)
  }
  const mean = bytes / chunk.count
  assert.ok(mean > 180 && mean < 220, `${mean}`)
})

test('sequences count each code and truck from 0 without a gap, across batches', () => {
  const events = trucks({})
  const next = new Map<number, number>()
  for (let round = 0; round < 50; round += 1) {
    const { batch } = events.next(1000, timeMs)
    assert.equal(batch.firstEvent, round * 1000)
    for (let index = 0; index < batch.count; index += 1) {
      const key = batch.keys[index] ?? -1
      assert.equal(batch.sequences[index], next.get(key) ?? 0)
      next.set(key, (next.get(key) ?? 0) + 1)
    }
  }
})

test('the same seed gives the same bytes, another seed others', () => {
  const bytesOf = (seed: number): Buffer =>
    trucks({ seed, malformedRatio: 0.1, poisonRatio: 0.1 }).next(5000, timeMs).chunk.bytes
  assert.deepEqual(bytesOf(42), bytesOf(42))
  assert.notDeepEqual(bytesOf(42), bytesOf(43))
})

test('malformed events are not JSON but tell their id, poisonous ones are JSON that says so', () => {
  const { chunk, batch } = trucks({ malformedRatio: 0.1, poisonRatio: 0.2 }).next(20_000, timeMs)
  const counts = [0, 0, 0]
  for (let index = 0; index < chunk.count; index += 1) {
    const text = chunk.bytes.toString('utf8', spanStart(chunk, index), spanEnd(chunk, index))
    const kind = batch.kinds[index] ?? -1
    counts[kind] = (counts[kind] ?? 0) + 1
    assert.ok(text.startsWith(`{"id":"0-${index}",`))
    if (kind === TRUCK_EVENT_KIND.malformed) assert.throws(() => JSON.parse(text))
    else assert.equal((JSON.parse(text) as { poison?: true }).poison === true, kind === TRUCK_EVENT_KIND.poison)
  }
  assert.ok(Math.abs((counts[1] ?? 0) / 20_000 - 0.1) < 0.015)
  assert.ok(Math.abs((counts[2] ?? 0) / 20_000 - 0.2) < 0.02)
})

test('a fleet of one truck works', () => {
  const events = new TruckEvents({
    producer: 0,
    population: truckPopulation(scenarioConfig({ trucks: 1 })),
    malformedRatio: 0,
    poisonRatio: 0,
    random: new SeededRandom(1)
  })
  assert.ok(events.next(1000, timeMs).batch.keys.every(key => key < 20))
})
