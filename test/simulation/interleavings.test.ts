/**
 * Every interleaving of small cases: answers of the target, of the coordinator, a hand-over, a loss, a crash, a
 * deadline, each at each possible moment. `INTERLEAVINGS=n` walks up to n paths of each case.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { explore } from './explore.ts'
import { SmallWorld, type SmallWorldOptions } from './small-world.ts'

const pathsMax = Number(process.env['INTERLEAVINGS'] ?? 600)

const CASES: Readonly<Record<string, SmallWorldOptions>> = {
  'two batches of a partition, a commit that fails': {
    order: 'partition',
    keys: ['a', 'b'],
    recordsMax: 1,
    concurrency: 1,
    failuresMax: 0,
    commitFailuresMax: 1
  },
  'one batch that is taken in part or not at all': {
    order: 'partition',
    keys: ['a', 'b', 'c'],
    recordsMax: 3,
    concurrency: 1,
    failuresMax: 1,
    commitFailuresMax: 0
  },
  'records of two keys at once': {
    order: 'key',
    keys: ['a', 'b', 'a'],
    recordsMax: 1,
    concurrency: 2,
    failuresMax: 0,
    commitFailuresMax: 0
  },
  'records without order, one of which fails': {
    order: 'none',
    keys: ['a', 'b'],
    recordsMax: 1,
    concurrency: 2,
    failuresMax: 1,
    commitFailuresMax: 0
  }
}

for (const [title, options] of Object.entries(CASES)) {
  test(`whatever comes first, nothing is lost or needlessly repeated: ${title}`, async t => {
    const { paths, isComplete } = await explore(async choices => {
      const world = new SmallWorld(options)
      await world.start()
      for (let step = 0; step < 14; step += 1) {
        await world.settle()
        const actions = world.actions()
        const action = actions[choices.pick(Math.max(1, actions.length))]
        if (action === undefined) break
        await world.act(action)
      }
      await world.finish()
      assert.deepEqual(world.ledger.problems, [], `${world.steps.join(', ')}\n${world.ledger.trace.join('\n')}`)
    }, pathsMax)
    t.diagnostic(`${paths} interleavings${isComplete ? ', all there are' : ''}`)
  })
}
