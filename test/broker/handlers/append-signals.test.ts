/** What wakes a fetch that waits. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppendSignals } from '../../../src/broker/handlers/append-signals.ts'
import { VirtualClock } from '../../../src/core/index.ts'

test('the end of a transaction wakes a reader that began to wait after its records were written', async () => {
  // Symptom: a reader of committed records that asks for many bytes waited for its whole time beside a large
  // transaction that had been committed. Cause: only the bytes of the marker were counted.
  const clock = new VirtualClock()
  const signals = new AppendSignals(clock)
  const partition = { lastStableOffset: 0n, highWatermark: 1000n }
  const { signal } = new AbortController()
  const wait = { isReadCommitted: true, wantedBytes: 50_000, waitMs: 60_000, signal }
  const waiting = signals.wait({ partitions: [partition], ...wait })

  partition.highWatermark = 1001n
  partition.lastStableOffset = 1001n
  signals.markerAppended(partition)
  await clock.advance(60_000)

  assert.equal(await waiting, true)
})
