/**
 * Whole dispatchers over a model of a cluster, through thousands of ways to fail.
 *
 * `SEEDS=n` runs that many, `TEST_SEED=s` one of them again, and then `SIM_TRACE=1` prints all that happened in it.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { systemClock } from '../../src/core/index.ts'
import type { LedgerCounts } from './ledger.ts'
import { runSeed } from './run.ts'
import type { World } from './world.ts'

const given = process.env['TEST_SEED']
const seedCount = given === undefined ? Number(process.env['SEEDS'] ?? 40) : 1
const firstSeed = Number(given ?? systemClock.now() % 1_000_000_000)
const isTraced = process.env['SIM_TRACE'] !== undefined

function describe(world: World, seed: number): string {
  const { order, protocol, config } = world
  const { concurrency, batch } = config
  const lines = isTraced ? world.ledger.trace : world.ledger.trace.slice(-5)
  const head = `TEST_SEED=${seed} (order ${order}, ${protocol}, ${concurrency} batches of ${batch.recordsMax}):`
  return [head, ...world.ledger.problems, ...lines].join('\n')
}

/** Runs seeds and asserts that nothing was wrong with any. */
async function runSeeds(t: { diagnostic(text: string): void }, count: number, isCalm: boolean): Promise<LedgerCounts> {
  const sums: LedgerCounts = { deliveries: 0, duplicates: 0, deadLetters: 0, commits: 0 }
  for (let seed = firstSeed; seed < firstSeed + count; seed += 1) {
    const world = await runSeed({ seed, isCalm })
    if (isTraced) t.diagnostic(describe(world, seed))
    assert.deepEqual(world.ledger.problems, [], describe(world, seed))
    sums.deliveries += world.ledger.counts.deliveries
    sums.duplicates += world.ledger.counts.duplicates
    sums.deadLetters += world.ledger.counts.deadLetters
    sums.commits += world.ledger.counts.commits
  }
  t.diagnostic(`${count} seeds: ${JSON.stringify(sums)}`)
  return sums
}

test(`whatever fails, no record is lost, out of order or needlessly repeated (TEST_SEED=${firstSeed})`, async t => {
  const sums = await runSeeds(t, seedCount, false)
  if (given === undefined) assert.ok(sums.duplicates > 0 && sums.deadLetters > 0, 'the seeds do harm')
})

test(`what an operator does on purpose repeats nothing at all (TEST_SEED=${firstSeed})`, async t => {
  const { duplicates } = await runSeeds(t, Math.ceil(seedCount / 3), true)
  assert.equal(duplicates, 0)
})

test(`the same seed goes the same way (TEST_SEED=${firstSeed})`, async () => {
  const first = await runSeed({ seed: firstSeed })
  const second = await runSeed({ seed: firstSeed })
  assert.deepEqual(second.ledger.trace, first.ledger.trace)
})
