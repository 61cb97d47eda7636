/**
 * Random lives of a group whose members speak either protocol, at the coordinator:
 * they come, go, die, are silent for a while; the coordinator restarts; writes fail, or take their time.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JoinReply, SyncReply } from '../../../src/broker/groups/group-types.ts'
import type { Partitions } from '../../../src/broker/groups/index.ts'
import { randomInt, SeededRandom } from '../../../src/core/index.ts'
import {
  consumerProtocolAssignmentCodec,
  consumerProtocolSubscriptionCodec,
  decodeConsumerProtocol,
  encodeVersioned
} from '../../../src/protocol/index.ts'
import { CoordinatorWorld } from './coordinator-support.ts'
import { namesOf } from './consumer-support.ts'

const PARTITIONS = [0, 1, 2, 3, 4, 5]
const STEP_COUNT = 150

/** A member that has one request under way at most. */
abstract class Client {
  readonly world: CoordinatorWorld
  memberId = ''
  epoch = -1
  owned: string[] = []
  #isBusy = false

  constructor(world: CoordinatorWorld) {
    this.world = world
  }

  /** Begins the next request of the member unless one is under way. */
  step(): void {
    if (this.#isBusy) return
    this.#isBusy = true
    void this.act().finally(() => (this.#isBusy = false))
  }

  abstract act(): Promise<void>
  abstract leave(): Promise<unknown>
}

/** A classic member that gives everything up before it joins, as clients do with an eager assignor. */
class EagerClient extends Client {
  #isJoinDue = true

  async act(): Promise<void> {
    if (!this.#isJoinDue) this.#isJoinDue = (await this.#heartbeat()) !== 'NONE'
    if (!this.#isJoinDue) return
    this.owned = []
    const joined = await this.#join()
    if (joined.error === 'UNKNOWN_MEMBER_ID') this.memberId = ''
    if (joined.error !== 'NONE') return
    this.memberId = joined.memberId
    this.epoch = joined.generation
    const synced = await this.#sync(joined)
    if (synced.error !== 'NONE') return
    const { assignedPartitions } = decodeConsumerProtocol(consumerProtocolAssignmentCodec, synced.assignment)
    this.owned = assignedPartitions.flatMap(({ topic, partitions }) => partitions.map(index => `${topic}-${index}`))
    this.#isJoinDue = false
  }

  leave(): Promise<unknown> {
    return this.world.groups.leave('g', [{ memberId: this.memberId, groupInstanceId: null }])
  }

  #heartbeat(): Promise<string> {
    const identity = { memberId: this.memberId, groupInstanceId: null, generation: this.epoch }
    return this.world.groups.heartbeat('g', identity)
  }

  #join(): Promise<JoinReply> {
    const metadata = encodeVersioned(consumerProtocolSubscriptionCodec, 0, { topics: ['t'] })
    return this.world.groups.join('g', {
      memberId: this.memberId,
      groupInstanceId: null,
      clientId: 'c',
      clientHost: '/127.0.0.1',
      sessionTimeoutMs: 30_000,
      rebalanceTimeoutMs: 30_000,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata }],
      isKnownMemberIdRequired: false,
      canSkipAssignment: true
    })
  }

  #sync({ leader, members }: JoinReply): Promise<SyncReply> {
    const assignments = members.map(({ memberId }, position) => {
      const partitions = PARTITIONS.filter(index => index % members.length === position)
      const assignment = { assignedPartitions: [{ topic: 't', partitions }] }
      return { memberId, assignment: encodeVersioned(consumerProtocolAssignmentCodec, 0, assignment) }
    })
    return this.world.groups.sync('g', {
      memberId: this.memberId,
      groupInstanceId: null,
      generation: this.epoch,
      protocolType: 'consumer',
      protocolName: 'range',
      assignments: leader === this.memberId ? assignments : []
    })
  }
}

/** A member of the consumer protocol. */
class ModernClient extends Client {
  #partitions: Partitions = new Map()

  constructor(world: CoordinatorWorld, memberId: string) {
    super(world)
    this.memberId = memberId
    this.epoch = 0
  }

  async act(): Promise<void> {
    const { epoch } = this
    const owned = epoch === 0 ? new Map() : this.#partitions
    const reply = await this.world.heartbeat(this.memberId, { memberEpoch: epoch, owned })
    if (reply.error === 'NONE') {
      this.epoch = reply.memberEpoch
      if (reply.assignment !== null) this.#take(reply.assignment)
    } else if (reply.error !== 'NOT_COORDINATOR') {
      this.epoch = 0
      this.#take(new Map())
    }
  }

  leave(): Promise<unknown> {
    return this.world.heartbeat(this.memberId, { memberEpoch: -1 })
  }

  #take(partitions: Partitions): void {
    this.#partitions = partitions
    this.owned = namesOf(partitions, this.world.topics)
  }
}

class Life {
  readonly world = new CoordinatorWorld()
  readonly random: SeededRandom
  readonly clients: Client[] = []
  #count = 0
  #finishWrites = (): void => undefined

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.world.topics.set('t', PARTITIONS.length)
  }

  async step(): Promise<void> {
    const dice = this.random.next()
    const some = this.clients[randomInt(this.random, this.clients.length)]
    if (some === undefined || (dice < 0.08 && this.clients.length < 6)) this.#add()
    else if (dice < 0.7) some.step()
    else if (dice < 0.78) await this.#remove(some, this.random.next() < 0.6)
    else if (dice < 0.8) await this.#restart()
    else if (dice < 0.82) this.#slowDown()
    else if (dice < 0.86) this.world.log.error = this.random.next() < 0.3 ? 'NOT_COORDINATOR' : 'NONE'
    else await this.world.pass(randomInt(this.random, 8000))
    if (dice >= 0.9) this.world.log.error = 'NONE'
    await this.world.pass(0)
    this.check()
  }

  #add(): void {
    this.#count += 1
    const isModern = this.random.next() < 0.5
    this.clients.push(isModern ? new ModernClient(this.world, `m${this.#count}`) : new EagerClient(this.world))
  }

  async #restart(): Promise<void> {
    await this.world.restart()
    this.#finishWrites()
  }

  /** Writes take until this is done again, or until somebody must be answered. */
  #slowDown(): void {
    this.#finishWrites()
    this.#finishWrites = this.world.log.hold()
  }

  async #remove(client: Client, isLeaving: boolean): Promise<void> {
    this.#finishWrites()
    this.clients.splice(this.clients.indexOf(client), 1)
    if (isLeaving) await client.leave()
  }

  /** No two members that the group knows have the same partition. */
  check(): void {
    const group = this.world.groups.find('g')?.group
    if (group === undefined) return
    const members = group.type === 'classic' ? [...group.members] : [...group.known.members.values()]
    const known = new Set(members.map(({ memberId }) => memberId))
    const seen = new Map<string, string>()
    for (const { memberId, owned } of this.clients.filter(client => known.has(client.memberId))) {
      for (const name of owned) {
        assert.equal(seen.get(name), undefined, `${name} belongs to ${seen.get(name)} and ${memberId}`)
        seen.set(name, memberId)
      }
    }
  }

  /** Lets everyone go on until the dead are gone and all that live have what they shall have. */
  async settle(): Promise<void> {
    this.#finishWrites()
    this.world.log.error = 'NONE'
    for (let round = 0; round < 80; round++) {
      for (const client of this.clients) {
        client.step()
        await this.world.pass(0)
        this.check()
      }
      await this.world.pass(1000)
    }
    if (this.clients.length === 0) return
    const all = this.clients.flatMap(({ owned }) => owned).toSorted()
    assert.deepEqual(
      all,
      PARTITIONS.map(index => `t-${index}`)
    )
    const isModern = this.clients.some(client => client instanceof ModernClient)
    assert.equal(this.world.state, isModern ? 'consumer Stable' : 'classic Stable')
  }
}

const seeds = process.env['TEST_SEED'] === undefined ? 25 : 1
const firstSeed = Number(process.env['TEST_SEED'] ?? 1)

for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
  test(`members of both protocols share no partition, and have all in the end (TEST_SEED=${seed})`, async () => {
    const life = new Life(seed)
    await life.world.groups.load()
    for (let step = 0; step < STEP_COUNT; step++) await life.step()
    await life.settle()
    life.world.groups.close()
  })
}
