import assert from 'node:assert/strict'
import { test } from 'node:test'

import { PipelineError } from '../../../src/core/index.ts'
import { readExperiments } from '../../../src/ops/report/read-experiments.ts'

test('what chaos has printed is read; what was skipped says nothing', () => {
  const run = {
    experiment: 'kill-dispatcher',
    summary: 's',
    hypothesis: 'h',
    verdict: 'holds',
    rebalances: 2,
    recoveredMs: 900,
    duplicates: 12,
    longestPause: { partition: 'a-0', ms: 700 },
    audit: { holds: true, lost: { count: 0, examples: [] } }
  }
  const skipped = { ...run, experiment: 'broker-kill', verdict: 'skipped', audit: undefined, longestPause: undefined }
  const refuted = { ...skipped, experiment: 'stop', verdict: 'refuted', recoveredMs: undefined }
  assert.deepEqual(readExperiments(JSON.stringify({ version: '1', reports: [run, skipped, refuted] }), 'chaos.json'), [
    {
      name: 'kill-dispatcher',
      hypothesis: 'h',
      holds: true,
      longestPauseMs: 700,
      recoveredMs: 900,
      duplicates: 12,
      lost: 0,
      rebalances: 2
    },
    {
      name: 'stop',
      hypothesis: 'h',
      holds: false,
      longestPauseMs: undefined,
      recoveredMs: undefined,
      duplicates: 12,
      lost: undefined,
      rebalances: 2
    }
  ])
})

test('something else is refused with the command that writes it', () => {
  for (const text of ['', 'null', '{}', '{"reports":[{}]}', '{"reports":[{"experiment":1}]}']) {
    assert.throws(
      () => readExperiments(text, 'chaos.json'),
      (error: unknown) =>
        PipelineError.is(error, 'ERR_OPS_REPORT_INPUT') &&
        error.message.startsWith('chaos.json') &&
        error.message.includes('comporta chaos run all --json'),
      text
    )
  }
})
