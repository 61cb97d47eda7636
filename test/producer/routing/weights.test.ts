import assert from 'node:assert/strict'
import { test } from 'node:test'

import { WeightedChoice } from '../../../src/producer/routing/weighted-choice.ts'

const KEYS = Array.from({ length: 40_000 }, (_, index) => Buffer.from(`T-${index}`))

function choice(weights: Readonly<Record<string, number>>): WeightedChoice<string> {
  return new WeightedChoice(Object.entries(weights).map(([name, weight]) => ({ name, weight, value: name })))
}

/** How far a share may be from its weight: four standard deviations of a binomial count. */
function assertShare(count: number, total: number, share: number): void {
  const sigma = Math.sqrt(total * share * (1 - share))
  assert.ok(Math.abs(count - total * share) <= 4 * sigma, `${count} of ${total}, expected a share of ${share}`)
}

test('the shares of keys are those of the weights, within four sigma', () => {
  const weights = { a: 1, b: 5, c: 94 }
  const counts: Record<string, number> = { a: 0, b: 0, c: 0 }
  const chosen = choice(weights)
  for (const key of KEYS) {
    const name = chosen.choose(key) ?? ''
    counts[name] = (counts[name] ?? 0) + 1
  }
  for (const [name, weight] of Object.entries(weights)) assertShare(counts[name] ?? 0, KEYS.length, weight / 100)
})

test('a key keeps to one side, whatever else passes', () => {
  const first = choice({ stable: 90, canary: 10 })
  const second = choice({ stable: 90, canary: 10 })
  const before = KEYS.map(key => first.choose(key))
  for (let index = KEYS.length - 1; index >= 0; index -= 1) {
    assert.equal(second.choose(KEYS[index] ?? null), before[index])
  }
})

test('from 5 to 10 % keys move into the canary and none out of it; the same the other way round', () => {
  const before = choice({ stable: 95, canary: 5 })
  const after = choice({ stable: 90, canary: 10 })
  let movedIn = 0
  for (const key of KEYS) {
    const from = before.choose(key)
    const to = after.choose(key)
    if (from === 'canary') assert.equal(to, 'canary', key.toString())
    else if (to === 'canary') movedIn += 1
  }
  assertShare(movedIn, KEYS.length, 0.05)
})

test('of three, only the one that grows takes keys', () => {
  const before = choice({ a: 50, b: 45, canary: 5 })
  const after = choice({ a: 50, b: 45, canary: 20 })
  for (const key of KEYS) {
    const from = before.choose(key)
    const to = after.choose(key)
    assert.ok(to === from || to === 'canary', `${key.toString()}: ${from} to ${to}`)
  }
})

test('a weight of 0 takes nothing, and the order in the file does not matter', () => {
  const one = choice({ stable: 95, canary: 5, off: 0 })
  const other = choice({ off: 0, canary: 5, stable: 95 })
  for (const key of KEYS.slice(0, 5000)) {
    assert.equal(one.choose(key), other.choose(key))
    assert.notEqual(one.choose(key), 'off')
  }
})

test('records without a key are spread evenly', () => {
  const chosen = choice({ stable: 95, canary: 5 })
  let count = 0
  for (let index = 0; index < 10_000; index += 1) if (chosen.choose(null) === 'canary') count += 1
  // A low-discrepancy sequence: far closer than chance.
  assert.ok(Math.abs(count - 500) <= 5, String(count))
})
