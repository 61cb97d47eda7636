/**
 * Whole dispatchers over a model of a cluster, through thousands of ways to fail.
 *
 * `SEEDS=n` runs that many, `TEST_SEED=s` one of them again, `SIM_TRACE=1` prints all that happened in it.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { systemClock } from '../../src/core/index.ts'
import { harm } from './chaos.ts'
import { World, type WorldOptions } from './world.ts'

const given = process.env['TEST_SEED']
const seedCount = given === undefined ? Number(process.env['SEEDS'] ?? 60) : 1
const firstSeed = Number(given ?? systemClock.now() % 1_000_000_000)
const isTraced = process.env['SIM_TRACE'] !== undefined

/** One run from beginning to end. */
async function run(options: WorldOptions): Promise<World> {
  const world = new World(options)
  await harm(world)
  await world.heal()
  await world.finish()
  return world
}

function describe(world: World, seed: number): string {
  const { order, protocol } = { order: 'partition', protocol: world.protocol }
  const lines = world.ledger.trace.slice(isTraced ? 0 : -1)
  return [`TEST_SEED=${seed} (${order}, ${protocol}):`, ...world.ledger.problems, ...lines].join('\n')
}

test(`no seed loses, reorders or needlessly repeats a record (from TEST_SEED=${firstSeed})`, async t => {
  const sums = { deliveries: 0, duplicates: 0, deadLetters: 0, commits: 0 }
  for (let seed = firstSeed; seed < firstSeed + seedCount; seed += 1) {
    const world = await run({ seed })
    assert.deepEqual(world.ledger.problems, [], describe(world, seed))
    for (const name of ['deliveries', 'duplicates', 'deadLetters', 'commits'] as const) {
      sums[name] += world.ledger.counts[name]
    }
  }
  t.diagnostic(`${seedCount} seeds: ${JSON.stringify(sums)}`)
})
