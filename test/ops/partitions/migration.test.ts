/** The states of a migration, look by look. */

import assert from 'node:assert/strict'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { SeededRandom } from '../../../src/core/index.ts'
import {
  decideMigration,
  isOrderProven,
  MIGRATION_STEPS,
  type MigrationDecision,
  type MigrationGroup,
  type MigrationHold,
  type MigrationLook,
  type MigrationState,
  newMigration
} from '../../../src/ops/partitions/migration.ts'
import { MigrationFile } from '../../../src/ops/partitions/migration-file.ts'
import { nextTopicName } from '../../../src/ops/partitions/migrate.ts'

const rule = { quietMs: 1000, pauseMaxMs: 5000, areProducersSwitched: false }

function begin(hold: MigrationHold, more: Partial<MigrationState> = {}): MigrationState {
  const plan = { ...rule, topic: 'a', target: 'a-v2', partitions: 4, hold, groups: ['g'] }
  return { ...newMigration(plan, [0n, 0n], 0), ...more }
}

interface Seen {
  readonly ends?: readonly bigint[]
  readonly target?: readonly bigint[]
  readonly group?: Partial<MigrationGroup>
}

function look(atMs: number, { ends = [100n, 100n], target, group = {} }: Seen = {}): MigrationLook {
  const topic = (all: readonly bigint[]): MigrationLook['source'] => ({
    starts: all.map(() => 0n),
    ends: all,
    areAllLed: true
  })
  const base = { groupId: 'g', state: 'Stable', memberCount: 2, wantsTarget: 'all', committed: [100n, 100n] } as const
  return {
    atMs,
    source: topic(ends),
    target: target === undefined ? undefined : topic(target),
    groups: [{ ...base, targetOwned: 4, retrying: 0n, hasReadTarget: false, ...group }]
  }
}

/** Feeds looks and gives what was decided on each. */
function feed(state: MigrationState, looks: readonly MigrationLook[]): MigrationDecision[] {
  const decisions: MigrationDecision[] = []
  for (const each of looks) {
    const decision = decideMigration(decisions.at(-1)?.state ?? state, each)
    decisions.push(decision)
  }
  return decisions
}

function path(decisions: readonly MigrationDecision[]): string[] {
  return decisions.map(({ state, action }) => `${state.phase} ${action}`)
}

const empty = [0n, 0n, 0n, 0n]

test('hold: producers: the new topic is created when all groups have read up to the fence, not before', () => {
  const decisions = feed(begin('producers'), [
    look(1000, { ends: [50n, 50n] }),
    look(2000),
    look(2999),
    look(3000, { group: { committed: [90n, undefined] } }),
    look(3500, { group: { committed: [90n, 100n] } }),
    look(4000),
    look(4001),
    look(4100, { target: empty }),
    look(4600, { target: [1n, 0n, 0n, 0n] }),
    look(5200, { target: [1n, 0n, 0n, 0n] })
  ])
  assert.deepEqual(path(decisions), [
    'switching wait',
    'switching wait',
    'switching wait',
    'draining wait',
    'draining wait',
    'creating wait',
    'creating create',
    'settling wait',
    'settling wait',
    'done done'
  ])
  const last = decisions.at(-1)
  assert.deepEqual(last?.state.fence, ['100', '100'])
  assert.equal(last?.state.pauseMs, 2100)
  assert.ok(last !== undefined && isOrderProven(last.state))
})

test(
  'hold: consumers: the new topic is created at the fence, and groups read it when they have drained the old ' + 'one',
  () => {
    const waiting = { wantsTarget: 'none', targetOwned: 0 } as const
    const decisions = feed(begin('consumers'), [
      look(1000, { group: waiting }),
      look(2000, { group: waiting }),
      look(2001, { group: waiting }),
      look(2100, { target: empty, group: waiting }),
      look(2200, { target: [9n, 9n, 9n, 9n], group: { ...waiting, committed: [7n, 7n] } }),
      look(9900, { target: [9n, 9n, 9n, 9n], group: waiting }),
      look(9950, { target: [9n, 9n, 9n, 9n], group: waiting }),
      look(9960, { target: [9n, 9n, 9n, 9n] }),
      look(9970, { target: [9n, 9n, 9n, 9n] })
    ])
    assert.deepEqual(path(decisions), [
      'switching wait',
      'creating wait',
      'creating create',
      'draining wait',
      'draining wait',
      'opening wait',
      'opening wait',
      'settling wait',
      'done done'
    ])
    assert.equal(decisions.at(-1)?.state.pauseMs, 1100)
  }
)

test('a group that does not read the new topic yet keeps the fence away; with hold: consumers one that does', () => {
  const early = feed(begin('producers'), [look(1000), look(9000, { group: { wantsTarget: 'some' } })])
  assert.equal(early[1]?.state.phase, 'switching')
  assert.match(early[1]?.say ?? '', /not every member of group g reads a-v2/)
  const late = feed(begin('consumers'), [look(1000), look(9000)])
  assert.match(late[1]?.say ?? '', /group g reads a-v2 already/)
})

test('silence of a topic that was never loud proves nothing, unless a person says so', () => {
  const few = [look(1000, { ends: [1n, 0n] }), look(9000, { ends: [1n, 0n] })]
  assert.match(feed(begin('producers'), few)[1]?.say ?? '', /--producers-switched/)
  const said = feed(begin('producers', { areProducersSwitched: true }), few)
  assert.equal(said[1]?.state.phase, 'draining')
})

test('a producer that comes back before the new topic exists moves the fence', () => {
  for (const phase of ['draining', 'creating'] as const) {
    const state = begin('producers', { phase, ends: ['100', '100'], fence: ['100', '100'], arrived: '200' })
    const [decision] = feed(state, [look(5000, { ends: [101n, 100n] })])
    assert.equal(decision?.state.phase, 'switching')
    assert.equal(decision?.state.fence, undefined)
    assert.equal(decision?.action, 'wait')
  }
})

test('hold: consumers: what comes to the old topic while the new one is empty only moves the fence', () => {
  const state = begin('consumers', { phase: 'draining', ends: ['100', '100'], fence: ['100', '100'], createdAtMs: 1 })
  const group = { wantsTarget: 'none', committed: [100n, 100n] } as const
  const [moved] = feed(state, [look(5000, { ends: [101n, 100n], target: empty, group })])
  assert.deepEqual(moved?.state.fence, ['101', '100'])
  assert.equal(moved?.state.stragglers, '0')
  assert.match(moved?.say ?? '', /group g 1 records/)
  const [late] = feed(state, [look(5000, { ends: [101n, 100n], target: [5n, 0n, 0n, 0n], group })])
  assert.equal(late?.state.stragglers, '1')
})

test('hold: consumers: a group that reads the new topic before the drain stops the migration', () => {
  const state = begin('consumers', { phase: 'draining', ends: ['100', '100'], fence: ['100', '100'], createdAtMs: 1 })
  const [decision] = feed(state, [look(5000, { target: empty, group: { hasReadTarget: true } })])
  assert.equal(decision?.action, 'stop')
})

test('stragglers behind the new topic are counted, drained, and the order is not called proven', () => {
  const state = begin('producers', { phase: 'settling', ends: ['100', '100'], fence: ['100', '100'], createdAtMs: 1 })
  const target = [5n, 0n, 0n, 0n]
  const decisions = feed(state, [
    look(5000, { ends: [103n, 100n], target }),
    look(5500, { ends: [103n, 100n], target, group: { committed: [103n, 100n] } }),
    look(6000, { ends: [103n, 100n], target, group: { committed: [103n, 100n] } })
  ])
  assert.deepEqual(path(decisions), ['settling wait', 'settling wait', 'done done'])
  assert.equal(decisions[2]?.state.stragglers, '3')
  assert.equal(isOrderProven(decisions[2]?.state ?? state), false)
  assert.match(decisions[2]?.say ?? '', /3 records came to a behind the fence/)
})

test('what waits in retry topics is not drained', () => {
  const state = begin('producers', { phase: 'draining', ends: ['100', '100'], fence: ['100', '100'] })
  const [waits, goes] = feed(state, [look(1000, { group: { retrying: 2n } }), look(1100)])
  assert.equal(waits?.say, 'to drain up to the fence: group g 2 records in retry topics')
  assert.equal(goes?.state.phase, 'creating')
})

test('producers that wait for too long stop it with the way back', () => {
  const state = begin('producers', {
    phase: 'draining',
    ends: ['100', '100'],
    fence: ['100', '100'],
    quietSinceMs: 1000
  })
  const behind = { committed: [50n, 100n] } as const
  const [waits, stops] = feed(state, [look(5999, { group: behind }), look(6001, { group: behind })])
  assert.equal(waits?.action, 'wait')
  assert.equal(stops?.action, 'stop')
  assert.match(stops?.say ?? '', /Switch them back to a/)
})

test('groups that are not ready do not keep switched producers waiting without an end', () => {
  const notReady = { group: { wantsTarget: 'none' } } as const
  const looks = [look(1000), look(5000, notReady), look(6000, notReady), look(6001, notReady)]
  const decisions = feed(begin('producers'), looks)
  assert.deepEqual(path(decisions).slice(1), ['switching wait', 'switching wait', 'switching stop'])
  assert.match(
    decisions.at(-1)?.say ?? '',
    /wait for 5\.0 s, .*--pause-max.*no member of group g.*Switch them back to a/
  )
  // Where little came, silence says nothing of producers.
  const few = feed(begin('producers'), [look(1000, { ends: [1n, 0n] }), look(60_000, { ends: [1n, 0n], ...notReady })])
  assert.equal(few.at(-1)?.action, 'wait')
})

test('a new topic that somebody else made, an old one that is gone or has grown: stop', () => {
  const say = (state: MigrationState, each: MigrationLook): string => {
    const decision = decideMigration(state, each)
    assert.equal(decision.action, 'stop')
    return decision.say
  }
  assert.match(say(begin('producers'), look(1, { target: [0n] })), /is there already/)
  const creating = begin('producers', { phase: 'creating', ends: ['100', '100'], fence: ['100', '100'] })
  assert.match(say(creating, look(1, { target: [0n] })), /there with 1 partitions, not 4/)
  assert.match(say(begin('producers'), { ...look(1), source: undefined }), /gone/)
  assert.match(say(begin('producers'), look(1, { ends: [1n, 1n, 1n] })), /other partitions/)
})

test(
  'whatever is seen: only steps of the table, the new topic created in “creating” alone, order only where it ' +
    'holds',
  () => {
    const seed = Number(process.env['TEST_SEED'] ?? 20_260_301)
    const random = new SeededRandom(seed)
    const below = (count: number): number => Math.floor(random.next() * count)
    for (let run = 0; run < 2000; run += 1) {
      let state = begin(below(2) === 0 ? 'producers' : 'consumers')
      let end = 0n
      let target: readonly bigint[] | undefined
      let committed = 0n
      let lateAppends = 0n
      for (let step = 1; step < 60; step += 1) {
        if (below(step < 15 ? 2 : 30) === 0) {
          const more = BigInt(1 + below(60))
          end += more
          if (target !== undefined) lateAppends += more
        }
        if (below(3) === 0) committed = end
        if (target !== undefined && below(3) === 0) target = target.map(each => each + 1n)
        const wantsTarget = (['all', 'none', 'some', 'unknown'] as const)[below(4)] ?? 'all'
        const group = { committed: [committed, 0n], wantsTarget, targetOwned: below(2) * 4, hasReadTarget: false }
        const seen = look(step * 400, { ends: [end, 0n], group, ...(target === undefined ? {} : { target }) })
        const decision = decideMigration(state, seen)
        const isStep =
          decision.state.phase === state.phase || MIGRATION_STEPS[state.phase].includes(decision.state.phase)
        assert.ok(isStep, `seed ${seed}: ${state.phase} to ${decision.state.phase}`)
        if (decision.action === 'create') {
          assert.equal(state.phase, 'creating')
          assert.equal(target, undefined)
          if (state.hold === 'producers') assert.equal(committed, end, `seed ${seed}: created before the drain`)
          target = empty
        }
        state = decision.state
      }
      if (isOrderProven(state) && state.hold === 'producers') assert.equal(lateAppends, 0n, `seed ${seed}`)
    }
  }
)

test('a state is written whole, read again, and refused where it is none', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-migration-'))
  const file = new MigrationFile(join(folder, 'deep', 'a.json'))
  assert.equal(await file.read(), undefined)
  const state = begin('producers', { fence: ['12', '9007199254740993'] })
  await file.write(state)
  const { createdAtMs: _created, pauseMs: _pause, ...written } = state
  assert.partialDeepStrictEqual(await file.read(), written)
  for (const text of [
    '{',
    '[]',
    '{"format":"comporta-migration","phase":"odd","ends":[]}',
    '{"format":"comporta-migration","phase":"draining","ends":["x"]}'
  ]) {
    await writeFile(file.path, text)
    await assert.rejects(file.read(), { code: 'ERR_OPS_UNDO_DAMAGED' })
  }
  await file.remove()
  await file.remove()
  await writeFile(join(folder, 'blocked'), '')
  await assert.rejects(new MigrationFile(join(folder, 'blocked', 'a.json')).write(state), {
    code: 'ERR_OPS_UNDO_STORE'
  })
})

test('the next name of a topic', () => {
  assert.equal(nextTopicName('mt-c400'), 'mt-c400-v2')
  assert.equal(nextTopicName('mt-c400-v2'), 'mt-c400-v3')
  assert.equal(nextTopicName('a-v99'), 'a-v100')
})
