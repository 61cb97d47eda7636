/** The table of experiments in the guide is that of the source. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { CHAOS_EXPERIMENTS } from '../../../src/ops/chaos/catalogue.ts'

test('the guide lists every experiment as it is', () => {
  const guide = readFileSync(new URL('../../../docs/guides/chaos.md', import.meta.url), 'utf8')
  const rows = guide.split('\n').filter(line => line.startsWith('| `') && line.split(' | ').length === 6)
  const expected = CHAOS_EXPERIMENTS.map(({ name, summary, hypothesis, duplicatesMax, recoverWithinMs, needs }) => {
    const where = needs.isEmbeddedOnly === undefined ? 'any' : 'embedded'
    return `| \`${name}\` | ${summary} | ${hypothesis} | ${duplicatesMax} | ${recoverWithinMs / 1000} s | ${where} |`
  })

  assert.deepEqual(rows, expected)
})
