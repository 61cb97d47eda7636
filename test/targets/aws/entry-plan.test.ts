/** Requests made from entries: limits and order, whatever is refused, in any order of answers. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../../src/core/index.ts'
import { type Entry, type EntryLimits, EntryPlan } from '../../../src/targets/aws/entry-plan.ts'

interface TestEntry extends Entry {
  readonly number: number
}

function entry(number: number, group: string | undefined, bytes = 1): TestEntry {
  return { number, group, bytes, indexes: [number] }
}

function numbers(entries: readonly TestEntry[]): number[] {
  return entries.map(({ number }) => number)
}

test('entries without a group fill requests up to both limits, in order', () => {
  const sizes = [40, 60, 1, 100, 30, 30, 30, 30]
  const entries = sizes.map((bytes, number) => entry(number, undefined, bytes))
  const plan = new EntryPlan(entries, { entriesMax: 3, bytesMax: 100, groupEntriesMax: 1 })

  // 40 + 60 is exactly 100; 1 + 100 is one too many; three of 30 are the most that fit.
  assert.deepEqual(numbers(plan.next()), [0, 1])
  assert.deepEqual(numbers(plan.next()), [2])
  assert.deepEqual(numbers(plan.next()), [3])
  assert.deepEqual(numbers(plan.next()), [4, 5, 6])
  assert.deepEqual(numbers(plan.next()), [7])
  assert.deepEqual(plan.next(), [])
})

test('a group is in a request once, and not in the next before that is closed', () => {
  const entries = ['a', 'a', 'b', 'a', 'c'].map((group, number) => entry(number, group))
  const plan = new EntryPlan(entries, { entriesMax: 10, bytesMax: 100, groupEntriesMax: 1 })

  const first = plan.next()
  assert.deepEqual(numbers(first), [0, 2, 4])
  assert.deepEqual(plan.next(), [])
  plan.close(first)
  const second = plan.next()
  assert.deepEqual(numbers(second), [1])
  plan.block('a')
  plan.close(second)
  assert.deepEqual(plan.next(), [])
  assert.deepEqual(numbers(plan.rest()), [3])
})

test('loose order fills a request with one group', () => {
  const entries = ['a', 'a', 'b', 'a'].map((group, number) => entry(number, group))
  const plan = new EntryPlan(entries, { entriesMax: 3, bytesMax: 100, groupEntriesMax: 3 })

  const first = plan.next()
  assert.deepEqual(numbers(first), [0, 1, 3])
  assert.deepEqual(numbers(plan.next()), [2])
})

test('one entry above the limit of bytes goes alone instead of never', () => {
  const plan = new EntryPlan([entry(0, undefined, 500), entry(1, undefined, 1)], {
    entriesMax: 10,
    bytesMax: 100,
    groupEntriesMax: 1
  })
  assert.deepEqual(numbers(plan.next()), [0])
  assert.deepEqual(numbers(plan.next()), [1])
})

/** A model of a service: requests are answered in any order, and entries fail at random. */
function run(random: SeededRandom, limits: EntryLimits, entries: readonly TestEntry[]): void {
  const plan = new EntryPlan(entries, limits)
  const open: TestEntry[][] = []
  const sent: number[] = []
  const blocked = new Map<string, number>()
  for (;;) {
    while (open.length < 4) {
      const request = plan.next()
      if (request.length === 0) break
      checkRequest(request, limits, open)
      for (const { number, group } of request) {
        const since = group === undefined ? undefined : blocked.get(group)
        assert.ok(since === undefined || number < since, `${number} was sent behind ${since}, which has failed`)
      }
      sent.push(...numbers(request))
      open.push(request)
    }
    const [request] = open.splice(randomInt(random, open.length), 1)
    if (request === undefined) break
    for (const { number, group } of request) {
      if (group === undefined || blocked.has(group) || random.next() > 0.05) continue
      blocked.set(group, number)
      plan.block(group)
    }
    plan.close(request)
  }
  const rest = numbers(plan.rest())
  assert.deepEqual(
    [...sent, ...rest].toSorted((a, b) => a - b),
    numbers(entries),
    'an entry was lost or sent twice'
  )
  for (const number of rest) assert.ok(blocked.has(entries[number]?.group ?? ''), `${number} was held for nothing`)
  for (const [group, list] of Map.groupBy(
    sent.map(number => entries[number]),
    each => each?.group
  )) {
    const order = list.map(each => each?.number ?? -1)
    if (group !== undefined)
      assert.deepEqual(
        order,
        order.toSorted((a, b) => a - b),
        `group ${group} out of order`
      )
  }
}

function checkRequest(
  request: readonly TestEntry[],
  limits: EntryLimits,
  open: readonly (readonly TestEntry[])[]
): void {
  assert.ok(request.length <= limits.entriesMax)
  const bytes = request.reduce((sum, each) => sum + each.bytes, 0)
  assert.ok(request.length === 1 || bytes <= limits.bytesMax, `${bytes} bytes`)
  const busy = new Set(open.flat().map(({ group }) => group))
  const counts = new Map<string, number>()
  for (const { group } of request) {
    if (group === undefined) continue
    assert.ok(!busy.has(group), `group ${group} is in two open requests`)
    counts.set(group, (counts.get(group) ?? 0) + 1)
  }
  for (const count of counts.values()) assert.ok(count <= limits.groupEntriesMax)
}

test('whatever fails in whatever order of answers, groups stay in order and nothing is lost', () => {
  const seed = Number(process.env['TEST_SEED'] ?? 20_260_101)
  const random = new SeededRandom(seed)
  for (let round = 0; round < 300; round += 1) {
    const groupCount = 1 + randomInt(random, 12)
    const entriesMax = 1 + randomInt(random, 10)
    const entries = Array.from({ length: randomInt(random, 80) }, (_, number) =>
      entry(number, random.next() < 0.2 ? undefined : `g${randomInt(random, groupCount)}`, 1 + randomInt(random, 30))
    )
    const groupEntriesMax = random.next() < 0.5 ? 1 : entriesMax
    const limits = { entriesMax, bytesMax: 10 + randomInt(random, 100), groupEntriesMax }
    try {
      run(random, limits, entries)
    } catch (error) {
      throw new Error(`TEST_SEED=${seed}, round ${round}`, { cause: error })
    }
  }
})
