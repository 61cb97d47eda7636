/** What every test of harm asks, and where the long ones are switched on. */

import assert from 'node:assert/strict'

import type { Verdict } from '../support/pipeline-under-test.ts'

/** Batches at the target and records of one, as the scenario's pipeline file has them. */
const concurrency = 2
const batchRecordsMax = 500
/** An event with code 300 goes to both services. */
const servicesMax = 2

/** Why a long test is skipped; `false` with `CHAOS=long`. */
export const skipLong: string | false =
  process.env['CHAOS'] === 'long' ? false : 'takes long: npm run test:chaos runs it'

/** Nothing lost, nothing out of order, no dead letter but the bad events. */
export function assertKept(verdict: Verdict): void {
  const { lost, outOfOrder, unexpected, wrongDeadLetters } = verdict
  const none = { count: 0, examples: [] }
  assert.deepEqual(
    { lost, outOfOrder, unexpected, wrongDeadLetters },
    { lost: none, outOfOrder: none, unexpected: none, wrongDeadLetters: none }
  )
  assert.equal(verdict.holds, true)
}

/** Most deliveries that can repeat when this many dispatchers lose what they had in flight. */
export function inFlightMax(dispatchers: number): number {
  return dispatchers * concurrency * batchRecordsMax * servicesMax
}
