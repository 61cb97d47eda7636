/**
 * Many members that join, sync, beat, leave, crash and come back at random,
 * with writes that take their time. Whatever happens: each request is answered
 * once, generations grow, assignments reach exactly the members they name, and
 * when the noise stops the group settles.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomInt, SeededRandom } from '../../../src/core/index.ts'
import { GroupHarness } from './support.ts'

const MEMBER_COUNT = 6

/** A client that follows the protocol as Kafka's does. */
class SimulatedMember {
  readonly #h: GroupHarness
  readonly #instanceId: string | null
  memberId = ''
  generation = -1
  state: 'out' | 'joining' | 'joined' | 'syncing' | 'stable' = 'out'
  assignment = ''
  #token = 0
  #others: string[] = []

  constructor(h: GroupHarness, instanceId: string | null) {
    this.#h = h
    this.#instanceId = instanceId
  }

  /** Does the next thing that is due. */
  step(): void {
    if (this.state === 'out') this.#join()
    else if (this.state === 'joining') this.#takeJoin()
    else if (this.state === 'joined') this.#sync()
    else if (this.state === 'syncing') this.#takeSync()
    else this.#beat()
  }

  /** Forgets everything, as a process that was killed. */
  crash(): void {
    this.memberId = ''
    this.state = 'out'
  }

  leave(): void {
    if (this.memberId === '' || this.#instanceId !== null) return
    this.#h.leave(this.memberId)
    this.crash()
  }

  #join(): void {
    const isKnownMemberIdRequired = this.#instanceId === null
    const request = { memberId: this.memberId, groupInstanceId: this.#instanceId, isKnownMemberIdRequired }
    this.#token = this.#h.join({ ...request, canSkipAssignment: true, rebalanceTimeoutMs: 20_000 })
    this.state = 'joining'
  }

  #takeJoin(): void {
    if (this.#h.isParked(this.#token)) return
    const reply = this.#h.joined(this.#token)
    if (reply.error === 'MEMBER_ID_REQUIRED') {
      this.memberId = reply.memberId
      this.state = 'out'
      return
    }
    if (reply.error !== 'NONE') {
      this.#refused(reply.error)
      return
    }
    assert.ok(reply.generation >= this.generation, 'generations never fall for a member')
    this.memberId = reply.memberId
    this.generation = reply.generation
    this.#others = reply.isAssignmentSkipped ? [] : reply.members.map(member => member.memberId)
    this.state = 'joined'
  }

  #sync(): void {
    const text = (memberId: string): string => `${this.generation} ${memberId}`
    const assignments = Object.fromEntries(this.#others.map(memberId => [memberId, text(memberId)]))
    const identity = { groupInstanceId: this.#instanceId, generation: this.generation }
    this.#token = this.#h.sync(this.memberId, assignments, identity)
    this.state = 'syncing'
  }

  #takeSync(): void {
    if (this.#h.isParked(this.#token)) return
    const reply = this.#h.synced(this.#token)
    if (reply.error !== 'NONE') {
      this.#refused(reply.error)
      return
    }
    this.assignment = reply.assignment.toString()
    const [generation] = this.assignment.split(' ')
    assert.equal(generation, String(this.generation), 'the assignment is of the generation that was joined')
    if (this.#instanceId === null) assert.equal(this.assignment, `${this.generation} ${this.memberId}`)
    this.state = 'stable'
  }

  #beat(): void {
    const identity = { memberId: this.memberId, groupInstanceId: this.#instanceId, generation: this.generation }
    const error = this.#h.group.heartbeat(identity, this.#h.nowMs)
    if (error !== 'NONE') this.#refused(error)
  }

  #refused(error: string): void {
    const isForgotten = error === 'UNKNOWN_MEMBER_ID' || error === 'FENCED_INSTANCE_ID'
    // NOT_COORDINATOR is what the failed writes below are answered with.
    const expected = ['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'NOT_COORDINATOR']
    assert.ok(isForgotten || expected.includes(error), `a well-behaved member is told ${error}`)
    if (isForgotten) this.memberId = ''
    this.state = 'out'
  }
}

function settle(h: GroupHarness, members: readonly SimulatedMember[]): void {
  for (let round = 0; round < 400; round++) {
    for (const member of members) member.step()
    while (h.writes.length > 0) h.written()
    h.pass(250)
  }
}

test('a group of members that come, go and crash at random settles in one generation', () => {
  const firstSeed = Number(process.env['TEST_SEED'] ?? 1)
  const seedCount = process.env['TEST_SEED'] === undefined ? 60 : 1
  for (let seed = firstSeed; seed < firstSeed + seedCount; seed++) {
    const random = new SeededRandom(seed)
    const h = new GroupHarness({ initialRebalanceDelayMs: randomInt(random, 2) * 1000 })
    const members = Array.from(
      { length: MEMBER_COUNT },
      (_, index) => new SimulatedMember(h, index < 2 ? `instance-${index}` : null)
    )
    try {
      for (let turn = 0; turn < 400; turn++) {
        const member = members[randomInt(random, MEMBER_COUNT)]
        const dice = randomInt(random, 100)
        if (dice < 3) member?.crash()
        else if (dice < 6) member?.leave()
        else if (dice < 12) h.pass(randomInt(random, 8000))
        else if (dice < 30 && h.writes.length > 0) h.written(dice === 12 ? 'NOT_COORDINATOR' : 'NONE')
        else member?.step()
      }
      settle(h, members)
      assert.equal(h.group.state, 'Stable')
      assert.deepEqual(new Set(members.map(member => member.state)), new Set(['stable']))
      assert.deepEqual(new Set(members.map(member => member.generation)), new Set([h.group.generation]))
      assert.equal([...h.group.members].length, MEMBER_COUNT)
    } catch (error) {
      throw new Error(`TEST_SEED=${seed}`, { cause: error })
    }
  }
})
