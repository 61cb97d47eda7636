/** Whatever was there, whatever was planned, and wherever it ended: the undo brings back what was there. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startBroker } from '../../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../../src/client/index.ts'
import { encodeFinished, type Random, randomInt, SeededRandom } from '../../../src/core/index.ts'
import { applyChange } from '../../../src/ops/change/apply-change.ts'
import type { Change } from '../../../src/ops/change/change.ts'
import { undoHandlerOf } from '../../../src/ops/change/undo-handlers.ts'
import { lookAtGroups, type OffsetsOpen } from '../../../src/ops/offsets/group-look.ts'
import { planCopy, planDeleteGroups, planDeleteOffsets } from '../../../src/ops/offsets/plan-copy.ts'
import { planPlace, planReset } from '../../../src/ops/offsets/plan-reset.ts'
import { planSkip } from '../../../src/ops/offsets/plan-skip.ts'
import type { ResetTo } from '../../../src/ops/offsets/reset-rules.ts'
import { folderOf, storeIn } from '../change/change-support.ts'

const ROUNDS = Number(process.env['ROUNDS'] ?? 15)
const TOPIC = 't'
const PARTITIONS = 4
const GROUPS = ['a', 'b', 'c'] as const

async function stateOf(open: OffsetsOpen): Promise<unknown> {
  const groups = await lookAtGroups(open, GROUPS)
  return groups.map(({ groupId, offsets }) => ({
    groupId,
    offsets: [...offsets.values()].toSorted((left, right) => left.partition - right.partition)
  }))
}

/** Any state: groups with any offsets, also outside of the log, with texts of ours, of others, or none. */
async function anyState(admin: Admin, random: Random): Promise<void> {
  await admin.deleteGroups([...GROUPS])
  for (const groupId of GROUPS) {
    const offsets = Array.from({ length: PARTITIONS }, (_, partition) => {
      const offset = BigInt(randomInt(random, 40))
      const texts = [
        '',
        'of somebody',
        encodeFinished(offset, [1 + randomInt(random, 3), 5 + randomInt(random, 9)]) ?? ''
      ]
      const metadata = texts[randomInt(random, texts.length)] ?? ''
      return { topic: TOPIC, partition, offset, metadata, leaderEpoch: randomInt(random, 3) - 1 }
    })
    const kept = offsets.filter(() => randomInt(random, 3) > 0)
    if (kept.length > 0) await admin.alterGroupOffsets(groupId, kept)
  }
}

function anyPlan(open: OffsetsOpen, random: Random): Promise<Change> {
  const groupIds = GROUPS.filter((_, index) => index === 0 || randomInt(random, 2) === 0)
  const all = [{ topic: TOPIC, partitions: undefined }]
  const some = [{ topic: TOPIC, partitions: [randomInt(random, PARTITIONS)] }]
  const scope = ([all, some, 'all'] as const)[randomInt(random, 3)] ?? all
  const offset = BigInt(randomInt(random, 50))
  const to: ResetTo[] = [
    { kind: 'earliest' },
    { kind: 'latest' },
    { kind: 'current' },
    { kind: 'offset', offset },
    { kind: 'shift', by: offset - 25n },
    { kind: 'time', timestampMs: offset }
  ]
  const place = { groupId: undefined, topic: TOPIC, partition: 1, stored: { offset, leaderEpoch: 2, metadata: 'x' } }
  const record = { topic: TOPIC, partition: randomInt(random, PARTITIONS), offset: offset % 20n }
  const plans = [
    () => planReset(open, { groupIds, scope, to: to[randomInt(random, to.length)] ?? { kind: 'current' } }),
    () => planPlace(open, { groupId: 'b', offsets: [place], title: 'Set' }),
    () => planSkip(open, { groupId: 'a', records: [record], isDispatcher: true }),
    () => planCopy(open, { from: 'a', to: 'c', scope: 'all' }),
    () => planDeleteOffsets(open, { groupIds, scope }),
    () => planDeleteGroups(open, ['a'])
  ]
  return (plans[randomInt(random, plans.length)] ?? plans[0] ?? (() => assert.fail()))()
}

test('plan, apply and undo are the identity on any state, also where the apply was stopped', async t => {
  const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000)
  t.diagnostic(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  const broker = await startBroker()
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  const admin = new Admin(cluster)
  const open = { cluster, admin }
  await admin.createTopics([{ topic: TOPIC, partitionCount: PARTITIONS }])
  const appender = new Appender({ cluster, lingerMs: 1 })
  const ignored = { delivered: () => undefined, failed: () => undefined }
  for (let index = 0; index < 80; index += 1) {
    const record = { topic: TOPIC, partition: index % PARTITIONS, key: null, value: Buffer.from('{}') }
    appender.append({ ...record, timestampMs: 1 + Math.floor(index / PARTITIONS) }, ignored)
  }
  await appender.flush()
  await appender.close()
  const handler = await undoHandlerOf('offsets')
  assert.ok(handler !== undefined)
  let appliedCount = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    await anyState(admin, random)
    const before = await stateOf(open)
    const change = await anyPlan(open, random).catch((error: unknown) => {
      // Where there is nothing to copy or to delete.
      assert.match(String(error), /no committed offsets|there is no group/)
      return undefined
    })
    if (change === undefined || change.plan.blockers.length > 0) continue
    const stop = new AbortController()
    const stopAt = randomInt(random, 4)
    const folder = folderOf(t)
    let told = 0
    await applyChange(change, {
      store: storeIn(folder),
      clusterId: null,
      signal: stop.signal,
      onProgress: () => {
        told += 1
        if (told === stopAt) stop.abort()
      }
    })
    appliedCount += 1
    const { snapshot } = await storeIn(folder).read('2026')
    const undo: Change = await handler(snapshot, { ...open, clock: cluster.clock, pipeline: undefined })
    const what = `seed ${seed}, round ${round}: ${change.plan.summary}`
    assert.deepEqual([undo.plan.blockers, undo.plan.conflicts], [[], []], what)
    const { failures } = await undo.apply({})
    assert.deepEqual(failures, [], what)
    assert.deepEqual(await stateOf(open), before, what)
  }
  assert.ok(appliedCount > 0)
})
