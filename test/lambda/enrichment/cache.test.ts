/** The cache of look-ups, compared with a plain model of it. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom, VirtualClock } from '../../../src/core/index.ts'
import { ENTRY_BYTES, LookupCache } from '../../../src/lambda/enrichment/lookup-cache.ts'

const seed = Number(process.env['TEST_SEED'] ?? 20_260_917)
const BASE = { ttlMs: 100, negativeTtlMs: 40, staleMs: 0, entriesMax: 10, bytesMax: 1_000_000 }

test('an entry is fresh for its time; that there is nothing, for another', async () => {
  const clock = new VirtualClock()
  const cache = new LookupCache({ ...BASE, clock })
  cache.set('a', '1')
  cache.set('b', undefined)

  await clock.advance(39)
  assert.deepEqual([cache.fresh('a')?.text, cache.fresh('b') !== undefined], ['1', true])
  await clock.advance(1)
  assert.deepEqual([cache.fresh('a')?.text, cache.fresh('b')], ['1', undefined])
  await clock.advance(60)
  assert.equal(cache.fresh('a'), undefined)
})

test('a time of 0 remembers nothing', () => {
  const cache = new LookupCache({ ...BASE, ttlMs: 0, negativeTtlMs: 0, clock: new VirtualClock() })
  cache.set('a', '1')
  cache.set('b', undefined)

  assert.equal(cache.size, 0)
})

test('an entry larger than the cache is not kept, and does not drive the others out', () => {
  const cache = new LookupCache({ ...BASE, bytesMax: 1_000, clock: new VirtualClock() })
  cache.set('a', '1')
  cache.set('b', 'x'.repeat(500))

  assert.equal(cache.fresh('a')?.text, '1')
  assert.equal(cache.fresh('b'), undefined)
})

test('a stale entry counts as fresh for a moment, and never for longer than it may be used', async () => {
  const clock = new VirtualClock()
  const cache = new LookupCache({ ...BASE, staleMs: 50, clock })
  cache.set('a', '1')
  await clock.advance(120)

  assert.equal(cache.fresh('a'), undefined)
  assert.equal(cache.stale('a', 1_000)?.text, '1')
  await clock.advance(29)
  assert.equal(cache.fresh('a')?.text, '1')
  await clock.advance(1)
  assert.equal(cache.fresh('a'), undefined)
  assert.equal(cache.stale('a', 1_000), undefined)
  assert.equal(cache.size, 0)
})

interface Modelled {
  readonly key: string
  readonly text: string | undefined
  readonly freshUntilMs: number
}

test('whatever is done to it, the cache is what a list of entries would be', async () => {
  const random = new SeededRandom(seed)
  for (let run = 0; run < (process.env['FUZZ'] === 'long' ? 2_000 : 30); run += 1) {
    const clock = new VirtualClock(0)
    const options = {
      ...BASE,
      entriesMax: 1 + randomInt(random, 8),
      bytesMax: 200 + randomInt(random, 3_000),
      clock
    }
    const cache = new LookupCache(options)
    /** The most recently used one is the last. */
    let model: Modelled[] = []
    const bytesOf = ({ key, text }: Modelled): number => ENTRY_BYTES + 2 * (key.length + (text?.length ?? 0))
    for (let step = 0; step < 200; step += 1) {
      const key = `k${randomInt(random, 12)}`
      const place = `seed ${seed}, run ${run}, step ${step}`
      switch (randomInt(random, 3)) {
        case 0: {
          const text = randomInt(random, 4) === 0 ? undefined : 'x'.repeat(randomInt(random, 400))
          cache.set(key, text)
          const lifeMs = text === undefined ? BASE.negativeTtlMs : BASE.ttlMs
          const entry = { key, text, freshUntilMs: clock.monotonicMs() + lifeMs }
          model = model.filter(each => each.key !== key)
          if (bytesOf(entry) <= options.bytesMax) model.push(entry)
          const isTooMuch = (): boolean =>
            model.length > options.entriesMax || model.reduce((sum, each) => sum + bytesOf(each), 0) > options.bytesMax
          while (isTooMuch()) model.shift()
          break
        }
        case 1: {
          const entry = model.find(each => each.key === key && each.freshUntilMs > clock.monotonicMs())
          const found = cache.fresh(key)
          assert.deepEqual([found !== undefined, found?.text], [entry !== undefined, entry?.text], place)
          if (entry !== undefined) model = [...model.filter(each => each !== entry), entry]
          break
        }
        default:
          if (randomInt(random, 10) === 0) await clock.advance(randomInt(random, 60))
      }
      assert.equal(cache.size, model.length, place)
      assert.equal(
        cache.bytes,
        model.reduce((sum, each) => sum + bytesOf(each), 0),
        place
      )
      assert.ok(cache.bytes <= options.bytesMax && cache.size <= options.entriesMax, place)
    }
  }
})
