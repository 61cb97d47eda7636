/** What an undo, and an apply, do where the world has moved on since the plan: they lose no records. */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { startBroker } from '../../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../../src/client/index.ts'
import { encodeFinished } from '../../../src/core/index.ts'
import { applyChange } from '../../../src/ops/change/apply-change.ts'
import type { Change } from '../../../src/ops/change/change.ts'
import { undoHandlerOf } from '../../../src/ops/change/undo-handlers.ts'
import type { OffsetsOpen } from '../../../src/ops/offsets/group-look.ts'
import { planDeleteGroups } from '../../../src/ops/offsets/plan-copy.ts'
import { planPlace, planReset } from '../../../src/ops/offsets/plan-reset.ts'
import { replayChange } from '../../../src/ops/replay/replay-plan.ts'
import { folderOf, storeIn } from '../change/change-support.ts'

async function clusterOf(t: TestContext): Promise<OffsetsOpen> {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  return { cluster, admin: new Admin(cluster) }
}

/** A new topic of one partition with 20 records. */
async function fill({ cluster, admin }: OffsetsOpen, topic: string): Promise<void> {
  await admin.createTopics([{ topic, partitionCount: 1 }])
  const appender = new Appender({ cluster, lingerMs: 1 })
  for (let index = 0; index < 20; index += 1) {
    appender.append(
      { topic, key: null, value: Buffer.from('{}') },
      { delivered: () => undefined, failed: () => undefined }
    )
  }
  await appender.flush()
  await appender.close()
}

async function undoOf(change: Change, open: OffsetsOpen): Promise<Change> {
  const handler = await undoHandlerOf(change.plan.kind)
  assert.ok(handler !== undefined && change.snapshot !== undefined)
  return await handler(change.snapshot, { ...open, clock: open.cluster.clock, pipeline: undefined })
}

/** The offset and text that a group has committed for partition 0. */
async function committed({ admin }: OffsetsOpen, groupId: string, topic: string): Promise<unknown> {
  const found = await admin.fetchGroupOffsets(groupId)
  const at = found.find(each => each.topic === topic)
  return at === undefined ? undefined : [at.offset, at.metadata]
}

test('an undo knows what has moved on since', async t => {
  const open = await clusterOf(t)
  const { admin } = open
  const scope = [{ topic: 'a', partitions: undefined }]

  await t.test(
    'retention has taken records below the old offset: the first that is left, with what is finished',
    async () => {
      await fill(open, 'a')
      await admin.alterGroupOffsets('g', [
        { topic: 'a', partition: 0, offset: 3n, metadata: encodeFinished(3n, [4, 6, 9, 11]) ?? '' }
      ])
      const change = await planReset(open, { groupIds: ['g'], scope, to: { kind: 'latest' } })
      await applyChange(change, { store: storeIn(folderOf(t)), clusterId: null })
      await admin.deleteRecords([{ topic: 'a', partition: 0, beforeOffset: 8n }])
      // 7 and 8 were finished, and 8 is the first that is left: 9 is the next one to read, and 12 and 13 are finished.
      const undo = await undoOf(change, open)
      assert.deepEqual(undo.plan.conflicts, [])
      assert.match(undo.plan.effects[0]?.note ?? '', /^3 was deleted meanwhile: set to 9/)
      await undo.apply({})
      assert.deepEqual(await committed(open, 'g', 'a'), [9n, encodeFinished(9n, [3, 5])])
      assert.deepEqual((await undoOf(change, open)).plan.effects, [])
    }
  )

  await t.test('a topic that was made anew has other records at the old offsets', async () => {
    await fill(open, 'b')
    await admin.alterGroupOffsets('gone', [
      { topic: 'b', partition: 0, offset: 3n, metadata: encodeFinished(3n, [4, 6]) ?? '' }
    ])
    const change = await planDeleteGroups(open, ['gone'])
    await applyChange(change, { store: storeIn(folderOf(t)), clusterId: null })
    await admin.deleteTopics(['b'])
    await fill(open, 'b')
    const undo = await undoOf(change, open)
    assert.deepEqual(undo.plan.conflicts, [
      'topic b was made anew since: gone b-0 was at 3 with a text of the topic that was'
    ])
    // Who insists gets the offset, and not the text, which would have records of the new topic skipped.
    await undo.apply({})
    assert.deepEqual(await committed(open, 'gone', 'b'), [3n, ''])
  })
})

test('an apply, and the undo of a replay, touch nothing that the plan did not know', async t => {
  const open = await clusterOf(t)
  const { admin } = open
  for (const topic of ['a', 'b']) await fill(open, topic)

  await t.test('a group that has committed more since the plan is not deleted', async () => {
    await admin.alterGroupOffsets('busy', [{ topic: 'a', partition: 0, offset: 3n }])
    const change = await planDeleteGroups(open, ['busy'])
    await admin.alterGroupOffsets('busy', [{ topic: 'b', partition: 0, offset: 1n }])
    const { failures, isComplete } = await change.apply({})
    assert.deepEqual(
      [failures, isComplete],
      [['group busy has committed 1 more offset since the plan: left as it is'], false]
    )
    assert.deepEqual(await committed(open, 'busy', 'b'), [1n, ''])
  })

  await t.test('a deletion whose answer was lost is done; a commit that nobody has answered is not', async () => {
    class OddAdmin extends Admin {
      override async deleteGroups(groupIds: readonly string[]): ReturnType<Admin['deleteGroups']> {
        await super.deleteGroups(groupIds)
        return await super.deleteGroups(groupIds)
      }

      override alterGroupOffsets(): ReturnType<Admin['alterGroupOffsets']> {
        return Promise.resolve([])
      }
    }
    const odd = { ...open, admin: new OddAdmin(open.cluster) }
    await admin.alterGroupOffsets('odd', [{ topic: 'a', partition: 0, offset: 3n }])
    const reset = await planReset(odd, { groupIds: ['odd'], scope: 'all', to: { kind: 'earliest' } })
    assert.deepEqual((await reset.apply({})).failures, ['a-0 of odd: no answer'])
    const { failures, isComplete } = await (await planDeleteGroups(odd, ['odd'])).apply({})
    assert.deepEqual([failures, isComplete], [[], true])
  })

  await t.test('two offsets for one partition are refused', async () => {
    const at = (offset: bigint) => ({
      groupId: undefined,
      topic: 'a',
      partition: 0,
      stored: { offset, leaderEpoch: -1, metadata: '' }
    })
    await assert.rejects(planPlace(open, { groupId: 'g', offsets: [at(9n), at(10n)], title: 'Set' }), {
      code: 'ERR_OPS_INVALID',
      message: /a-0 is named twice/
    })
  })

  await t.test('the undo of a replay touches what the replay has, and nothing else of the group', async () => {
    const metadata = encodeFinished(9n, [2, 3]) ?? ''
    await admin.alterGroupOffsets('again', [{ topic: 'b', partition: 0, offset: 2n }])
    const partition = { topic: 'a', partition: 0, from: 8n, to: 12n, position: 8n, isBegun: false }
    const facts = { groupId: 'again', isResumed: false, offsetCount: 4n, partitions: [partition] }
    for (const before of [undefined, { offset: 9n, leaderEpoch: -1, metadata }]) {
      const offsets = before === undefined ? [] : [{ topic: 'a', partition: 0, ...before }]
      if (offsets.length > 0) await admin.alterGroupOffsets('again', offsets)
      const change = replayChange(facts, await admin.fetchGroupOffsets('again'), () => assert.fail())
      await admin.alterGroupOffsets('again', [{ topic: 'a', partition: 0, offset: 12n }])
      const undo = await undoOf(change, open)
      assert.deepEqual(
        undo.plan.effects.map(({ what, before: was, after }) => [what, was, after]),
        [['a-0', '12', before === undefined ? '–' : '9']]
      )
      assert.deepEqual((await undo.apply({})).failures, [])
      assert.deepEqual(await committed(open, 'again', 'a'), before === undefined ? undefined : [9n, metadata])
      assert.deepEqual(await committed(open, 'again', 'b'), [2n, ''])
    }
  })
})

test('all topics of a group that is not there are no change that can be made', async t => {
  const open = await clusterOf(t)
  const { plan } = await planReset(open, { groupIds: ['nobody'], scope: 'all', to: { kind: 'latest' } })
  assert.match(plan.blockers[0] ?? '', /^group nobody is not there/)
})
