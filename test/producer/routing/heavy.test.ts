import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { ProducerInput } from '../../../src/config/index.ts'
import { HeavyDetector, type HeavyDetectorOptions, HeavyWatch } from '../../../src/producer/routing/heavy-detector.ts'
import { SafePoints } from '../../../src/producer/routing/safe-points.ts'
import { VirtualClock } from '../../../src/core/index.ts'
import { resolving, topicOf } from './support.ts'

const options = { mode: 'move', share: 0.2, counters: 50, windowMs: 1000, eventsMin: 100, movedMax: 2 } as const

function watched(overrides: Partial<HeavyDetectorOptions> = {}): { watch: HeavyWatch; heavyValues: Set<string> } {
  const heavyValues = new Set<string>()
  const split = { heavy: 'h', light: 'l', heavyValues }
  return { watch: new HeavyWatch({ topic: 't', field: 'codigo', split }, { ...options, ...overrides }), heavyValues }
}

function feed(watch: HeavyWatch, counts: Readonly<Record<string, number>>): void {
  for (const [value, count] of Object.entries(counts)) for (let n = 0; n < count; n += 1) watch.add(value)
}

test('declared heavy values go to the heavy topic, others and events without the field to the light one', async () => {
  const split = {
    'mt-c400': { field: 'codigo', heavy: [400, '401'], topics: { heavy: 'c400-heavy', light: 'c400-light' } }
  }
  const { resolver, resolve } = await resolving({ route: { topic: 'mt-c400', split } })
  const found = resolve({ codigo: 400 }, { codigo: '400' }, { codigo: 401 }, { codigo: 402 }, {}).map(topicOf)
  assert.deepEqual(found, ['c400-heavy', 'c400-heavy', 'c400-heavy', 'c400-light', 'c400-light'])
  assert.deepEqual(resolver.topics, ['c400-heavy', 'c400-light'])
})

test('without a field the split goes by the key, hot sub-keys and hashes included', async () => {
  const split = { t: { heavy: ['400'], topics: { heavy: 'h', light: 'l' } } }
  const subKeys = { keys: [400], count: 2 }
  const keys: ProducerInput['key'][] = [
    { strategy: 'field', field: 'c', subKeys },
    { strategy: 'hash', fields: ['c'] }
  ]
  for (const key of keys) {
    const { resolve } = await resolving({ route: { topic: 't', split }, key })
    assert.deepEqual(resolve({ c: 400 }, { c: 401 }).map(topicOf), ['h', 'l'])
  }
})

test('what has its share for certain is heavy; it is reported once, and again when that ends', () => {
  const { watch } = watched({ mode: 'report' })
  feed(watch, { a: 60, b: 25, ...Object.fromEntries(Array.from({ length: 15 }, (_, n) => [`x${n}`, 1])) })
  const change = watch.endWindow()
  assert.deepEqual(change, { topic: 't', heavyCount: 2, largestShare: 0.6, movingCount: 0 })
  feed(watch, { a: 60, b: 40 })
  assert.equal(watch.endWindow(), undefined)
  for (let window = 0; window < 6; window += 1) feed(watch, { c: 1000 })
  assert.equal(watch.endWindow()?.heavyCount, 1)
})

test('too few events decide nothing', () => {
  const { watch } = watched()
  feed(watch, { a: 99 })
  assert.equal(watch.endWindow(), undefined)
  assert.deepEqual(watch.report().heavy, [])
})

test('a value moves at a safe point only, no more than allowed, and stays', () => {
  const { watch, heavyValues } = watched()
  feed(watch, { a: 100, b: 90, c: 80 })
  assert.equal(watch.endWindow()?.movingCount, 2)
  assert.ok(watch.isMoving)
  assert.equal(heavyValues.size, 0)
  watch.safePoint()
  assert.deepEqual([...heavyValues], ['a', 'b'])
  feed(watch, { c: 1000 })
  watch.endWindow()
  watch.safePoint()
  assert.deepEqual([...heavyValues], ['a', 'b'])
})

test('nobody hands over while a move waits for acknowledgements; one that takes too long is put off', async () => {
  const clock = new VirtualClock()
  const { watch, heavyValues } = watched()
  const detector = new HeavyDetector([watch], 1000)
  let acknowledge: () => void = () => undefined
  const outlet = { state: 'up' as const, flush: () => new Promise<void>(resolve => (acknowledge = resolve)) }
  const points = new SafePoints({ detector, outlet, clock })
  assert.equal(points.wait(), undefined)
  feed(watch, { a: 200 })
  await clock.advance(1000)
  const first = points.wait()
  assert.ok(first !== undefined)
  assert.equal(points.wait(), first, 'others wait for the same')
  assert.equal(heavyValues.size, 0)
  acknowledge()
  await first
  assert.deepEqual([...heavyValues], ['a'])
  assert.equal(points.wait(), undefined)

  feed(watch, { b: 900 })
  await clock.advance(1000)
  const second = points.wait()
  await clock.advance(5000)
  await second
  assert.deepEqual([...heavyValues], ['a'], 'put off')
})
