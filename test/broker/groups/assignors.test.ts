import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type AssignmentMember,
  type GroupAssignment,
  rangeAssignor,
  uniformAssignor
} from '../../../src/broker/groups/assignors/index.ts'
import { type Random, randomInt, SeededRandom } from '../../../src/core/index.ts'

interface Wish {
  readonly topics: string
  readonly has?: Readonly<Record<string, readonly number[]>>
  readonly instanceId?: string
}

/** Members `m0`, `m1`, …; topics are single letters. */
function membersOf(wishes: readonly Wish[]): AssignmentMember[] {
  return wishes.map(({ topics, has = {}, instanceId = null }, index) => ({
    memberId: `m${index}`,
    instanceId,
    topicIds: new Set(topics),
    target: new Map(Object.entries(has))
  }))
}

function shown(assignment: GroupAssignment): string[] {
  return [...assignment]
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([memberId, topics]) => {
      const parts = [...topics].flatMap(([topic, partitions]) => partitions.map(partition => `${topic}${partition}`))
      return `${memberId}: ${parts.toSorted().join(' ')}`
    })
}

/** The partitions of topics `a`, `b`, … by their counts. */
function counted(counts: Readonly<Record<string, number>>): (topicId: string) => number {
  return topicId => counts[topicId] ?? 0
}

test('range cuts each topic in order of the members, the first ones one longer', () => {
  const members = membersOf([{ topics: 'ab' }, { topics: 'ab' }, { topics: 'b' }])
  const assignment = rangeAssignor.assign({ members, partitionCount: counted({ a: 5, b: 4 }) })
  assert.deepEqual(shown(assignment), ['m0: a0 a1 a2 b0 b1', 'm1: a3 a4 b2', 'm2: b3'])
})

test('range goes by instance id, so that a static member has its range again under another member id', () => {
  const members = membersOf([
    { topics: 'a', instanceId: 'y' },
    { topics: 'a', instanceId: 'x' }
  ])
  const assignment = rangeAssignor.assign({ members, partitionCount: counted({ a: 2 }) })
  assert.deepEqual(shown(assignment), ['m0: a1', 'm1: a0'])
})

test('uniform spreads over all topics together, not over each', () => {
  const members = membersOf([{ topics: 'abc' }, { topics: 'abc' }, { topics: 'abc' }])
  const assignment = uniformAssignor.assign({ members, partitionCount: counted({ a: 1, b: 1, c: 1 }) })
  assert.deepEqual(shown(assignment), ['m0: a0', 'm1: b0', 'm2: c0'])
})

test('uniform leaves what members have, up to an even share', () => {
  const members = membersOf([{ topics: 'a', has: { a: [0, 1, 2, 3, 4] } }, { topics: 'a' }])
  const assignment = uniformAssignor.assign({ members, partitionCount: counted({ a: 5 }) })
  assert.deepEqual(shown(assignment), ['m0: a0 a1 a2', 'm1: a3 a4'])
})

test('uniform takes away what is not subscribed to or does not exist any more', () => {
  const members = membersOf([{ topics: 'a', has: { a: [0, 7], b: [0] } }, { topics: 'ab' }])
  const assignment = uniformAssignor.assign({ members, partitionCount: counted({ a: 1, b: 1 }) })
  assert.deepEqual(shown(assignment), ['m0: a0', 'm1: b0'])
})

test('uniform evens out unequal subscriptions along a chain of members', () => {
  // m2 can be relieved only by m1, who has nothing to spare until it hands something to m0.
  const members = membersOf([
    { topics: 'a' },
    { topics: 'ab', has: { a: [0, 1] } },
    { topics: 'b', has: { b: [0, 1, 2, 3] } }
  ])
  const assignment = uniformAssignor.assign({ members, partitionCount: counted({ a: 2, b: 4 }) })
  assert.deepEqual(
    shown(assignment).map(line => line.split(' ').length - 1),
    [2, 2, 2]
  )
})

test('nobody to assign to, and nothing to assign, are no trouble', () => {
  for (const assignor of [rangeAssignor, uniformAssignor]) {
    assert.deepEqual(shown(assignor.assign({ members: [], partitionCount: counted({ a: 3 }) })), [])
    const members = membersOf([{ topics: '' }, { topics: 'a' }])
    assert.deepEqual(shown(assignor.assign({ members, partitionCount: counted({}) })), ['m0: ', 'm1: '])
  }
})

const TOPICS = ['a', 'b', 'c', 'd', 'e', 'f']

function randomGroup(random: Random): { members: AssignmentMember[]; counts: Record<string, number> } {
  const counts = Object.fromEntries(TOPICS.map(topic => [topic, randomInt(random, 9)]))
  const taken = new Set<string>()
  const wishes = Array.from({ length: 1 + randomInt(random, 7) }, (): Wish => {
    const topics = TOPICS.filter(() => random.next() < 0.5).join('')
    const has: Record<string, number[]> = {}
    for (let index = 0; index < randomInt(random, 12); index++) {
      const topic = TOPICS[randomInt(random, TOPICS.length)] ?? 'a'
      const partition = randomInt(random, 9)
      if (taken.has(`${topic}${partition}`)) continue
      taken.add(`${topic}${partition}`)
      has[topic] = [...(has[topic] ?? []), partition]
    }
    return { topics, has }
  })
  return { members: membersOf(wishes), counts }
}

test('any group: all is assigned once, to subscribers, evenly, and a second time nothing moves', () => {
  const first = Number(process.env['TEST_SEED'] ?? 1)
  const last = process.env['TEST_SEED'] === undefined ? first + 500 : first + 1
  for (let seed = first; seed < last; seed++) {
    const { members, counts } = randomGroup(new SeededRandom(seed))
    const partitionCount = counted(counts)
    for (const assignor of [rangeAssignor, uniformAssignor]) {
      const assignment = assignor.assign({ members, partitionCount })
      const note = `TEST_SEED=${seed} ${assignor.name}`
      checkComplete(assignment, { members, counts, note })
      if (assignor === uniformAssignor) checkEven(assignment, members, note)
      const again = members.map(member => ({ ...member, target: assignment.get(member.memberId) ?? new Map() }))
      assert.deepEqual(shown(assignor.assign({ members: again, partitionCount })), shown(assignment), note)
    }
  }
})

function checkComplete(
  assignment: GroupAssignment,
  context: { members: readonly AssignmentMember[]; counts: Readonly<Record<string, number>>; note: string }
): void {
  const { members, counts, note } = context
  const seen = new Set<string>()
  for (const member of members) {
    for (const [topic, partitions] of assignment.get(member.memberId) ?? []) {
      assert.ok(member.topicIds.has(topic), `${note}: ${member.memberId} did not ask for ${topic}`)
      for (const partition of partitions) {
        assert.ok(
          partition < (counts[topic] ?? 0) && !seen.has(`${topic}${partition}`),
          `${note}: ${topic}${partition}`
        )
        seen.add(`${topic}${partition}`)
      }
    }
  }
  const wanted = TOPICS.filter(topic => members.some(({ topicIds }) => topicIds.has(topic)))
  const total = wanted.reduce((sum, topic) => sum + (counts[topic] ?? 0), 0)
  assert.equal(seen.size, total, note)
}

/** No member has two more than another one who could take one of them. */
function checkEven(assignment: GroupAssignment, members: readonly AssignmentMember[], note: string): void {
  const countOf = ({ memberId }: AssignmentMember): number =>
    [...(assignment.get(memberId)?.values() ?? [])].flat().length
  for (const rich of members) {
    for (const poor of members) {
      const topics = [...(assignment.get(rich.memberId)?.keys() ?? [])]
      if (!topics.some(topic => poor.topicIds.has(topic))) continue
      assert.ok(countOf(rich) - countOf(poor) <= 1, `${note}: ${rich.memberId} and ${poor.memberId}`)
    }
  }
}
