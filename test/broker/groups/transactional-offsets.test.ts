/** Offsets in transactions as the groups keep them: pending, settled by markers, the same after a restart. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type CoordinatorSettings,
  GroupCoordinator,
  type GroupRecord,
  type OffsetsLog,
  type OffsetsMarker,
  type OffsetsProducer
} from '../../../src/broker/groups/index.ts'
import { VirtualClock } from '../../../src/core/index.ts'
import type { KafkaErrorName } from '../../../src/protocol/index.ts'
import { silentLogger } from '../../../src/telemetry/index.ts'
import { TestTopics } from './consumer-support.ts'

const DAY_MS = 86_400_000
const NOBODY = { memberId: '', groupInstanceId: null, generation: -1 }
const P0 = { topic: 'orders', partition: 0 }

type Entry =
  { readonly record: GroupRecord; readonly producerId: bigint | undefined } | { readonly marker: OffsetsMarker }

/** `__consumer_offsets` of one partition in memory. */
class MemoryLog implements OffsetsLog {
  readonly partitionCount = 1
  readonly entries: Entry[] = []
  /** Appends wait here while it is set; markers do not, and would overtake them. */
  gate: Promise<void> | undefined

  async append(
    _partition: number,
    records: readonly GroupRecord[],
    producer?: OffsetsProducer
  ): Promise<KafkaErrorName> {
    this.entries.push(...records.map(record => ({ record, producerId: producer?.producerId })))
    await this.gate
    return 'NONE'
  }

  appendMarker(_partition: number, marker: OffsetsMarker): Promise<KafkaErrorName> {
    this.entries.push({ marker })
    return Promise.resolve('NONE')
  }

  replay(...[visit, visitMarker]: Parameters<OffsetsLog['replay']>): Promise<void> {
    for (const entry of this.entries) {
      if ('marker' in entry) visitMarker(0, entry.marker)
      else visit(entry.record.key, entry.record.value, { partition: 0, producerId: entry.producerId })
    }
    return Promise.resolve()
  }
}

const SETTINGS: CoordinatorSettings = {
  initialRebalanceDelayMs: 0,
  sessionTimeoutMinMs: 6000,
  sessionTimeoutMaxMs: 1_800_000,
  memberCountMax: 100,
  offsetsRetentionMs: DAY_MS,
  retentionCheckMs: 600_000,
  migrationPolicy: 'bidirectional',
  consumer: {
    sessionTimeoutMs: 45_000,
    heartbeatIntervalMs: 5000,
    memberCountMax: 100,
    assignors: ['uniform', 'range'],
    assignmentIntervalMs: 0
  }
}

class World {
  readonly clock = new VirtualClock()
  readonly log: MemoryLog
  readonly groups: GroupCoordinator

  private constructor(log: MemoryLog) {
    this.log = log
    const topics = new TestTopics()
    this.groups = new GroupCoordinator({ settings: SETTINGS, log, topics, clock: this.clock, logger: silentLogger })
  }

  static async start(log = new MemoryLog()): Promise<World> {
    const world = new World(log)
    await world.groups.load()
    return world
  }

  commitIn(producerId: bigint, offset: bigint, options: { isVoid?: boolean } = {}): Promise<KafkaErrorName> {
    const producer = { producerId, producerEpoch: 0 }
    const who = { identity: NOBODY, producer, isVoid: () => options.isVoid === true }
    return this.groups.commitTransactionalOffsets('g', who, [{ ...P0, committed: this.#committed(offset) }])
  }

  commitPlainly(offset: bigint): Promise<KafkaErrorName> {
    return this.groups.commitOffsets('g', NOBODY, [{ ...P0, committed: this.#committed(offset) }])
  }

  end(producerId: bigint, isCommit: boolean): Promise<KafkaErrorName> {
    return this.groups.completeTransaction(0, { producerId, producerEpoch: 0, coordinatorEpoch: 0, isCommit })
  }

  /** The committed offset, and whether another may follow. */
  seen(): [offset: bigint | undefined, isPending: boolean] {
    const committed = this.groups.find('g')?.offsets.get(P0.topic, P0.partition)
    return [committed?.offset, this.groups.hasPendingOffset('g', P0)]
  }

  #committed(offset: bigint) {
    return { offset, leaderEpoch: 3, metadata: '', commitTimestampMs: this.clock.now(), expireTimestampMs: undefined }
  }
}

/** What is seen now, which must be what is seen after a restart. */
async function seenTwice(world: World): Promise<[offset: bigint | undefined, isPending: boolean]> {
  const seen = world.seen()
  assert.deepEqual((await World.start(world.log)).seen(), seen, 'after a restart')
  return seen
}

test('an offset is pending until the marker of its producer, and not that of another', async () => {
  const world = await World.start()
  assert.equal(await world.commitIn(1n, 5n), 'NONE')
  assert.deepEqual(await seenTwice(world), [undefined, true])
  await world.end(2n, true)
  assert.deepEqual(await seenTwice(world), [undefined, true])
  await world.end(1n, true)
  assert.deepEqual(await seenTwice(world), [5n, false])
})

test('an abort forgets the offsets of its producer alone', async () => {
  const world = await World.start()
  await world.commitIn(1n, 5n)
  await world.commitIn(2n, 6n)
  await world.end(1n, false)
  assert.deepEqual(await seenTwice(world), [undefined, true])
  await world.end(2n, true)
  assert.deepEqual(await seenTwice(world), [6n, false])
})

test('the later of two offsets in a transaction counts', async () => {
  const world = await World.start()
  await world.commitIn(1n, 5n)
  await world.commitIn(1n, 4n)
  await world.end(1n, true)
  assert.deepEqual(await seenTwice(world), [4n, false])
})

test('an offset committed without a transaction after it in the log is not undone by the commit', async () => {
  const world = await World.start()
  await world.commitIn(1n, 5n)
  await world.commitPlainly(9n)
  assert.deepEqual(await seenTwice(world), [9n, true])
  await world.end(1n, true)
  assert.deepEqual(await seenTwice(world), [9n, false])
})

test('a marker does not overtake the offsets that it settles', async () => {
  const world = await World.start()
  const { promise, resolve } = Promise.withResolvers<void>()
  world.log.gate = promise
  const committing = world.commitIn(1n, 5n)
  const ending = world.end(1n, true)
  resolve()
  await Promise.all([committing, ending])
  assert.deepEqual(await seenTwice(world), [5n, false])
})

test('offsets of a transaction that ended meanwhile are refused', async () => {
  const world = await World.start()
  assert.equal(await world.commitIn(1n, 5n, { isVoid: true }), 'INVALID_TXN_STATE')
  assert.deepEqual(await seenTwice(world), [undefined, false])
  assert.equal(world.groups.find('g'), undefined)
})

test('deleted offsets, topics and groups take what is pending with them', async () => {
  const deletions: ((world: World) => Promise<unknown>)[] = [
    ({ groups }) => groups.deleteOffsets('g', [P0]),
    ({ groups }) => groups.forgetTopic('orders'),
    ({ groups }) => groups.deleteGroup('g')
  ]
  for (const remove of deletions) {
    const world = await World.start()
    await world.commitIn(1n, 5n)
    await remove(world)
    assert.deepEqual(await seenTwice(world), [undefined, false])
    await world.end(1n, true)
    assert.deepEqual(await seenTwice(world), [undefined, false])
  }
})

test('an offset on its way when its group is deleted does not come back', async () => {
  const world = await World.start()
  await world.commitPlainly(1n)
  const { promise, resolve } = Promise.withResolvers<void>()
  world.log.gate = promise
  const committing = world.commitIn(1n, 5n)
  const deleting = world.groups.deleteGroup('g')
  resolve()
  await Promise.all([committing, deleting])
  await world.end(1n, true)
  assert.deepEqual(await seenTwice(world), [undefined, false])
})

test('an offset does not expire while a transaction is about to replace it', async () => {
  const world = await World.start()
  await world.commitPlainly(1n)
  await world.commitIn(1n, 5n)
  await world.clock.advance(2 * DAY_MS)
  assert.deepEqual(world.seen(), [1n, true])
  await world.end(1n, false)
  await world.clock.advance(DAY_MS)
  assert.equal(world.groups.find('g'), undefined)
})
