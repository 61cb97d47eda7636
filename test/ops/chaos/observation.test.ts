/** What is worked out of looks: lag, loss, pauses, curves, and the report. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CHAOS_EXPERIMENTS, experimentsNamed } from '../../../src/ops/chaos/catalogue.ts'
import { skippedReport } from '../../../src/ops/chaos/judge.ts'
import { chaosMarkdown, sparkline } from '../../../src/ops/chaos/markdown.ts'
import { type ChaosSample, lagOf, longestPause, lostUnread, steadyOf } from '../../../src/ops/chaos/observation.ts'
import { abortReason, unsteadyReason } from '../../../src/ops/chaos/steady.ts'
import { EXPERIMENT } from './made-up-world.ts'

/** A look at one partition: [committed, end, log start]. */
function look(
  atMs: number,
  offsets?: readonly [number, number, number?],
  rest: Partial<ChaosSample> = {}
): ChaosSample {
  const [committed = 0, end = 0, logStart = 0] = offsets ?? []
  return {
    atMs,
    produced: end,
    delivered: committed,
    offsets: offsets === undefined ? undefined : new Map([['t-0', { committed, end, logStart }]]),
    assigned: 1,
    partitionCount: 1,
    rebalances: 0,
    strayDeadLetters: 0,
    ended: [],
    ...rest
  }
}

test('lag is what is not committed; Kafka’s silence is not a lag of nothing', () => {
  assert.equal(lagOf(look(0, [40, 100])), 60)
  assert.equal(lagOf(look(0)), undefined)
})

test('records below the log start that were not read are lost, unless the group has never committed', () => {
  assert.equal(lostUnread(look(0, [40, 100, 55])), 15)
  assert.equal(lostUnread(look(0, [0, 100, 55])), 0)
})

test('a pause is the time with records and without a commit; Kafka’s silence is part of it', () => {
  const looks = [look(0, [10, 10]), look(100, [10, 20]), look(200), look(300), look(400, [10, 30]), look(500, [30, 30])]

  // From the first look at which something waited to the first at which it had moved.
  assert.deepEqual(longestPause(looks), { partition: 't-0', ms: 400 })
})

test('a partition without records does not pause', () => {
  assert.equal(longestPause([look(0, [10, 10]), look(60_000, [10, 10])]), undefined)
})

test('steady is: enough deliveries, little lag, every partition with a dispatcher, and Kafka answers', () => {
  const from = look(0, [0, 10])

  assert.equal(unsteadyReason([from, look(1000, [100, 110])], 100), undefined)
  assert.equal(unsteadyReason([from, look(1000, [79, 110])], 100), '79 deliveries/s, which is below 80')
  assert.equal(unsteadyReason([from, look(1000, [100, 301])], 100), 'lag 201, which is above 200')
  assert.equal(unsteadyReason([from, look(500), look(1000, [100, 110])], 100), 'Kafka does not answer')
  const halfAssigned = { assigned: 1, partitionCount: 2 }
  assert.match(unsteadyReason([from, look(1000, [100, 110], halfAssigned)], 100) ?? '', /1 of 2 partitions/)
  assert.equal(steadyOf([from]), undefined)
})

test('lag as large as the bound is borne, one record more is not', () => {
  const conditions = { lagSecondsMax: 10, strayDeadLettersMax: 0 }

  assert.equal(abortReason(look(0, [0, 1000]), conditions, 100), undefined)
  assert.match(abortReason(look(0, [0, 1001]), conditions, 100) ?? '', /lag 1001/)
})

test('a curve as text keeps its peak and shows where Kafka was silent', () => {
  const curve = Array.from({ length: 80 }, (_, index) => ({
    atMs: index * 100,
    lag: index === 40 ? 80 : 10,
    delivered: 0
  }))
  const [line = '', scale = ''] = sparkline([
    ...curve.slice(0, 60),
    { atMs: 6000, lag: null, delivered: 0 },
    ...curve.slice(61)
  ])

  assert.equal(line.length, 80)
  assert.equal(line.split('█').length - 1, 1)
  assert.equal(line.split('×').length - 1, 1)
  assert.match(scale, /7\.9 s {2}\(largest: 80 records\)/)
})

test('what cannot be done here is skipped, says why, and is not counted as held', () => {
  const report = skippedReport(EXPERIMENT, 'the broker is not ours')
  const context = { cluster: 'k:9092', startedAtMs: 0, version: '1.2.3' }
  const text = chaosMarkdown([report], context)

  assert.equal(report.verdict, 'skipped')
  assert.match(text, /0 of 0 experiments hold, 1 skipped\. Cluster: k:9092\. Started 1970-01-01T00:00:00\.000Z/)
  assert.match(text, /\* the broker is not ours/)
})

test('names become experiments; one that is unknown is ERR_OPS_NOT_FOUND and says which there are', () => {
  assert.deepEqual(
    experimentsNamed(['stop', 'kill-all']).map(each => each.name),
    ['stop', 'kill-all']
  )
  assert.equal(experimentsNamed(['all']).length, CHAOS_EXPERIMENTS.length)
  assert.throws(() => experimentsNamed(['tornado']), { code: 'ERR_OPS_NOT_FOUND', message: /tornado.*kill-dispatcher/ })
})

test('every experiment has a name of its own and takes back what it does', () => {
  const names = CHAOS_EXPERIMENTS.map(each => each.name)
  assert.equal(new Set(names).size, names.length)
  for (const { name, harm, needs } of CHAOS_EXPERIMENTS) {
    const count = (what: string): number => harm.filter(action => action.do === what).length
    assert.equal(count('freeze'), count('thaw'), `${name}: what is frozen is thawed`)
    const network = harm.filter(action => action.do === 'network')
    if (network.length > 0) assert.equal(network.at(-1)?.treatment, 'pass', `${name}: the network is whole again`)
    assert.equal(network.length > 0, needs.isProxied === true, `${name}: a proxy where the network is harmed`)
    for (const action of harm) {
      if (action.do !== 'kill' || action.part === 'dispatcher') continue
      const isBack = harm.some(each => each.do === 'start' && each.part === action.part)
      assert.ok(isBack, `${name}: ${action.part} comes back`)
    }
  }
})
