/** The book of keys that wait, against a plain model, and the rule of stages in every order of small cases. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../../src/core/index.ts'
import { keyNameOf, StationBook } from '../../../src/dispatcher/parking/station-book.ts'
import { seedOf } from '../support.ts'

test('a record follows its key into the lowest later stage that holds it, and goes free when the key is done', () => {
  const book = new StationBook({ tierCount: 3, keysMax: 10 })
  assert.equal(book.isIdle, true)
  book.enter('a', 1)
  book.enter('a', 3)
  assert.equal(book.followStage('a', 0), 1)
  assert.equal(book.followStage('a', 1), 3)
  assert.equal(book.followStage('a', 3), undefined)
  assert.equal(book.followStage('b', 0), undefined)
  assert.equal(book.followStage(undefined, 0), undefined)
  book.leave('a', 1)
  assert.equal(book.followStage('a', 0), 3)
  book.leave('a', 3)
  assert.equal(book.isIdle, true)
})

test('records without a key are not held, and a copy that nobody counted does not upset the book', () => {
  const book = new StationBook({ tierCount: 1, keysMax: 10 })
  book.enter(undefined, 1)
  assert.equal(book.keyCount, 0)
  book.leave(undefined, 1)
  book.leave('a', 1)
  book.enter('a', 1)
  book.leave('a', 1)
  book.leave('a', 1)
  assert.equal(book.keyCount, 0)
})

test('a full book calls back once a key is done', () => {
  const book = new StationBook({ tierCount: 1, keysMax: 2 })
  const calls: string[] = []
  book.onRoom(() => calls.push('at once'))
  book.enter('a', 1)
  book.enter('a', 1)
  book.enter('b', 1)
  assert.equal(book.isFull, true)
  book.onRoom(() => calls.push('later'))
  book.leave('a', 1)
  assert.deepEqual(calls, ['at once'])
  book.leave('a', 1)
  assert.deepEqual(calls, ['at once', 'later'])
  assert.equal(book.isFull, false)
})

test('a move is known by stage, offset and timestamp until its offset is committed', () => {
  const book = new StationBook({ tierCount: 2, keysMax: 10 })
  book.moved(0, 5n, 1000)
  book.moved(0, 9n, 1001)
  book.moved(1, 5n, 2000)
  assert.equal(book.isIdle, false)
  assert.equal(book.isMoved(0, 5n, 1000), true)
  assert.equal(book.isMoved(0, 5n, 999), false, 'a record of another topic of the same name')
  assert.equal(book.isMoved(0, 6n, 1000), false)
  assert.equal(book.isMoved(1, 5n, 2000), true)
  book.committed(0, 9n)
  assert.equal(book.isMoved(0, 9n, 1001), true, 'offset 9 itself is read again')
  book.committed(0, 10n)
  assert.equal(book.isMoved(0, 9n, 1001), false)
  book.committed(1, 6n)
  assert.equal(book.isIdle, true)
})

test('keys that are long are known by their hash, and never taken for a short one', () => {
  const long = Buffer.alloc(5000, 'k')
  const name = keyNameOf(long) ?? ''
  assert.ok(name.length < 100)
  assert.notEqual(keyNameOf(Buffer.from(name)), name)
  assert.notEqual(keyNameOf(Buffer.alloc(5001, 'k')), name)
  assert.equal(keyNameOf(null), undefined)
  assert.notEqual(keyNameOf(Buffer.from([0xff])), keyNameOf(Buffer.from([0xc3, 0xbf])))
})

test('whatever comes and goes, the book says what a list of all records says', t => {
  const random = new SeededRandom(seedOf(t))
  for (let round = 0; round < 200; round += 1) {
    const tierCount = 1 + randomInt(random, 4)
    const book = new StationBook({ tierCount, keysMax: 4 })
    const records: { key: string; stage: number }[] = []
    for (let step = 0; step < 60; step += 1) {
      if (records.length === 0 || random.next() < 0.5) {
        const record = { key: `k${randomInt(random, 6)}`, stage: 1 + randomInt(random, tierCount) }
        records.push(record)
        book.enter(record.key, record.stage)
      } else {
        const [record] = records.splice(randomInt(random, records.length), 1)
        if (record !== undefined) book.leave(record.key, record.stage)
      }
      assert.equal(book.keyCount, new Set(records.map(({ key }) => key)).size)
      const key = `k${randomInt(random, 6)}`
      const from = randomInt(random, tierCount + 1)
      const later = records.filter(each => each.key === key && each.stage > from).map(({ stage }) => stage)
      assert.equal(book.followStage(key, from), later.length === 0 ? undefined : Math.min(...later))
    }
  }
})

/** Records of one key at their stages, as logs; the oldest has the number 0. */
interface State {
  readonly source: readonly number[]
  readonly tiers: readonly (readonly number[])[]
  readonly delivered: readonly number[]
}

/** What may happen next: any stage takes its first record, which is delivered or refused, or has to follow. */
function nextStates(state: State, tierCount: number): State[] {
  const book = new StationBook({ tierCount, keysMax: 10 })
  for (const [index, tier] of state.tiers.entries()) for (const _ of tier) book.enter('k', index + 1)
  const states: State[] = []
  for (let stage = 0; stage <= tierCount; stage += 1) {
    const log = stage === 0 ? state.source : (state.tiers[stage - 1] ?? [])
    const [first, ...rest] = log
    if (first === undefined) continue
    const source = stage === 0 ? rest : state.source
    const without = state.tiers.map((tier, index) => (index + 1 === stage ? rest : tier))
    const moved = (to: number): State => ({
      ...state,
      source,
      tiers: without.map((tier, index) => (index + 1 === to ? [...tier, first] : tier))
    })
    const follow = book.followStage('k', stage)
    if (follow !== undefined) {
      states.push(moved(follow))
      continue
    }
    states.push({ ...state, source, tiers: without, delivered: [...state.delivered, first] })
    // Refused: the last stage puts it aside for good.
    states.push(stage < tierCount ? moved(stage + 1) : { ...state, source, tiers: without })
  }
  return states
}

test('in every order of steps, whatever is refused, records of a key are delivered in order and none is stuck', () => {
  for (const [recordCount, tierCount] of [
    [2, 1],
    [3, 1],
    [2, 2],
    [3, 2],
    [4, 2],
    [3, 3]
  ] as const) {
    const first: State = {
      source: Array.from({ length: recordCount }, (_, index) => index),
      tiers: Array.from({ length: tierCount }, () => []),
      delivered: []
    }
    const seen = new Set<string>()
    const open = [first]
    let endCount = 0
    for (let state = open.pop(); state !== undefined; state = open.pop()) {
      const name = JSON.stringify(state)
      if (seen.has(name)) continue
      seen.add(name)
      const { delivered } = state
      assert.deepEqual(
        delivered,
        delivered.toSorted((a, b) => a - b),
        name
      )
      const next = nextStates(state, tierCount)
      if (next.length === 0) {
        endCount += 1
        assert.equal(state.source.length + state.tiers.flat().length, 0, `stuck: ${name}`)
      }
      open.push(...next)
    }
    assert.equal(endCount, 2 ** recordCount, 'each record is delivered or not, in all combinations')
  }
})
