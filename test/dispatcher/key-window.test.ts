import assert from 'node:assert/strict'
import { test } from 'node:test'

import { bodyBytes, type Random, randomInt, SeededRandom } from '../../src/core/index.ts'
import { KeyWindow } from '../../src/dispatcher/key-window.ts'
import { seedOf } from './support.ts'

interface ModelRow {
  readonly delta: number
  readonly key: number | undefined
  readonly seq: number
  state: 'waiting' | 'inFlight' | 'finished'
}

/** A window and its plain model side by side: every step is done on both and compared. */
class Pair {
  readonly window: KeyWindow
  readonly rows: ModelRow[] = []
  readonly batches: ModelRow[][] = []
  passed = 0

  constructor(window = new KeyWindow()) {
    this.window = window
  }

  add(delta: number, key: number | undefined): void {
    const seq = this.window.add(delta, key)
    this.passed = delta + 1
    if (seq >= 0) this.rows.push({ delta, key, seq, state: 'waiting' })
  }

  /** The rows that may go by the rule, told without the window. */
  free(): ModelRow[] {
    const locked = new Set(this.batches.flat().flatMap(({ key, state }) => (state === 'inFlight' ? [key] : [])))
    return this.rows.filter(({ key, state }) => state === 'waiting' && (key === undefined || !locked.has(key)))
  }

  /** The first rows that may go, of the first so many keys. */
  expected(rowsMax: number, keysMax: number): ModelRow[] {
    const free = this.free()
    const keys = [...new Set(free.flatMap(({ key }) => (key === undefined ? [] : [key])))].slice(0, keysMax)
    return free.filter(({ key }) => key === undefined || keys.includes(key)).slice(0, rowsMax)
  }

  form(rowsMax: number, keysMax = Number.POSITIVE_INFINITY): ModelRow[] {
    const expected = this.expected(rowsMax, keysMax)
    const batch: ModelRow[] = []
    let keyCount = 0
    this.window.walk()
    while (batch.length < rowsMax) {
      const seq = this.window.next()
      if (seq < 0) break
      if (this.window.see(seq)) keyCount += 1
      const isNew = !batch.some(({ key }) => key === this.rows.find(found => found.seq === seq)?.key)
      if (keyCount > keysMax && isNew && this.rows.find(found => found.seq === seq)?.key !== undefined) {
        this.window.leave(seq)
        continue
      }
      this.window.take(seq)
      const row = this.rows.find(found => found.seq === seq)
      assert.ok(row !== undefined)
      row.state = 'inFlight'
      batch.push(row)
    }
    assert.deepEqual(
      batch.map(({ delta }) => delta),
      expected.map(({ delta }) => delta)
    )
    if (batch.length > 0) this.batches.push(batch)
    return batch
  }

  finish(row: ModelRow): void {
    this.window.finish(row.seq)
    row.state = 'finished'
    for (const [index, batch] of this.batches.entries()) {
      if (batch.every(({ state }) => state === 'finished')) this.batches.splice(index, 1)
    }
  }

  get inFlight(): ModelRow[] {
    return this.rows.filter(({ state }) => state === 'inFlight')
  }

  check(): void {
    const committable = this.rows.find(({ state }) => state !== 'finished')?.delta ?? this.passed
    assert.equal(this.window.committable, committable)
    assert.equal(this.window.inFlightCount, this.inFlight.length)
    assert.equal(this.window.waitingCount, this.rows.filter(({ state }) => state === 'waiting').length)
    const finished = offsetsIn(this.window.finishedRanges())
    for (const { delta, state } of this.rows) {
      if (delta >= committable) assert.equal(finished.has(delta - committable), state === 'finished', `offset ${delta}`)
    }
  }
}

function offsetsIn(ranges: readonly number[]): Set<number> {
  const offsets = new Set<number>()
  for (let index = 0; index < ranges.length; index += 2) {
    for (let offset = ranges[index] ?? 0; offset < (ranges[index + 1] ?? 0); offset += 1) offsets.add(offset)
  }
  return offsets
}

function some<T>(random: Random, items: readonly T[]): T | undefined {
  return items[randomInt(random, Math.max(1, items.length))]
}

test('the window does what its rule says, whatever the order of things', t => {
  const seed = seedOf(t)
  for (let round = 0; round < 60; round += 1) {
    const random = new SeededRandom(seed + round)
    const pair = new Pair()
    const keyCount = 1 + randomInt(random, 12)
    const batchesMax = 1 + randomInt(random, 4)
    for (let step = 0; step < 250; step += 1) {
      const roll = random.next()
      if (roll < 0.5) {
        const gap = random.next() < 0.1 ? randomInt(random, 1000) : 0
        pair.add(pair.passed + gap, random.next() < 0.1 ? undefined : randomInt(random, keyCount))
      } else if (roll < 0.55) {
        pair.passed += randomInt(random, 20)
        pair.window.pass(pair.passed)
      } else if (roll < 0.7) {
        const keysMax = random.next() < 0.5 ? 1 + randomInt(random, 4) : Number.POSITIVE_INFINITY
        if (pair.batches.length < batchesMax) pair.form(1 + randomInt(random, 10), keysMax)
      } else {
        const row = some(random, pair.inFlight)
        if (row !== undefined) pair.finish(row)
      }
      pair.check()
    }
  }
})

test('a restart passes over exactly what was finished, also where compaction has taken records away', t => {
  const seed = seedOf(t)
  for (let round = 0; round < 60; round += 1) {
    const random = new SeededRandom(seed + round)
    let pair = new Pair()
    const log: { readonly offset: number; readonly key: number; finished: number }[] = []
    let base = 0
    for (let life = 0; life < 6; life += 1) {
      // What is there of the log is read again from where the last life has committed.
      for (const { offset, key } of log.filter(each => each.offset >= base)) pair.add(offset - base, key)
      for (let step = 0; step < 60; step += 1) {
        const roll = random.next()
        if (roll < 0.45) {
          const offset = Math.max(base + pair.passed, (log.at(-1)?.offset ?? -1) + 1) + randomInt(random, 2) * 3
          const key = randomInt(random, 8)
          log.push({ offset, key, finished: 0 })
          pair.add(offset - base, key)
        } else if (roll < 0.6) {
          pair.form(1 + randomInt(random, 6))
        } else {
          const row = some(random, pair.inFlight)
          if (row === undefined) continue
          pair.finish(row)
          const entry = log.find(({ offset }) => offset === base + row.delta)
          assert.ok(entry !== undefined)
          entry.finished += 1
        }
      }
      const carried = pair.window.finishedRanges()
      base += pair.window.committable
      for (const { offset, finished } of log) {
        const isKnown = offset < base || offsetsIn(carried).has(offset - base)
        assert.equal(isKnown, finished > 0, `offset ${offset} in life ${life}`)
        assert.ok(finished <= 1, `offset ${offset} was done ${finished} times`)
      }
      // Compaction: any record but the newest may be gone.
      for (let index = log.length - 2; index >= 0; index -= 1) if (random.next() < 0.2) log.splice(index, 1)
      pair = new Pair(new KeyWindow({ carried }))
    }
  }
})

test('what may finish always fits, and the window never stands still', t => {
  const seed = seedOf(t)
  for (let round = 0; round < 60; round += 1) {
    const random = new SeededRandom(seed + round)
    const bodyBytesMax = 26 + randomInt(random, 20)
    let carried: number[] = []
    let next = 0
    let base = 0
    let doneCount = 0
    const gapMax = [1, 3, 300][round % 3] ?? 1
    for (let life = 0; life < 4; life += 1) {
      const window = new KeyWindow({ carried, bodyBytesMax })
      const inFlight: number[] = []
      next = 0
      for (let step = 0; step < 300; step += 1) {
        while (window.hasRoom(next)) {
          window.add(next, randomInt(random, 6))
          next += 1 + randomInt(random, gapMax)
          if (random.next() < 0.05) break
        }
        window.walk()
        for (let seq = window.next(), count = 0; seq >= 0 && count < 5; seq = window.next(), count += 1) {
          window.take(seq)
          inFlight.push(seq)
        }
        // Nothing is in flight only if nothing waits: so there is always something that can finish.
        if (window.inFlightCount === 0) assert.equal(window.waitingCount, 0)
        for (let count = randomInt(random, 4); count > 0 && inFlight.length > 0; count -= 1) {
          const [seq] = inFlight.splice(random.next() < 0.8 ? inFlight.length - 1 : 0, 1)
          window.finish(seq ?? -1)
          doneCount += 1
        }
        const ranges = window.finishedRanges()
        assert.ok(bodyBytes(ranges) <= bodyBytesMax, `${bodyBytes(ranges)} bytes of ${bodyBytesMax}`)
      }
      carried = window.finishedRanges()
      base += window.committable
    }
    assert.ok(doneCount > 200 && base > 0, `${doneCount} records, up to ${base}`)
  }
})

/** Does the same steps again from the beginning: windows cannot be copied. */
function replay(keys: readonly (number | undefined)[], steps: readonly number[]): Pair {
  const pair = new Pair()
  for (const [offset, key] of keys.entries()) pair.add(offset, key)
  for (const step of steps) {
    if (step < 0) pair.form(-step)
    else pair.finish(pair.rows[step] ?? assert.fail())
    pair.check()
  }
  return pair
}

test('every interleaving of batches and answers keeps the order of each key', () => {
  const a = 1
  const b = 2
  let count = 0
  for (const keys of [
    [a, b, a, b],
    [a, a, undefined, b],
    [a, b, b, a],
    [undefined, a, undefined, a]
  ]) {
    const open: number[][] = [[]]
    for (let steps = open.pop(); steps !== undefined; steps = open.pop()) {
      const pair = replay(keys, steps)
      count += 1
      // Of the records of a key that are not finished, those in flight come first.
      for (const key of [a, b]) {
        const states = pair.rows.filter(row => row.key === key && row.state !== 'finished').map(({ state }) => state)
        assert.deepEqual(states, states.toSorted(), `${keys.join()}: ${steps.join()}`)
        const holders = pair.batches.filter(batch => batch.some(row => row.key === key && row.state === 'inFlight'))
        assert.ok(holders.length <= 1, 'two batches with the same key')
      }
      const actions = pair.inFlight.map(({ seq }) => seq)
      if (pair.batches.length < 2 && pair.free().length > 0) actions.push(-1, -2, -4)
      for (const action of actions) open.push([...steps, action])
    }
  }
  assert.ok(count > 1000, `${count} interleavings`)
})
