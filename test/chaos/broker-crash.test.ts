/**
 * The crash fuzzer: many clients work on a broker that is killed with SIGKILL at
 * instants that nobody planned, again and again on the same folder, and what
 * they were told must be true afterwards.
 *
 * `CRASH=long` (npm run test:crash) runs CRASH_ROUNDS rounds, 300 unless it says otherwise. TEST_SEED repeats a
 * workload; when the kill hits is up to the machine.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runCrashWorld } from './broker-crash-run.ts'

const isLong = process.env['CRASH'] === 'long'
const rounds = Number(process.env['CRASH_ROUNDS'] ?? (isLong ? 300 : 3))
/** A new folder after so many rounds: checks read everything that was ever written. */
const ROUNDS_PER_WORLD = 12
const firstSeed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000)

test(
  'nothing acknowledged is lost, doubled, reordered or undone by a killed broker',
  { timeout: 3_600_000 },
  async t => {
    t.diagnostic(`TEST_SEED=${firstSeed}`)
    let ackedRecords = 0
    let kills = 0
    for (let done = 0, seed = firstSeed; done < rounds; done += ROUNDS_PER_WORLD, seed += 1) {
      const plan = { seed, rounds: Math.min(ROUNDS_PER_WORLD, rounds - done), loadMsMax: isLong ? 700 : 200 }
      const report = await runCrashWorld(plan)
      ackedRecords += report.ackedRecords
      kills += report.kills
      if (isLong) console.log(`seed ${seed}: ${JSON.stringify({ ...report, history: undefined })}`)
    }
    t.diagnostic(`${rounds} rounds, ${kills} kills, ${ackedRecords} acknowledged records`)
    assert.ok(ackedRecords > 0)
  }
)
