/**
 * Every interleaving of small cases: answers of the target, of the coordinator, a hand-over, a loss, a crash, a
 * deadline, each at each possible moment. `INTERLEAVINGS=n` walks all paths of each case, up to n; without it some are
 * drawn by `TEST_SEED`.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SeededRandom, systemClock } from '../../src/core/index.ts'
import { type Choices, explore, sample } from './explore.ts'
import { SmallWorld, type SmallWorldOptions } from './small-world.ts'

const pathsMax = Number(process.env['INTERLEAVINGS'] ?? 0)
const sampleCount = 60
const seed = Number(process.env['TEST_SEED'] ?? systemClock.now() % 1_000_000)

async function goThrough(options: SmallWorldOptions, choices: Choices): Promise<void> {
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
}

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
  test(`whatever comes first, nothing is lost or needlessly repeated: ${title} (TEST_SEED=${seed})`, async t => {
    const run = (choices: Choices): Promise<void> => goThrough(options, choices)
    if (pathsMax === 0) {
      await sample(run, sampleCount, new SeededRandom(seed))
      return
    }
    const { paths, isComplete } = await explore(run, pathsMax)
    t.diagnostic(`${paths} interleavings${isComplete ? ', all there are' : ''}`)
  })
}
