/** Random life of a consumer group: members come, go, die, subscribe anew; topics grow; the coordinator restarts. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GroupRefusal } from '../../../src/broker/groups/consumer-group-types.ts'
import { type Random, randomInt, SeededRandom } from '../../../src/core/index.ts'
import { ConsumerHarness, namesOf, TestConsumer } from './consumer-support.ts'

const STEP_COUNT = 250
const TOPICS = ['a', 'b', 'c']

class World {
  readonly harness: ConsumerHarness
  readonly random: Random
  readonly consumers: TestConsumer[] = []
  #memberCount = 0
  #epoch = 0

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.harness = new ConsumerHarness()
    this.harness.topics.set('a', 1 + randomInt(this.random, 6))
    this.harness.topics.set('b', 1 + randomInt(this.random, 12))
  }

  pick<T>(items: readonly T[]): T {
    const item = items[randomInt(this.random, items.length)]
    assert.ok(item !== undefined)
    return item
  }

  someTopics(): string[] {
    const topics = TOPICS.filter(() => this.random.next() < 0.6)
    return topics.length === 0 ? ['a'] : topics
  }

  add(): void {
    this.#memberCount += 1
    const isStatic = this.random.next() < 0.3
    const options = { topicNames: this.someTopics(), ...(isStatic && { instanceId: `i${this.#memberCount}` }) }
    this.consumers.push(new TestConsumer(this.harness, `m${this.#memberCount}`, options))
  }

  remove(consumer: TestConsumer): void {
    this.consumers.splice(this.consumers.indexOf(consumer), 1)
  }

  step(): void {
    const dice = this.random.next()
    if (this.consumers.length === 0 || (dice < 0.08 && this.consumers.length < 8)) this.add()
    else if (dice < 0.6) this.pick(this.consumers).beat(this.random.next() < 0.1)
    else if (dice < 0.65) this.#leave()
    else if (dice < 0.68) this.remove(this.pick(this.consumers))
    else if (dice < 0.75) this.pick(this.consumers).subscribe(this.someTopics())
    else if (dice < 0.78) this.#changeTopics()
    else if (dice < 0.8) this.harness.restart()
    else if (dice < 0.84) this.#replaceStatic()
    else this.#pass()
    this.check()
  }

  #leave(): void {
    const consumer = this.pick(this.consumers)
    consumer.leave()
    this.remove(consumer)
  }

  #replaceStatic(): void {
    const consumer = this.consumers.find(({ instanceId }) => instanceId !== null)
    if (consumer === undefined) return
    consumer.leave(-2)
    this.#memberCount += 1
    consumer.memberId = `m${this.#memberCount}`
    consumer.epoch = 0
  }

  #changeTopics(): void {
    const name = this.pick(TOPICS)
    const count = this.harness.topics.byName(name)?.partitionCount ?? 0
    if (count > 0 && this.random.next() < 0.2) this.harness.topics.remove(name)
    else this.harness.topics.set(name, count + 1 + randomInt(this.random, 3))
  }

  /** Whoever was fenced without being dead hears of it before it does anything else. */
  #pass(): void {
    for (const memberId of this.harness.pass(randomInt(this.random, 20_000))) {
      const consumer = this.consumers.find(each => each.memberId === memberId)
      if (consumer === undefined) continue
      consumer.epoch = 0
      consumer.owned = new Map()
    }
  }

  check(): void {
    const owners = new Map<string, string>()
    for (const { memberId, owned } of this.consumers) {
      for (const [topicId, partitions] of owned) {
        for (const partition of partitions) {
          const name = `${topicId}-${partition}`
          assert.equal(owners.get(name), undefined, `${name} belongs to ${owners.get(name)} and ${memberId}`)
          owners.set(name, memberId)
        }
      }
    }
    const { epoch, assignmentEpoch } = this.harness.group.known
    assert.ok(epoch >= this.#epoch, 'the epoch of the group went back')
    assert.ok(assignmentEpoch <= epoch, 'a target for an epoch that has not been')
    this.#epoch = epoch
  }

  /** Lets everyone who is alive heartbeat until nothing changes any more. */
  settle(): void {
    this.harness.pass(44_000)
    for (const consumer of this.consumers) consumer.beat()
    this.harness.pass(44_000)
    for (let round = 0; round < 40; round++) {
      for (const consumer of this.consumers) {
        consumer.beat()
        this.check()
      }
    }
  }

  /** Everything that somebody subscribes to has exactly one owner, who subscribes to it. */
  checkSettled(): void {
    const { group, topics } = this.harness
    assert.equal(group.state, this.consumers.length === 0 ? 'Empty' : 'Stable')
    const wanted = new Set(this.consumers.flatMap(({ topicNames }) => topicNames))
    const expected = [...wanted].flatMap(name => {
      const count = topics.byName(name)?.partitionCount ?? 0
      return Array.from({ length: count }, (_, partition) => `${name}-${partition}`)
    })
    const owned = this.consumers.flatMap(consumer => {
      const names = namesOf(consumer.owned, topics)
      for (const name of names) assert.ok(consumer.topicNames.includes(name.slice(0, 1)), `${name} was not asked for`)
      return names
    })
    assert.deepEqual(owned.toSorted(), expected.toSorted())
  }
}

const seeds = process.env['TEST_SEED'] === undefined ? 60 : 1
const firstSeed = Number(process.env['TEST_SEED'] ?? 1)

for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
  test(`no partition has two owners, and all have one in the end (TEST_SEED=${seed})`, () => {
    const world = new World(seed)
    for (let step = 0; step < STEP_COUNT; step++) world.step()
    world.settle()
    world.checkSettled()
  })
}

test('a member that comes takes its even share and nothing else moves; when it goes, only its share does', () => {
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const random = new SeededRandom(seed)
    const harness = new ConsumerHarness()
    harness.topics.set('t', 5 + randomInt(random, 50))
    const consumers: TestConsumer[] = []
    const settle = (): void => {
      for (let round = 0; round < 6; round++) {
        for (const consumer of consumers) assert.ok(!(consumer.beat() instanceof GroupRefusal))
      }
    }
    const snapshot = (): Map<string, string> =>
      new Map(consumers.flatMap(each => namesOf(each.owned, harness.topics).map(name => [name, each.memberId])))
    for (let step = 0; step < 8; step++) {
      const before = snapshot()
      const isLeaving = consumers.length > 2 && random.next() < 0.4
      const leaving = isLeaving ? consumers.splice(randomInt(random, consumers.length), 1)[0] : undefined
      leaving?.leave()
      if (!isLeaving) consumers.push(new TestConsumer(harness, `m${step}`, { topicNames: ['t'] }))
      settle()
      const after = snapshot()
      const moved = [...after].filter(([name, owner]) => before.has(name) && before.get(name) !== owner)
      const counts = consumers.map(({ owned }) => [...owned.values()].flat().length)
      assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, `seed ${seed}: ${counts.join(' ')}`)
      const due = isLeaving ? leaving?.memberId : `m${step}`
      for (const [name, owner] of moved) {
        const isDue = isLeaving ? before.get(name) === due : owner === due
        assert.ok(isDue, `seed ${seed}: ${name} moved from ${before.get(name)} to ${owner} without need`)
      }
    }
  }
})
