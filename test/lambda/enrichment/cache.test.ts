/** The cache of look-ups, compared with a plain model of it. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../../src/core/index.ts'
import { type Known, LookupCache, weightOf } from '../../../src/lambda/enrichment/lookup-cache.ts'

const seed = Number(process.env['TEST_SEED'] ?? 20_260_917)
const BASE = { ttlMs: 100, negativeTtlMs: 40, staleMs: 0, entriesMax: 10, bytesMax: 1_000_000 }

function knownOf(text: string | undefined): Known {
  return text === undefined ? { kind: 'absent' } : { kind: 'found', text }
}

/** What is found, `null` if there is nothing, `undefined` if that is not known. */
function textOf(known: Known | undefined): string | null | undefined {
  return known?.kind === 'absent' ? null : known?.text
}

test('an entry is fresh for its time; that there is nothing, for another', () => {
  const cache = new LookupCache(BASE)
  cache.set('a', knownOf('1'), 1_000)
  cache.set('b', knownOf(undefined), 1_000)

  assert.deepEqual([textOf(cache.fresh('a', 1_039)), textOf(cache.fresh('b', 1_039))], ['1', null])
  assert.deepEqual([textOf(cache.fresh('a', 1_040)), textOf(cache.fresh('b', 1_040))], ['1', undefined])
  assert.deepEqual([textOf(cache.fresh('a', 1_099)), textOf(cache.fresh('a', 1_100))], ['1', undefined])
})

test('a time of 0 remembers nothing', () => {
  const cache = new LookupCache({ ...BASE, ttlMs: 0, negativeTtlMs: 0 })
  cache.set('a', knownOf('1'), 0)
  cache.set('b', knownOf(undefined), 0)

  assert.equal(cache.size, 0)
})

test('an entry larger than the cache is not kept, and does not drive the others out', () => {
  const cache = new LookupCache({ ...BASE, bytesMax: 1_000 })
  cache.set('a', knownOf('1'), 0)
  cache.set('b', knownOf('x'.repeat(500)), 0)

  assert.equal(textOf(cache.fresh('a', 1)), '1')
  assert.equal(cache.fresh('b', 1), undefined)
})

test('a stale entry counts as fresh for a moment, and never for longer than it may be used', () => {
  const cache = new LookupCache({ ...BASE, staleMs: 50 })
  cache.set('a', knownOf('1'), 0)

  assert.equal(cache.fresh('a', 120), undefined)
  assert.equal(textOf(cache.stale('a', 120, 1_000)), '1')
  assert.equal(textOf(cache.fresh('a', 149)), '1')
  assert.equal(cache.fresh('a', 150), undefined)
  assert.equal(cache.stale('a', 150, 1_000), undefined)
  assert.equal(cache.size, 0)
})

// By hand: V8 holds a text in two bytes a character at most, and a number of 16 bytes for two characters of JSON.
test('an entry weighs its texts and what they parse to', () => {
  assert.equal(weightOf('ab', undefined) - weightOf('', undefined), 4)
  assert.equal(weightOf('', '12345') - weightOf('', undefined), 50)
})

interface Modelled {
  readonly key: string
  readonly text: string | undefined
  readonly freshUntilMs: number
}

test('whatever is done to it, the cache is what a list of entries would be', () => {
  const random = new SeededRandom(seed)
  for (let run = 0; run < (process.env['FUZZ'] === 'long' ? 3_000 : 60); run += 1) {
    let nowMs = 0
    const options = { ...BASE, entriesMax: 1 + randomInt(random, 8), bytesMax: 400 + randomInt(random, 9_000) }
    const cache = new LookupCache(options)
    /** The most recently used one is the last. */
    let model: Modelled[] = []
    const bytes = (): number => model.reduce((sum, { key, text }) => sum + weightOf(key, text), 0)
    for (let step = 0; step < 200; step += 1) {
      const key = `k${randomInt(random, 12)}`
      const place = `seed ${seed}, run ${run}, step ${step}`
      switch (randomInt(random, 3)) {
        case 0: {
          const text = randomInt(random, 4) === 0 ? undefined : 'x'.repeat(randomInt(random, 300))
          cache.set(key, knownOf(text), nowMs)
          model = model.filter(each => each.key !== key)
          const freshUntilMs = nowMs + (text === undefined ? BASE.negativeTtlMs : BASE.ttlMs)
          if (weightOf(key, text) <= options.bytesMax) model.push({ key, text, freshUntilMs })
          while (model.length > options.entriesMax || bytes() > options.bytesMax) model.shift()
          break
        }
        case 1: {
          const entry = model.find(each => each.key === key && each.freshUntilMs > nowMs)
          assert.equal(textOf(cache.fresh(key, nowMs)), entry === undefined ? undefined : (entry.text ?? null), place)
          if (entry !== undefined) model = [...model.filter(each => each !== entry), entry]
          break
        }
        default:
          if (randomInt(random, 10) === 0) nowMs += randomInt(random, 60)
      }
      assert.deepEqual([cache.size, cache.bytes], [model.length, bytes()], place)
    }
    cache.clear()
    assert.deepEqual([cache.size, cache.bytes], [0, 0])
  }
})
