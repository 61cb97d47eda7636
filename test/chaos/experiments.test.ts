/**
 * The experiments of `comporta chaos`, as the command runs them: one in every run of the tests, all of them with
 * `CHAOS=long`.
 */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { runChaos } from '../../src/cli/chaos/run.ts'
import { CHAOS_EXPERIMENTS } from '../../src/ops/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'
import { skipLong } from './support.ts'

/** A crash; test/conformance/ops-scale.test.ts rolls a fleet under load, with the same audit, on both brokers. */
const SHORT: ReadonlySet<string> = new Set(['broker-kill'])

for (const experiment of CHAOS_EXPERIMENTS) {
  const isSkipped = SHORT.has(experiment.name) ? false : skipLong
  test(`${experiment.name}: ${experiment.hypothesis}`, { skip: isSkipped }, async t => {
    const dir = mkdtempSync(join(tmpdir(), 'comporta-chaos-'))
    t.after(() => {
      if (process.env['CHAOS_KEEP'] === undefined) rmSync(dir, { recursive: true, force: true })
    })
    const [report] = await runChaos({
      experiments: [experiment],
      brokers: undefined,
      ratePerSecond: 500,
      steadyMs: skipLong === false ? 3000 : 500,
      recordsMin: 0,
      logLevel: process.env['CHAOS_LOG'] ?? 'info',
      logger: silentLogger,
      signal: t.signal,
      keepIn: dir
    })
    assert.ok(report !== undefined)
    const { reasons, timeline, lagCurve: _, ...numbers } = report
    t.diagnostic(JSON.stringify(numbers))
    assert.equal(report.verdict, 'holds', `${reasons.join('; ')}\n${JSON.stringify(timeline, null, 1)}`)
    assert.ok((report.audit?.produced ?? 0) > 500)
  })
}
