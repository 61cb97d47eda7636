/** Assignors are quick enough for the largest groups that are promised: 1,000 partitions, 100 members, 200 ms. */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { assign, type AssignorMember } from '../../../src/client/assignors.ts'
import { counts, loads, member, plain, type Plain, type PlainMember } from './support.ts'

const memberCount = 100
const limitMs = 200
const assignor = 'cooperative-sticky'

test('members that all want one topic', t => {
  const topics = counts({ t: 1_000 })
  for (const each of ['range', 'roundrobin', 'cooperative-sticky']) {
    const result = timed(t, { assignor: each, members: manyMembers(() => ({})), topics })
    assert.deepEqual(
      loads(result),
      Array.from({ length: memberCount }, () => 10)
    )
  }
})

test('ninety-nine members that join one that holds everything', t => {
  const owned = names(1_000).map(number => `t/${Number(number)}`)
  const members = manyMembers(index => (index === 0 ? { owned, generation: 1 } : {}))

  const result = timed(t, { assignor, members, topics: counts({ t: 1_000 }) })

  assert.deepEqual(loads(result), [...Array.from({ length: memberCount - 1 }, () => 0), 10])
})

test('half of the members leave', t => {
  const members = manyMembers(index => ({ owned: tenOf(index), generation: 1 })).slice(0, memberCount / 2)

  const result = timed(t, { assignor, members, topics: counts({ t: 1_000 }) })

  assert.deepEqual(
    loads(result),
    Array.from({ length: memberCount / 2 }, () => 20)
  )
})

test('members that all want a thousand topics', t => {
  const topics = names(1_000)
  const members = manyMembers(() => ({ topics }))
  for (const each of ['range', 'roundrobin', 'cooperative-sticky']) {
    const result = timed(t, { assignor: each, members, topics: oneEach(topics) })
    assert.equal(Object.values(result).flat().length, 1_000)
  }
})

test('members that want different topics, one of which has far more than others', t => {
  const topics = names(100)
  const members = manyMembers(index => ({ topics: [0, 1, 7].map(step => topics[(index + step) % 100] ?? '') }))
  const sizes = topics.map((topic, index): [string, number] => [topic, index === 0 ? 505 : 5])

  const result = timed(t, { assignor, members, topics: new Map(sizes) })

  assert.equal(Object.values(result).flat().length, 1_000)
})

test('members that join one that holds a thousand topics', t => {
  const topics = names(1_000)
  const owned = topics.map(topic => `${topic}/0`)
  const members = manyMembers(index => (index === 0 ? { topics, owned, generation: 1 } : { topics }))

  const result = timed(t, { assignor, members, topics: oneEach(topics) })

  assert.equal(loads(result).at(-1), 10)
})

test('members that balance themselves beside others that have more and cannot be relieved', t => {
  const heavy = names(50).map(name => `heavy-${name}`)
  const members = manyMembers(index => {
    if (index < 50) {
      const owned = Array.from({ length: 15 }, (_, number) => `${heavy[(index + number) % 50] ?? ''}/${number}`)
      return { topics: heavy, owned, generation: 1 }
    }
    // Seventeen members hold 250 partitions, 33 come to join them: all of them have less than those above.
    const owned = Array.from({ length: 250 }, (_, number) => number).filter(number => number % 17 === index - 50)
    return { topics: ['light'], owned: owned.map(number => `light/${number}`), generation: 1 }
  })
  const topics = new Map([...heavy.map((topic): [string, number] => [topic, 15]), ['light', 250]])

  const result = timed(t, { assignor, members, topics })

  assert.equal(loads(result).at(-1), 15)
})

interface Run {
  readonly assignor: string
  readonly members: AssignorMember[]
  readonly topics: ReadonlyMap<string, number>
}

/** Runs an assignor and checks the time of the processor: the clock on the wall also counts what others do. */
function timed(t: TestContext, { assignor, members, topics }: Run): Plain {
  const before = process.cpuUsage()
  const assignment = assign(assignor, members, topics)
  const { user, system } = process.cpuUsage(before)
  const tookMs = (user + system) / 1_000
  t.diagnostic(`${assignor}: ${tookMs.toFixed(0)} ms`)
  assert.ok(tookMs < limitMs, `${assignor} took ${tookMs} ms`)
  return plain(assignment)
}

function oneEach(topics: readonly string[]): Map<string, number> {
  return new Map(topics.map(topic => [topic, 1]))
}

function manyMembers(changes: (index: number) => Partial<PlainMember>): AssignorMember[] {
  return names(memberCount).map((name, index) => member(`m${name}`, changes(index)))
}

function tenOf(index: number): string[] {
  return Array.from({ length: 10 }, (_, number) => `t/${index * 10 + number}`)
}

/** Numbers as texts of four digits. */
function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(index).padStart(4, '0'))
}
