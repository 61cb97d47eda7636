import assert from 'node:assert/strict'
import { test } from 'node:test'

import { isoTimeMs } from '../../src/cli/operations/iso-time.ts'

test('a time is ISO 8601 with its zone, of a day that exists; what only looks like one is none', () => {
  assert.equal(isoTimeMs('2026-03-01T09:00:00Z'), 1_772_355_600_000)
  assert.equal(isoTimeMs('2026-03-01T11:00+02:00'), 1_772_355_600_000)
  assert.equal(isoTimeMs('2026-03-01T11:00:00.000+0200'), 1_772_355_600_000)
  assert.equal(isoTimeMs('2024-02-29T00:00:00Z'), 1_709_164_800_000)
  // `Date.parse` takes the first three for times, the first for the 2nd of March, the second for a day of 2001.
  for (const text of [
    '2026-02-30T00:00:00Z',
    '5-01:00',
    '3 March 2026Z',
    '2026-13-01T00:00:00Z',
    '2026-03-01T09:00:00'
  ]) {
    assert.equal(isoTimeMs(text), undefined, text)
  }
})
