/** Changes through the console: planned, confirmed, done, taken back; and refused where they must be. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import type { ChangeEntry, ChangeProgress, ChangeRequest, PlannedChange } from '../../src/console/api/changes.ts'
import type { Page } from '../../src/console/api/common.ts'
import { addChangeRoutes } from '../../src/console/changes/change-routes.ts'
import type { InstanceLook } from '../../src/console/flow/instance-types.ts'
import { VirtualClock } from '../../src/core/index.ts'
import { applyChange, planReset, planTakeBack } from '../../src/ops/index.ts'
import { append, Area, type AreaOptions, clusterOf, folderOf, operator } from './console-support.ts'

async function worldOf(t: TestContext, options: Partial<AreaOptions> = {}): Promise<Area> {
  const cluster = await clusterOf(t)
  const area = new Area([addChangeRoutes], cluster, { undoFolder: folderOf(t), ...options })
  t.after(() => area.close())
  await area.admin.createTopics([{ topic: 'orders', partitionCount: 2 }])
  await append(
    cluster,
    Array.from({ length: 20 }, (_, n) => ({
      topic: 'orders',
      partition: n % 2,
      key: Buffer.from(`k${n % 4}`),
      value: Buffer.from(`{"n":${n}}`),
      timestampMs: 1_700_000_000_000 + n * 1000
    }))
  )
  await area.admin.alterGroupOffsets('billing', [
    { topic: 'orders', partition: 0, offset: 4n },
    { topic: 'orders', partition: 1, offset: 7n }
  ])
  return area
}

const plan = async (area: Area, request: ChangeRequest): Promise<PlannedChange> =>
  await area.post<PlannedChange>('/api/changes/plan', request)

/** Applies a plan and waits for its end. */
async function apply(area: Area, { id, confirmWord }: PlannedChange): Promise<ChangeProgress> {
  let now = await area.post<ChangeProgress>('/api/changes/apply', { id, confirm: confirmWord })
  while (now.state === 'running') {
    await new Promise(resolve => setImmediate(resolve))
    now = await area.get<ChangeProgress>(`/api/change?id=${id}`)
  }
  return now
}

async function stateOf({ admin }: Area): Promise<unknown> {
  const groups = (await admin.listGroups()).map(({ groupId }) => groupId).toSorted()
  const offsets = await Promise.all(
    groups.map(async groupId =>
      (await admin.fetchGroupOffsets(groupId)).map(each => `${groupId} ${each.topic}-${each.partition}@${each.offset}`)
    )
  )
  const { topics } = await admin.describeTopics(['orders', 'fresh'])
  const [described] = await admin.describeConfigs([{ type: 'topic', name: 'orders' }])
  return {
    offsets: offsets.flat().toSorted(),
    topics: topics.map(({ topic, partitions }) => `${topic}: ${partitions.length}`),
    retention: described?.entries.find(({ name }) => name === 'retention.ms')?.value
  }
}

test('each kind that can be taken back is, and leaves everything as it was before', async t => {
  const area = await worldOf(t)
  const requests: ChangeRequest[] = [
    { kind: 'offsets.reset', group: 'billing', topics: ['orders'], to: { to: 'earliest' } },
    { kind: 'offsets.reset', group: 'billing', topics: [], to: { to: 'latest' } },
    { kind: 'offsets.reset', group: 'billing', topics: ['orders:1'], to: { to: 'shift', by: -3 } },
    { kind: 'offsets.reset', group: 'billing', topics: ['orders'], to: { to: 'datetime', atMs: 1_700_000_006_000 } },
    { kind: 'offsets.place', group: 'billing', places: [{ topic: 'orders', partition: 1, offset: '2' }] },
    { kind: 'offsets.skip', group: 'billing', topic: 'orders', partition: 0, offset: '4', count: 1 },
    { kind: 'offsets.copy', from: 'billing', to: 'billing-green', topics: [] },
    { kind: 'groups.delete', group: 'billing' },
    { kind: 'topics.create', topic: 'fresh', partitions: 3, settings: { 'retention.ms': '60000' } },
    { kind: 'topics.alter', topic: 'orders', settings: { 'retention.ms': '123456' } }
  ]
  const before = await stateOf(area)
  for (const request of requests) {
    const planned = await plan(area, request)
    assert.deepEqual([planned.blockers, planned.kind, planned.noUndoReason], [[], request.kind, null])
    assert.ok(planned.effects.length > 0, request.kind)
    assert.deepEqual(await stateOf(area), before, 'a plan changes nothing')
    const done = await apply(area, planned)
    assert.deepEqual([done.state, done.failures], ['done', []], request.kind)
    assert.notDeepEqual(await stateOf(area), before, `${request.kind} does something`)
    const back = await area.post<PlannedChange>('/api/changes/undo', { undoId: done.undoId })
    assert.deepEqual([back.kind, back.conflicts], ['undo', []], request.kind)
    assert.equal((await apply(area, back)).state, 'done', request.kind)
    assert.deepEqual(await stateOf(area), before, `${request.kind} is taken back`)
  }
  const { total, rows } = await area.get<Page<ChangeEntry>>('/api/changes?limit=100')
  assert.equal(total, requests.length * 2)
  assert.ok(rows.every(({ by, kind }) => by === 'ana' && /^(offsets|topics-)/.test(kind)))
  assert.equal(rows.filter(({ state, canUndo }) => state === 'undone' && !canUndo).length, requests.length)
  assert.equal(rows.filter(({ undoes }) => undoes !== null).length, requests.length)
  assert.equal((await area.get<Page<ChangeEntry>>('/api/changes?limit=3&offset=2')).rows.length, 3)
  const applied = area.audit.filter(({ action }) => action === 'change.end')
  assert.equal(applied.length, requests.length * 2)
  assert.ok(applied.every(({ user, outcome, undoId }) => user === 'ana' && outcome === 'ok' && undoId !== null))
})

test('a wrong word, another session, a second time and a plan that is too old change nothing', async t => {
  const clock = new VirtualClock()
  const area = await worldOf(t, { clock })
  const before = await stateOf(area)
  const request = { kind: 'offsets.reset', group: 'billing', topics: ['orders'], to: { to: 'latest' } } as const
  const planned = await plan(area, request)
  const apply1 = { id: planned.id, confirm: planned.confirmWord }
  const refused = async (body: object, code: string, caller = operator): Promise<void> => {
    await assert.rejects(area.post('/api/changes/apply', body, caller), { code })
    assert.deepEqual([area.audit.at(-1)?.outcome, area.audit.at(-1)?.action], ['refused', 'change.apply'])
  }
  await refused({ ...apply1, confirm: 'Billing' }, 'ERR_CONSOLE_CONFIRM')
  await refused({ ...apply1, confirm: '' }, 'ERR_CONSOLE_CONFIRM')
  await refused(apply1, 'ERR_CONSOLE_PLAN', { ...operator, sessionId: 'session-2' })
  await refused(apply1, 'ERR_CONSOLE_FORBIDDEN', { ...operator, role: 'viewer' })
  await refused(apply1, 'ERR_CONSOLE_FORBIDDEN', { ...operator, rights: { groups: ['shipping-*'] } })
  await assert.rejects(area.post('/api/changes/plan', request, { ...operator, rights: { groups: ['shipping-*'] } }), {
    code: 'ERR_CONSOLE_FORBIDDEN'
  })
  await clock.advance(600_000)
  await refused(apply1, 'ERR_CONSOLE_PLAN')
  assert.deepEqual(await stateOf(area), before)
  const fresh = await plan(area, request)
  assert.equal((await apply(area, fresh)).state, 'done')
  await refused({ id: fresh.id, confirm: fresh.confirmWord }, 'ERR_CONSOLE_PLAN')
})

test('bodies that make no sense are refused with the place of what is wrong', async t => {
  const area = await worldOf(t)
  const cases: [unknown, RegExp][] = [
    [null, /the request/],
    [{ kind: 'rm -rf' }, /kind/],
    [{ kind: 'topics.delete', topic: '../etc' }, /topic: is no name of a topic/],
    [{ kind: 'topics.delete', topic: '..' }, /topic: is no name of a topic/],
    [{ kind: 'topics.delete', topic: 'orders', more: 1 }, /more/],
    [
      { kind: 'offsets.reset', group: 'g', topics: ['a'], to: { to: 'offset', offset: '-1' } },
      /to.offset: is no offset/
    ],
    [{ kind: 'offsets.reset', group: 'g', topics: ['a'], to: { to: 'offset', offset: 12 } }, /to.offset/],
    [{ kind: 'offsets.skip', group: 'g', topic: 'a', partition: 0, offset: '1', count: 1e9 }, /count/],
    [{ kind: 'redrive', topic: 'dead', filter: { letters: [] }, ratePerSecond: null }, /filter.letters/],
    [{ kind: 'topics.alter', topic: 'orders', settings: {} }, /settings: names no setting/],
    [JSON.parse('{"kind":"topics.alter","topic":"orders","settings":{"__proto__":{"a":1}}}'), /settings/]
  ]
  for (const [body, message] of cases) {
    await assert.rejects(area.post('/api/changes/plan', body), { code: 'ERR_CONSOLE_REQUEST', message })
  }
  await assert.rejects(area.post('/api/changes/undo', { undoId: '../../etc/passwd' }), { code: 'ERR_CONSOLE_REQUEST' })
  await assert.rejects(area.post('/api/changes/undo', { undoId: '2026' }), { code: 'ERR_OPS_NOT_FOUND' })
  await assert.rejects(area.post('/api/changes/stop', { id: 'none' }), { code: 'ERR_CONSOLE_NOT_FOUND' })
  await assert.rejects(area.get('/api/changes?limit=1e3'), { code: 'ERR_CONSOLE_REQUEST' })
  assert.ok(area.audit.every(({ outcome }) => outcome === 'refused'))
})

test('what has become another change since its plan is refused, what is in the way, too', async t => {
  const area = await worldOf(t)
  const planned = await plan(area, { kind: 'topics.alter', topic: 'orders', settings: { 'retention.ms': '5000' } })
  const resource = { type: 'topic', name: 'orders' } as const
  await area.admin.alterConfigs([{ resource, changes: [{ name: 'retention.ms', operation: 'set', value: '7000' }] }])
  const confirm = { id: planned.id, confirm: 'orders' }
  await assert.rejects(area.post('/api/changes/apply', confirm), { code: 'ERR_CONSOLE_STALE' })
  await assert.rejects(area.post('/api/changes/apply', confirm), { code: 'ERR_CONSOLE_PLAN' })
  const blocked = await plan(area, { kind: 'topics.create', topic: 'orders', partitions: 1, settings: {} })
  assert.match(blocked.blockers[0] ?? '', /orders/)
  await assert.rejects(area.post('/api/changes/apply', { id: blocked.id, confirm: 'orders' }), {
    code: 'ERR_CONSOLE_BLOCKED'
  })
  // An undo of what somebody else has changed since: only if it is said.
  const moved = await plan(area, { kind: 'topics.alter', topic: 'orders', settings: { 'retention.ms': '8000' } })
  const { undoId } = await apply(area, moved)
  await area.admin.alterConfigs([{ resource, changes: [{ name: 'retention.ms', operation: 'set', value: '9000' }] }])
  const back = await area.post<PlannedChange>('/api/changes/undo', { undoId })
  assert.equal(back.conflicts.length, 1)
  await assert.rejects(area.post('/api/changes/apply', { id: back.id, confirm: 'orders' }), {
    code: 'ERR_CONSOLE_BLOCKED'
  })
  await area.post('/api/changes/apply', { id: back.id, confirm: 'orders', force: true })
  while ((await area.get<ChangeProgress>(`/api/change?id=${back.id}`)).state === 'running') {
    await new Promise(resolve => setImmediate(resolve))
  }
  assert.match(JSON.stringify(await stateOf(area)), /"retention":"7000"/)
})

function dispatcherLook(name: string, paused: readonly string[]): InstanceLook {
  return {
    instance: { name, role: 'dispatcher', url: 'http://127.0.0.1:1' },
    takenAtMs: 1,
    problem: null,
    isReady: true,
    description: { groupId: 'billing', routes: [{ name: 'main', pausedPartitions: paused }], partitions: [] },
    metrics: []
  }
}

test('a partition is paused at every dispatcher of its group, and the undo lets go on who did before', async t => {
  const looks = [dispatcherLook('d1', []), dispatcherLook('d2', ['orders-1'])]
  const told: string[] = []
  const onControl = (...said: string[]): void => void told.push(said.join(' '))
  const area = await worldOf(t, { looks, onControl })
  const place = { group: 'billing', topic: 'orders', partition: 1 }
  const paused = await apply(area, await plan(area, { kind: 'partition.pause', ...place }))
  assert.deepEqual(told, ['d1 pause orders-1'])
  // What was last seen of it is from before the order, which counts more.
  const back = await area.post<PlannedChange>('/api/changes/undo', { undoId: paused.undoId })
  assert.equal((await apply(area, back)).state, 'done')
  assert.deepEqual(told, ['d1 pause orders-1', 'd1 resume orders-1'])
  const unknown = await plan(area, { kind: 'partition.pause', ...place, group: 'shipping' })
  assert.match(unknown.blockers[0] ?? '', /no dispatcher of group shipping/)
})

test('the command line takes back what the console did, and the console what the command line did', async t => {
  const area = await worldOf(t)
  const before = await stateOf(area)
  const { cluster, admin, context } = area
  const open = { cluster, admin, pipeline: undefined, clock: cluster.clock }
  const scope = [{ topic: 'orders', partitions: undefined }]
  const change = await planReset(open, { groupIds: ['billing'], scope, to: { kind: 'earliest' } })
  const { record } = await applyChange(change, { store: context.undo, clusterId: cluster.clusterId })
  const back = await area.post<PlannedChange>('/api/changes/undo', { undoId: record.id })
  assert.equal((await apply(area, back)).state, 'done')
  assert.deepEqual(await stateOf(area), before)
  await assert.rejects(area.post('/api/changes/undo', { undoId: record.id }), {
    code: 'ERR_CONSOLE_BLOCKED',
    message: /taken back already/
  })

  const ours = await plan(area, { kind: 'offsets.reset', group: 'billing', topics: [], to: { to: 'latest' } })
  const { undoId } = await apply(area, ours)
  const saved = await context.undo.read(undoId ?? '')
  await applyChange(await planTakeBack(saved, open), { store: context.undo, clusterId: null, undoes: saved })
  assert.deepEqual(await stateOf(area), before)
})

test('of one group one change runs at a time, and a running one is stopped between its steps', async t => {
  const area = await worldOf(t)
  const { promise: hold, resolve: release } = Promise.withResolvers<void>()
  // Holds the first commit back until a second person has tried.
  const { admin } = area
  const real = admin.alterGroupOffsets.bind(admin)
  Object.assign(admin, {
    alterGroupOffsets: async (...given: Parameters<typeof real>) => await hold.then(() => real(...given))
  })
  const request = { kind: 'offsets.reset', group: 'billing', topics: ['orders'], to: { to: 'earliest' } } as const
  const [first, second] = [await plan(area, request), await plan(area, request)]
  const ben = { ...operator, user: 'ben', sessionId: 'session-2' }
  const third = await area.post<PlannedChange>('/api/changes/plan', request, ben)
  const running = await area.post<ChangeProgress>('/api/changes/apply', { id: first.id, confirm: 'billing' })
  assert.equal(running.state, 'running')
  for (const [{ id }, caller] of [
    [second, operator],
    [third, ben]
  ] as const) {
    await assert.rejects(area.post('/api/changes/apply', { id, confirm: 'billing' }, caller), {
      code: 'ERR_CONSOLE_BUSY',
      message: /^ana is changing group billing/
    })
  }
  await area.post('/api/changes/stop', { id: first.id }, ben)
  release()
  let now = running
  while (now.state === 'running') {
    await new Promise(resolve => setImmediate(resolve))
    now = await area.get<ChangeProgress>(`/api/change?id=${first.id}`)
  }
  assert.deepEqual(area.audit.map(({ action, user }) => `${action} ${user}`).slice(-2), [
    'change.stop ben',
    'change.end ana'
  ])
})
