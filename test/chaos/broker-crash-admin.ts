/**
 * What is changed beside the records while the broker is killed: topics come,
 * grow and go, settings change, records are deleted, offsets are committed and
 * deleted. Each change that was acknowledged must hold after the crash; one that
 * was not may have happened or not, but never half.
 */

import assert from 'node:assert/strict'
import { type Random, randomInt } from '../../src/core/index.ts'
import {
  createPartitionsApi,
  createTopicsApi,
  deleteGroupsApi,
  deleteRecordsApi,
  deleteTopicsApi,
  describeConfigsApi,
  findCoordinatorApi,
  incrementalAlterConfigsApi,
  metadataApi,
  offsetCommitApi,
  offsetFetchApi,
  produceApi,
  RecordBatchBuilder
} from '../../src/protocol/index.ts'
import { assertOk, type Link } from './broker-crash-link.ts'
import { offsetOf, readPartition } from './broker-crash-reader.ts'

const TIMEOUT_MS = 30_000
const TOPIC_RESOURCE = 2
const SET = 0

/** Something that changes until the broker is gone, and knows what must be left of it. */
export interface Actor {
  /** Works until the broker is gone; rejects with `BrokerGone`. */
  run(link: Link): Promise<never>
  /** Ends what the crash left half done; all do before any checks. */
  settle?(link: Link): Promise<void>
  /** Checks what is there after the crash, and goes on from that. */
  check(link: Link): Promise<void>
}

/** What may be true of a topic, until a check says which. */
interface TopicFacts {
  /** `maybe` while a creation or a deletion is not answered. */
  exists: boolean | 'maybe'
  partitions: { atLeast: number; atMost: number }
  /** Whether a record with the topic's id as its value was acknowledged. */
  isMarked: boolean
}

/** Creates, grows and deletes topics under a few names that come again and again. */
export class TopicChanger implements Actor {
  readonly #random: Random
  readonly #facts = new Map<string, TopicFacts>()
  readonly #seenIds = new Set<string>()

  constructor(random: Random) {
    this.#random = random
  }

  async run(link: Link): Promise<never> {
    for (;;) {
      const name = `temporary-${randomInt(this.#random, 5)}`
      const facts = this.#facts.get(name)
      if (facts === undefined || facts.exists === false) await this.#create(link, name)
      else if (randomInt(this.#random, 3) === 0) await this.#grow(link, name, facts)
      else await this.#delete(link, name, facts)
    }
  }

  async check(link: Link): Promise<void> {
    const { topics } = await link.request(metadataApi, { version: 12, message: { topics: null } })
    for (const [name, facts] of this.#facts) {
      const found = topics.find(topic => topic.name === name)
      if (facts.exists !== 'maybe') assert.equal(found !== undefined, facts.exists, `${name} exists`)
      facts.exists = found !== undefined
      if (found === undefined) continue
      const count = found.partitions.length
      const { atLeast, atMost } = facts.partitions
      assert.ok(count >= atLeast && count <= atMost, `${name} has ${count} partitions, not ${atLeast} to ${atMost}`)
      facts.partitions = { atLeast: count, atMost: count }
      const { records } = await readPartition(link, { topic: name, partition: 0 })
      for (const { value } of records) assert.equal(value, found.topicId, `${name} has a record of its predecessor`)
      assert.ok(records.length === 1 || !facts.isMarked, `${name} lost its record`)
    }
  }

  async #create(link: Link, name: string): Promise<void> {
    const count = 1 + randomInt(this.#random, 3)
    const facts: TopicFacts = { exists: 'maybe', partitions: { atLeast: count, atMost: count }, isMarked: false }
    this.#facts.set(name, facts)
    const topics = [{ name, numPartitions: count, replicationFactor: 1 }]
    const answer = await link.request(createTopicsApi, { version: 7, message: { topics, timeoutMs: TIMEOUT_MS } })
    assertOk(answer.topics[0], `${name} is created: ${answer.topics[0]?.errorMessage}`)
    const id = answer.topics[0]?.topicId ?? ''
    assert.ok(!this.#seenIds.has(id), `${name} has an id that was given before`)
    this.#seenIds.add(id)
    facts.exists = true
    const builder = new RecordBatchBuilder()
    builder.tryAppend(Date.now(), null, Buffer.from(id))
    const topicData = [{ name, partitionData: [{ index: 0, records: builder.build() }] }]
    const message = { acks: -1, timeoutMs: TIMEOUT_MS, topicData }
    const produced = await link.request(produceApi, { version: 8, message })
    assertOk(produced.responses[0]?.partitionResponses[0], `${name} takes a record`)
    facts.isMarked = true
  }

  async #grow(link: Link, name: string, facts: TopicFacts): Promise<void> {
    const count = facts.partitions.atMost + 1
    facts.partitions = { ...facts.partitions, atMost: count }
    const topics = [{ name, count, assignments: null }]
    const message = { topics, timeoutMs: TIMEOUT_MS, validateOnly: false }
    const answer = await link.request(createPartitionsApi, { version: 2, message })
    assertOk(answer.results[0], `${name} grows to ${count}`)
    facts.partitions = { atLeast: count, atMost: count }
  }

  async #delete(link: Link, name: string, facts: TopicFacts): Promise<void> {
    facts.exists = 'maybe'
    facts.isMarked = false
    const message = { topicNames: [name], timeoutMs: TIMEOUT_MS }
    const answer = await link.request(deleteTopicsApi, { version: 5, message })
    assertOk(answer.responses[0], `${name} is deleted`)
    facts.exists = false
  }
}

/** Sets one setting of a topic to higher and higher values. */
export class ConfigChanger implements Actor {
  readonly #topic = 'plain'
  readonly #setting = 'max.message.bytes'
  #acked = 1_048_588
  #tried = 1_048_588

  async run(link: Link): Promise<never> {
    for (;;) {
      this.#tried += 1
      const configs = [{ name: this.#setting, configOperation: SET, value: String(this.#tried) }]
      const resources = [{ resourceType: TOPIC_RESOURCE, resourceName: this.#topic, configs }]
      const answer = await link.request(incrementalAlterConfigsApi, { version: 1, message: { resources } })
      assertOk(answer.responses[0], `${this.#setting} is set`)
      this.#acked = this.#tried
    }
  }

  async check(link: Link): Promise<void> {
    const resources = [{ resourceType: TOPIC_RESOURCE, resourceName: this.#topic, configurationKeys: [this.#setting] }]
    const answer = await link.request(describeConfigsApi, { version: 2, message: { resources } })
    const value = Number(answer.results[0]?.configs[0]?.value)
    assert.ok(value >= this.#acked && value <= this.#tried, `${this.#setting} is ${value}, acknowledged ${this.#acked}`)
    this.#acked = value
    this.#tried = value
  }
}

/** Deletes records from the front of a partition. */
export class RecordDeleter implements Actor {
  readonly #random: Random
  readonly #at = { topic: 'trimmed', partition: 0 }
  #acked = 0n
  #tried = 0n

  constructor(random: Random) {
    this.#random = random
  }

  async run(link: Link): Promise<never> {
    for (;;) {
      const end = await offsetOf(link, this.#at, -1n)
      const offset = this.#acked + BigInt(randomInt(this.#random, Number(end - this.#acked) + 1))
      this.#tried = offset
      const topics = [{ name: this.#at.topic, partitions: [{ partitionIndex: 0, offset }] }]
      const answer = await link.request(deleteRecordsApi, { version: 1, message: { topics, timeoutMs: TIMEOUT_MS } })
      const found = answer.topics[0]?.partitions[0]
      assertOk(found, `records below ${offset} are deleted`)
      assert.ok((found?.lowWatermark ?? -1n) >= offset, 'the low watermark follows')
      this.#acked = offset
    }
  }

  async check(link: Link): Promise<void> {
    const start = await offsetOf(link, this.#at, -2n)
    const isPossible = start >= this.#acked && start <= (this.#tried > this.#acked ? this.#tried : this.#acked)
    assert.ok(isPossible, `the log starts at ${start}, deleted below ${this.#acked}, tried ${this.#tried}`)
    this.#acked = start
    this.#tried = start
  }
}

/** Commits offsets of groups, higher and higher, and deletes groups now and then. */
export class OffsetCommitter implements Actor {
  readonly #random: Random
  readonly #groups = new Map<string, { acked: bigint; tried: bigint; isDeleting: boolean }>()

  constructor(random: Random) {
    this.#random = random
  }

  async run(link: Link): Promise<never> {
    await link.request(findCoordinatorApi, { version: 2, message: { key: 'group-0', keyType: 0 } })
    for (;;) {
      const groupId = `group-${randomInt(this.#random, 4)}`
      const state = this.#groups.get(groupId) ?? { acked: -1n, tried: -1n, isDeleting: false }
      this.#groups.set(groupId, state)
      // Only the last group is ever deleted, so that the others commit for long.
      const mayDelete = groupId === 'group-3' && state.acked >= 0n
      if (mayDelete && randomInt(this.#random, 5) === 0) await this.#delete(link, groupId, state)
      else await this.#commitOffset(link, groupId, state)
    }
  }

  async check(link: Link): Promise<void> {
    for (const [groupId, state] of this.#groups) {
      const topics = [{ name: 'plain', partitionIndexes: [0] }]
      const answer = await link.request(offsetFetchApi, { version: 5, message: { groupId, topics } })
      const found = answer.topics[0]?.partitions[0]
      assertOk(found, `offsets of ${groupId}`)
      const offset = found?.committedOffset ?? -1n
      const isGone = state.isDeleting && offset === -1n
      const isPossible = offset >= state.acked && offset <= state.tried
      assert.ok(isGone || isPossible, `${groupId} is at ${offset}; acknowledged ${state.acked}, tried ${state.tried}`)
      if (offset >= 0n) assert.equal(found?.metadata, `at ${offset}`)
      this.#groups.set(groupId, { acked: offset, tried: offset, isDeleting: false })
    }
  }

  async #commitOffset(link: Link, groupId: string, state: { acked: bigint; tried: bigint }): Promise<void> {
    const committedOffset = state.tried + 1n + BigInt(randomInt(this.#random, 10))
    state.tried = committedOffset
    const partition = { partitionIndex: 0, committedOffset, committedMetadata: `at ${committedOffset}` }
    const topics = [{ name: 'plain', partitions: [partition] }]
    const message = { groupId, generationIdOrMemberEpoch: -1, topics }
    const answer = await link.request(offsetCommitApi, { version: 7, message })
    assertOk(answer.topics[0]?.partitions[0], `${groupId} commits ${committedOffset}`)
    state.acked = committedOffset
  }

  async #delete(link: Link, groupId: string, state: { acked: bigint; tried: bigint; isDeleting: boolean }) {
    state.isDeleting = true
    const answer = await link.request(deleteGroupsApi, { version: 1, message: { groupsNames: [groupId] } })
    assertOk(answer.results[0], `${groupId} is deleted`)
    state.acked = -1n
    state.tried = -1n
    state.isDeleting = false
  }
}
