/** The pure member of a consumer group: what it says, and that no order of messages gives a partition two users. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConsumerMemberState } from '../../src/client/consumer-member-state.ts'
import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { checkOwners, ModelCoordinator, ModelMember, numbersOf } from './consumer-member-world.ts'

const newMember = (): ConsumerMemberState =>
  new ConsumerMemberState({
    memberId: 'm',
    instanceId: 'i',
    rackId: 'r',
    rebalanceTimeoutMs: 60_000,
    topics: ['t'],
    serverAssignor: 'range'
  })
const ok = (memberEpoch: number, partitions?: number[]): Parameters<ConsumerMemberState['answered']>[1] => ({
  errorCode: 0,
  memberId: 'm',
  memberEpoch,
  assignment: partitions === undefined ? null : { topicPartitions: [{ topicId: 'id', partitions }] }
})
const refused = (errorCode: number): Parameters<ConsumerMemberState['answered']>[1] => ({
  errorCode,
  memberId: null,
  memberEpoch: 0,
  assignment: null
})
const ids = (...partitions: number[]): { topicId: string; partition: number }[] =>
  partitions.map(partition => ({ topicId: 'id', partition }))

test('who joins says everything, and afterwards only what is new', () => {
  const member = newMember()
  const join = member.heartbeat([])
  assert.deepEqual(join.fields, {
    memberId: 'm',
    memberEpoch: 0,
    instanceId: 'i',
    rackId: 'r',
    rebalanceTimeoutMs: 60_000,
    serverAssignor: 'range',
    subscribedTopicNames: ['t'],
    topicPartitions: []
  })
  assert.deepEqual(member.answered(join, ok(3, [0, 1])), { kind: 'member', isChanged: true })
  assert.deepEqual(member.plan([]), { gone: [], added: ids(0, 1) })

  assert.equal(member.hasNews(ids(0, 1)), true)
  const report = member.heartbeat(ids(1, 0))
  assert.deepEqual(report.fields, {
    memberId: 'm',
    memberEpoch: 3,
    instanceId: 'i',
    topicPartitions: [{ topicId: 'id', partitions: [0, 1] }]
  })
  assert.deepEqual(member.answered(report, ok(3)), { kind: 'member', isChanged: false })
  assert.equal(member.hasNews(ids(0, 1)), false, 'the same partitions in another order are no news')
  assert.deepEqual(member.heartbeat(ids(0, 1)).fields, { memberId: 'm', memberEpoch: 3, instanceId: 'i' })
})

test('after an answer that did not come, everything is said again', () => {
  const member = newMember()
  member.answered(member.heartbeat([]), ok(3, [0]))
  member.answered(member.heartbeat(ids(0)), ok(3))
  member.unanswered()
  const { fields } = member.heartbeat(ids(0))
  assert.deepEqual(
    [fields.memberEpoch, fields.subscribedTopicNames, numbersOf(fields.topicPartitions)],
    [3, ['t'], [0]]
  )
})

test('what may be taken over while a heartbeat is on its way is listed in it', () => {
  const member = newMember()
  member.answered(member.heartbeat([]), ok(3, [0, 1]))
  assert.deepEqual(numbersOf(member.heartbeat(ids(0)).fields.topicPartitions), [0, 1])
  member.answered(member.heartbeat(ids(0)), ok(3, [0]))
  // Partition 1 was taken away before it was taken over: the coordinator waits to hear that it is not used.
  assert.equal(member.hasNews(ids(0)), true)
  assert.deepEqual(numbersOf(member.heartbeat(ids(0)).fields.topicPartitions), [0])
})

test('an answer to a heartbeat of a lost membership means nothing', () => {
  const member = newMember()
  member.answered(member.heartbeat([]), ok(3, [0]))
  const late = member.heartbeat(ids(0))
  member.rejoin()
  assert.equal(member.answered(late, ok(4, [0, 1])).kind, 'retry')
  assert.deepEqual([member.epoch, member.plan([])], [0, { gone: [], added: [] }])
})

test('every refusal has its meaning', () => {
  const joining: [number, string][] = [
    [14, 'retry'], // COORDINATOR_LOAD_IN_PROGRESS
    [16, 'retry'], // NOT_COORDINATOR
    [111, 'waiting'], // UNRELEASED_INSTANCE_ID
    [69, 'unsupported'], // GROUP_ID_NOT_FOUND: the group is a classic one
    [35, 'unsupported'], // UNSUPPORTED_VERSION
    [82, 'failed'], // FENCED_INSTANCE_ID
    [112, 'failed'], // UNSUPPORTED_ASSIGNOR
    [81, 'failed'], // GROUP_MAX_SIZE_REACHED
    [30, 'failed'] // GROUP_AUTHORIZATION_FAILED
  ]
  for (const [code, kind] of joining) {
    const member = newMember()
    assert.equal(member.answered(member.heartbeat([]), refused(code)).kind, kind, `code ${code}`)
  }
  for (const code of [25, 110, 69]) {
    const member = newMember()
    member.answered(member.heartbeat([]), ok(1, [0]))
    assert.equal(member.answered(member.heartbeat([]), refused(code)).kind, 'fenced', `code ${code}`)
  }
})

test('who unsubscribes says so, and is left with what it is told', () => {
  const member = newMember()
  member.answered(member.heartbeat([]), ok(3, [0]))
  member.answered(member.heartbeat(ids(0)), ok(3))
  member.unsubscribe()
  assert.equal(member.hasNews(ids(0)), true)
  assert.deepEqual(member.heartbeat(ids(0)).fields.subscribedTopicNames, [])
  member.answered(member.heartbeat(ids(0)), ok(3, []))
  assert.deepEqual(member.plan(ids(0)).gone, ids(0))
})

test('in every order of events of a hand-over, lost messages included, no partition has two users', () => {
  const depth = Number(process.env['TEST_DEPTH'] ?? 7)
  let runCount = 0
  // Depth first over all choices: each run follows the prefix of choices, and the last one is then moved on.
  for (const choices: number[] = []; ;) {
    const { coordinator, members } = handOver()
    const widths: number[] = []
    for (let step = 0; step < depth; step++) {
      const steps = members.flatMap(member => member.steps())
      widths.push(steps.length)
      steps[choices[step] ?? 0]?.()
      checkOwners(members)
    }
    settle(coordinator, members)
    runCount += 1
    while (choices.length < depth) choices.push(0)
    while (choices.length > 0 && (choices.at(-1) ?? 0) + 1 >= (widths[choices.length - 1] ?? 0)) choices.pop()
    if (choices.length === 0) break
    choices.push((choices.pop() ?? 0) + 1)
  }
  assert.ok(runCount > 1_000, `${runCount} runs`)
})

test('in random orders of heartbeats, plans, losses and expiries no partition has two users, and all end well', t => {
  const seed = Number(process.env['TEST_SEED'] ?? randomInt(new SeededRandom(Date.now()), 1_000_000_000))
  t.diagnostic(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  for (let run = 0; run < 300; run++) {
    const coordinator = new ModelCoordinator()
    const members = ['a', 'b', 'c'].map(id => new ModelMember(id, coordinator))
    for (let step = 0; step < 120; step++) {
      const kind = randomInt(random, 30)
      if (kind === 0) coordinator.retarget(randomTarget(random))
      else if (kind === 1 && step > 20) coordinator.remove(['a', 'b', 'c'][randomInt(random, 3)] ?? '')
      else {
        const steps = members[randomInt(random, 3)]?.steps() ?? []
        steps[randomInt(random, steps.length)]?.()
      }
      checkOwners(members)
    }
    settle(coordinator, members)
  }
})

/** Two members of a settled group in which one partition is to move from the first to the second. */
function handOver(): { coordinator: ModelCoordinator; members: ModelMember[] } {
  const coordinator = new ModelCoordinator()
  const members = ['a', 'b'].map(id => new ModelMember(id, coordinator))
  coordinator.retarget(new Map([['a', new Set([0, 1])]]))
  settle(coordinator, members)
  const plan = new Map([
    ['a', new Set([0])],
    ['b', new Set([1])]
  ])
  coordinator.retarget(plan)
  return { coordinator, members }
}

function randomTarget(random: SeededRandom): Map<string, Set<number>> {
  const target = new Map(['a', 'b', 'c'].map(id => [id, new Set<number>()]))
  for (let partition = 0; partition < 5; partition++) {
    target.get(['a', 'b', 'c', 'none'][randomInt(random, 4)] ?? '')?.add(partition)
  }
  return target
}

/** With messages that arrive, everybody ends up with what the coordinator planned. */
function settle(coordinator: ModelCoordinator, members: readonly ModelMember[]): void {
  for (let round = 0; round < 60; round++) {
    // The first step of a member never loses a message.
    for (const member of members) {
      member.steps()[0]?.()
      const steps = member.steps()
      if (member.request === undefined && member.answer === undefined) steps.at(-1)?.()
      checkOwners(members)
    }
  }
  for (const { id, owned } of members) {
    const numbers = owned.map(({ partition }) => partition).sort((left, right) => left - right)
    assert.deepEqual(
      numbers,
      [...coordinator.targetOf(id)].sort((left, right) => left - right)
    )
  }
}
