/**
 * Committed offsets are moved and put back, on whatever cluster: each operation with its undo, a process that ends at
 * every step, and a dispatcher that works before and after while an audit watches.
 */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { Admin, GroupMember, type GroupProtocol, TransactionalAppender } from '../../src/client/index.ts'
import { encodeFinished } from '../../src/core/index.ts'
import {
  applyChange,
  Audit,
  type Change,
  isSameOffset,
  LEDGER_KIND,
  type LedgerEntry,
  lookAtGroups,
  type OffsetsOpen,
  planCopy,
  planDeleteGroups,
  planDeleteOffsets,
  planPlace,
  planReset,
  planSkip,
  type StoredOffset,
  undoHandlerOf,
  untilIdle
} from '../../src/ops/index.ts'
import { folderOf, Killed, Steps, storeIn } from '../ops/change/change-support.ts'
import { Bench, LedgerTarget, until } from './dispatch-support.ts'

/** What groups have committed: all that an undo has to bring back. */
async function stateOf(open: OffsetsOpen, groupIds: readonly string[]): Promise<Map<string, StoredOffset>> {
  const found = new Map<string, StoredOffset>()
  for (const { groupId, offsets } of await lookAtGroups(open, groupIds)) {
    for (const { topic, partition, offset, leaderEpoch, metadata } of offsets.values()) {
      found.set(`${groupId} ${topic}-${partition}`, { offset, leaderEpoch, metadata })
    }
  }
  return new Map([...found].toSorted(([left], [right]) => (left < right ? -1 : 1)))
}

/** Takes back what the store knows last. */
async function takeBack(open: OffsetsOpen, folder: string): Promise<Change> {
  const [record] = (await storeIn(folder).list()).records
  const handler = await undoHandlerOf(record?.kind ?? '')
  assert.ok(record !== undefined && handler !== undefined)
  const clock = open.cluster.clock
  const change = await handler(record.snapshot, { ...open, clock, pipeline: undefined })
  const { blockers, effects } = change.plan
  assert.deepEqual(blockers, [])
  if (effects.length > 0) {
    const { result } = await applyChange(change, { store: storeIn(`${folder}/undo`), clusterId: 'c', undoes: record })
    assert.deepEqual([result.failures, result.isComplete], [[], true])
  }
  return change
}

/** A topic of three partitions with 30 records each, whose first 5 are gone, and a group that has read a part. */
async function benchWithOffsets(t: TestContext): Promise<{ bench: Bench; open: OffsetsOpen }> {
  const bench = await Bench.open(t, 3)
  const inputs = Array.from({ length: 90 }, (_, index) => ({ key: `k${index}`, value: `{"n":${index}}` }))
  await bench.append(inputs)
  return { bench, open: { cluster: bench.cluster, admin: bench.admin } }
}

test('every operation on offsets is taken back to what was there, metadata included', async t => {
  const { bench, open } = await benchWithOffsets(t)
  const { topic, groupId, admin } = bench
  const ends = await Promise.all([0, 1, 2].map(partition => bench.end(partition)))
  const half = ends.map(end => end / 2n)
  const metadata = encodeFinished(half[0] ?? 0n, [1, 3]) ?? ''
  await admin.alterGroupOffsets(groupId, [
    { topic, partition: 0, offset: half[0] ?? 0n, metadata, leaderEpoch: 0 },
    { topic, partition: 1, offset: half[1] ?? 0n, metadata: 'somebody’s own' }
  ])
  await admin.deleteRecords([{ topic, partition: 1, beforeOffset: 2n }])
  const other = `${groupId}-other`
  const groupIds = [groupId, other]
  const before = await stateOf(open, groupIds)
  const scope = [{ topic, partitions: undefined }]
  const reset = (to: Parameters<typeof planReset>[1]['to']): Promise<Change> =>
    planReset(open, { groupIds: [groupId], scope: to.kind === 'shift' ? 'all' : scope, to })
  const stored = { offset: 999n, leaderEpoch: -1, metadata: '' }
  const cases: Record<string, [plan: () => Promise<Change>, offsets: readonly (bigint | undefined)[]]> = {
    latest: [() => reset({ kind: 'latest' }), ends],
    offset: [() => reset({ kind: 'offset', offset: 1n }), [1n, 2n, 1n]],
    shift: [() => reset({ kind: 'shift', by: 1n }), [(half[0] ?? 0n) + 1n, (half[1] ?? 0n) + 1n, undefined]],
    current: [() => reset({ kind: 'current' }), [half[0], half[1], ends[2]]],
    later: [() => reset({ kind: 'time', timestampMs: 4_000_000_000_000n }), ends],
    set: [
      () => planPlace(open, { groupId, title: 'Set', offsets: [{ groupId: undefined, topic, partition: 2, stored }] }),
      [half[0], half[1], ends[2]]
    ],
    delete: [() => planDeleteOffsets(open, { groupIds: [groupId], scope }), [undefined, undefined, undefined]],
    group: [() => planDeleteGroups(open, [groupId]), [undefined, undefined, undefined]]
  }
  for (const [name, [plan, offsets]] of Object.entries(cases)) {
    const folder = folderOf(t)
    const change = await plan()
    assert.deepEqual(change.plan.blockers, [], name)
    const { result } = await applyChange(change, { store: storeIn(folder), clusterId: 'c' })
    assert.deepEqual([result.failures, result.isComplete], [[], true], name)
    const after = await stateOf(open, groupIds)
    assert.deepEqual(
      [0, 1, 2].map(partition => after.get(`${groupId} ${topic}-${partition}`)?.offset),
      offsets,
      name
    )
    // A text that belongs to another offset would have records skipped.
    if (offsets[0] !== half[0]) assert.notEqual(after.get(`${groupId} ${topic}-0`)?.metadata, metadata, name)
    await takeBack(open, folder)
    assert.deepEqual(await stateOf(open, groupIds), before, name)
  }
  const folder = folderOf(t)
  const copy = await planCopy(open, { from: groupId, to: other, scope: 'all' })
  await applyChange(copy, { store: storeIn(folder), clusterId: 'c' })
  const copied = await stateOf(open, [other])
  assert.deepEqual([...copied.values()], [...before.values()])
  await takeBack(open, folder)
  const [gone] = await lookAtGroups(open, [other])
  assert.deepEqual([gone?.state, gone?.offsets.size], ['Dead', 0])
})

/** An administration whose process ends at a step: before or after what it asks for has been done. */
class MortalAdmin extends Admin {
  readonly #steps: Steps

  constructor(cluster: OffsetsOpen['cluster'], steps: Steps) {
    super(cluster)
    this.#steps = steps
  }

  async #mortal<T>(run: () => Promise<T>): Promise<T> {
    this.#steps.step()
    const done = await run()
    this.#steps.step()
    return done
  }

  override alterGroupOffsets(...args: Parameters<Admin['alterGroupOffsets']>): ReturnType<Admin['alterGroupOffsets']> {
    return this.#mortal(() => super.alterGroupOffsets(...args))
  }

  override deleteGroupOffsets(
    ...args: Parameters<Admin['deleteGroupOffsets']>
  ): ReturnType<Admin['deleteGroupOffsets']> {
    return this.#mortal(() => super.deleteGroupOffsets(...args))
  }

  override deleteGroups(...args: Parameters<Admin['deleteGroups']>): ReturnType<Admin['deleteGroups']> {
    return this.#mortal(() => super.deleteGroups(...args))
  }
}

test('wherever the process ends in the middle of a change, its undo brings everything back', async t => {
  const { bench, open } = await benchWithOffsets(t)
  const { topic, groupId, admin } = bench
  const groupIds = ['a', 'b', 'c'].map(name => `${groupId}-${name}`)
  for (const id of groupIds.slice(0, 2)) {
    await admin.alterGroupOffsets(
      id,
      [0, 1].map(partition => ({ topic, partition, offset: 5n, metadata: `of ${id}` }))
    )
  }
  const before = await stateOf(open, groupIds)
  const plans: ((mortal: OffsetsOpen) => Promise<Change>)[] = [
    mortal =>
      planReset(mortal, {
        groupIds: groupIds.slice(1),
        scope: [{ topic, partitions: undefined }],
        to: { kind: 'latest' }
      }),
    mortal => planDeleteGroups(mortal, groupIds.slice(0, 2))
  ]
  for (const plan of plans) {
    for (let killAt = 0; ; killAt += 1) {
      const steps = new Steps(killAt)
      const folder = folderOf(t)
      const change = await plan({ ...open, admin: new MortalAdmin(bench.cluster, steps) })
      const run = applyChange(change, { store: storeIn(folder), clusterId: 'c' })
      const isKilled = await run.then(
        () => false,
        (error: unknown) => error instanceof Killed
      )
      await takeBack(open, folder)
      assert.deepEqual(await stateOf(open, groupIds), before, `ended at step ${killAt}`)
      if (!isKilled) break
    }
  }
})

test('what others have changed since is told, and left alone by plan and undo', async t => {
  const { bench, open } = await benchWithOffsets(t)
  const { topic, groupId, admin } = bench
  const scope = [{ topic, partitions: [0, 1] }]
  await admin.alterGroupOffsets(
    groupId,
    [0, 1].map(partition => ({ topic, partition, offset: 5n }))
  )
  const folder = folderOf(t)
  const change = await planReset(open, { groupIds: [groupId], scope, to: { kind: 'offset', offset: 3n } })
  await admin.alterGroupOffsets(groupId, [{ topic, partition: 1, offset: 6n }])
  const { result, record } = await applyChange(change, { store: storeIn(folder), clusterId: 'c' })
  assert.equal(result.isComplete, false)
  assert.deepEqual(result.failures, [`${topic}-1 has moved since the plan, to 6: left as it is`])
  assert.equal(record.state, 'partial')
  const undo = await takeBackPlan(open, record.snapshot)
  assert.deepEqual(undo.plan.conflicts, [`${groupId} ${topic}-1 is at 6 now; the change left it at 3`])
  const present = await stateOf(open, [groupId])
  assert.ok(isSameOffset(present.get(`${groupId} ${topic}-0`), { offset: 3n, leaderEpoch: -1, metadata: '' }))
})

async function takeBackPlan(open: OffsetsOpen, snapshot: Change['snapshot']): Promise<Change> {
  const handler = await undoHandlerOf('offsets')
  assert.ok(handler !== undefined && snapshot !== undefined)
  return await handler(snapshot, { ...open, clock: open.cluster.clock, pipeline: undefined })
}

/** A member of the group that has its partitions. */
async function memberOf({ cluster, groupId, topic }: Bench, groupProtocol: GroupProtocol): Promise<GroupMember> {
  const assigned = Promise.withResolvers<void>()
  const member = new GroupMember({
    cluster,
    groupId,
    topics: [topic],
    groupProtocol,
    heartbeatIntervalMs: 300,
    listener: {
      assigned: () => assigned.resolve(),
      revoked: async () => undefined,
      lost: () => undefined,
      failed: error => assigned.reject(error)
    }
  })
  member.start()
  await assigned.promise
  return member
}

for (const protocol of ['classic', 'consumer'] satisfies GroupProtocol[]) {
  test(`a group at work (${protocol}) is named with its members, and waited for`, async t => {
    const { bench, open } = await benchWithOffsets(t)
    const { topic, groupId } = bench
    const member = await memberOf(bench, protocol)
    const request = {
      groupIds: [groupId],
      scope: [{ topic, partitions: undefined }],
      to: { kind: 'earliest' }
    } as const
    const { plan } = await planReset(open, request)
    assert.match(plan.blockers.join(' '), new RegExp(`^group ${groupId} is at work .*client id.*--wait 60s`))
    assert.equal(await untilIdle(open, [groupId], { waitMs: 0 }), false)
    const waited = untilIdle(open, [groupId], { waitMs: 30_000 })
    await member.close()
    assert.equal(await waited, true)
    assert.deepEqual((await planReset(open, request)).plan.blockers, [])
    // Both protocols leave a group that offsets can be set and deleted in.
    const folder = folderOf(t)
    const before = await stateOf(open, [groupId])
    await applyChange(await planReset(open, request), { store: storeIn(folder), clusterId: 'c' })
    assert.equal((await stateOf(open, [groupId])).size, 3)
    await takeBack(open, folder)
    assert.deepEqual(await stateOf(open, [groupId]), before)
  })
}

test('an offset that an open transaction is about to change is not touched', async t => {
  const { bench, open } = await benchWithOffsets(t)
  const { topic, groupId } = bench
  await bench.admin.alterGroupOffsets(groupId, [{ topic, partition: 0, offset: 1n }])
  const appender = new TransactionalAppender({ cluster: bench.cluster, transactionalId: `${groupId}-transaction` })
  t.after(() => appender.close())
  await appender.start()
  appender.begin()
  const member = await memberOf(bench, 'classic')
  await appender.sendOffsets([{ topic, partition: 0, offset: 2n, metadata: '' }], member.groupMetadata())
  await member.close()
  const plan = async (): Promise<readonly string[]> =>
    (await planReset(open, { groupIds: [groupId], scope: 'all', to: { kind: 'earliest' } })).plan.blockers
  const scope = [{ topic, partitions: [0] }]
  const named = await planReset(open, { groupIds: [groupId], scope, to: { kind: 'earliest' } })
  assert.match(named.plan.blockers.join(' '), /an open transaction is about to change the offset of .*-0: wait until/)
  await appender.abortTransaction()
  await until(async () => (await plan()).length === 0, 'the transaction has ended')
})

/** Events that come all the time, and what a dispatcher does with them. */
class Load {
  readonly #bench: Bench
  readonly entries: LedgerEntry[] = []
  readonly delivered: LedgerEntry[] = []
  #isOver = false
  #running: Promise<void> | undefined

  constructor(bench: Bench) {
    this.#bench = bench
  }

  start(): void {
    this.#running = (async () => {
      while (!this.#isOver) await this.#append(20)
    })()
  }

  async #append(count: number): Promise<void> {
    const base = this.entries.length
    const events = Array.from({ length: count }, (_, index) => base + index)
    await this.#bench.append(events.map(event => ({ key: `k${event % 7}`, value: JSON.stringify({ event }) })))
    for (const event of events) this.entries.push(entryOf(event, LEDGER_KIND.produced))
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#running
  }

  target(): LedgerTarget {
    return new LedgerTarget(({ messages }) => {
      for (const message of messages) {
        const { event } = message as { event: number }
        this.delivered.push(entryOf(event, LEDGER_KIND.delivered))
      }
    })
  }

  audit(): ReturnType<Audit['report']> {
    const audit = new Audit()
    for (const entry of this.entries) audit.produced(entry)
    for (const entry of this.delivered) audit.delivered(entry)
    return audit.report()
  }
}

function entryOf(event: number, kind: number): LedgerEntry {
  const detail = kind === LEDGER_KIND.produced ? 1 : 0
  return { kind, producer: 0, detail, event, key: event % 7, keySequence: Math.floor(event / 7), timeMs: 0 }
}

test('under load, a reset brings exactly the planned records again, and a skip takes exactly one away', async t => {
  const bench = await Bench.open(t, 3)
  const { topic, groupId } = bench
  const open = { cluster: bench.cluster, admin: bench.admin }
  const load = new Load(bench)
  load.start()
  const first = await bench.dispatch(load.target(), { order: 'partition' })
  await until(() => load.delivered.length >= 150, '150 deliveries')
  await first.drain()
  const planned = await planReset(open, { groupIds: [groupId], scope: 'all', to: { kind: 'shift', by: -7n } })
  const again = planned.plan.effects.reduce((sum, { records = 0n }) => sum + records, 0n)
  assert.ok(again > 0n)
  await applyChange(planned, { store: storeIn(folderOf(t)), clusterId: 'c' })
  const second = await bench.dispatch(load.target(), { order: 'partition' })
  const reached = load.delivered.length
  await until(() => load.delivered.length >= reached + 100, '100 more')
  await second.drain()
  // Further on than the next record, so that only a dispatcher can skip it alone.
  const record = { topic, partition: 0, offset: (await bench.committed()) + 3n }
  await until(async () => (await bench.end()) > record.offset + 1n, 'records around it')
  const refused = await planSkip(open, { groupId: `${groupId}-other`, records: [record] })
  assert.match(refused.plan.blockers.join(' '), /no committed offset/)
  const skip = await planSkip(open, { groupId, records: [record], isDispatcher: true })
  assert.deepEqual([skip.plan.blockers, skip.plan.effects[0]?.records], [[], -1n])
  const named = skip.plan.effects[0]?.note ?? ''
  assert.match(named, new RegExp(`^${record.offset}: key k\\d, value {"event":\\d+}; 1 later record is kept`))
  await applyChange(skip, { store: storeIn(folderOf(t)), clusterId: 'c' })
  const target = load.target()
  const third = await bench.dispatch(target, { order: 'partition' })
  await load.stop()
  await bench.untilDrained(3)
  await third.drain()
  const around = [-1n, 0n, 1n].map(by => target.delivered.includes(`0@${record.offset + by}`))
  assert.deepEqual(around, [true, false, true])
  const { lost, outOfOrder, duplicates, unexpected } = load.audit()
  const event = /"event":(\d+)/.exec(named)?.[1]
  assert.deepEqual(lost, { count: 1, examples: [`0-${event}`] })
  assert.deepEqual([outOfOrder.count, unexpected.count, duplicates], [0, 0, Number(again)])
})
