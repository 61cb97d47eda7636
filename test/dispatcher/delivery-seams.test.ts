/**
 * Where the parts of a delivery meet: limits that change under way, rows that are put aside side by side, memory that
 * is given back, transforms that end badly.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { systemClock, turn } from '../../src/core/index.ts'
import type { BatchContext } from '../../src/dispatcher/lane-surroundings.ts'
import type { RecordTable } from '../../src/dispatcher/record-table.ts'
import type { DeadRow } from '../../src/dispatcher/settlement.ts'
import { WorkspacePool } from '../../src/dispatcher/workspace.ts'
import { World } from './lane-world.ts'

async function run(world: World, stepsMax = 500): Promise<void> {
  for (let count = 0; !world.isDone && count < stepsMax; count += 1) {
    for (const partition of world.lanes.keys()) world.feed(partition)
    await world.clock.advance(10)
  }
}

for (const order of ['partition', 'key'] as const) {
  // Symptom: records lost without a trace. The rest of a batch that was taken in part is encoded anew; what did not fit
  // into a limit that had been lowered meanwhile was left out of the payload, and counted as delivered with it.
  test(`a limit of bytes that is lowered while a batch is retried loses nothing (order ${order})`, async () => {
    const world = new World({ seed: 1, partitionCount: 1, recordCount: 10, recordsMax: 10, order })
    const limits = { bytesMax: 100_000, bodyBytesMax: 100_000 }
    const payload = { format: 'json', include: ['offsets', 'keys'], limits, origin: { bootstrapServers: '' } } as const
    Object.assign(world.around, { workspaces: new WorkspacePool(payload, 4) })
    let refusals = 0
    world.mood = ({ offsets }) => {
      limits.bytesMax = 120
      refusals += 1
      if (refusals > 1) return { kind: 'ok' }
      const failures = offsets
        .slice(2)
        .map(each => ({ offset: BigInt(each), action: 'retry' as const, reason: 'busy' }))
      return { kind: 'partial', failures }
    }
    world.assign(0)
    await run(world)
    assert.equal(world.isDone, true)
    world.assertSound()
    assert.equal(world.duplicateCount, 0)
  })
}

// Symptom: a dead letter with the contents of another record, or a process that ends by an unhandled rejection. What
// was put aside first still looked at its batch when that had been given back.
test('a batch is not given back while any of its rows are still being put aside', async () => {
  const world = new World({ seed: 1, partitionCount: 1, recordCount: 4, recordsMax: 4 })
  const seen: string[] = []
  let release: () => void = () => undefined
  const isSafe = new Promise<void>(resolve => (release = resolve))
  const aside = {
    put: async (batch: BatchContext, rows: readonly DeadRow[]): Promise<boolean> => {
      // The second ones wait for room, and the partition is given back; the first ones are on their way.
      if (rows[0]?.errorClass === 'TargetVerdict') return false
      await isSafe
      for (const { row } of rows) seen.push(batch.table.value(row)?.toString() ?? '')
      return true
    }
  }
  Object.assign(world.around, { aside })
  world.mood = () => ({ kind: 'partial', failures: [{ offset: 2n, action: 'deadLetter', reason: 'no' }] })
  world.assign(0)
  while (world.fed(0) < 4) world.feed(0, offset => (offset === 0 ? 'malformed' : undefined))
  const lane = world.lanes.get(0)
  await world.clock.advance(200)
  lane?.stop()
  await world.clock.advance(200)
  release()
  await world.clock.advance(200)
  assert.equal(lane?.state, 'ended')
  assert.deepEqual(seen, ['{"id":'])
})

for (const order of ['partition', 'key'] as const) {
  // Symptom: no heartbeat for as long as it took to go through all that was fetched, because no batch had to wait.
  test(`the event loop has its turns while a filter leaves nothing to be sent (order ${order})`, async () => {
    const world = new World({ seed: 1, partitionCount: 1, recordCount: 16_000, order })
    let turns = 0
    let atLast = 0
    const judge = (table: RecordTable, row: number): 'drop' => {
      const untilMs = systemClock.monotonicMs() + (table.offset(row) % 100n === 0n ? 1 : 0)
      while (systemClock.monotonicMs() < untilMs);
      if (table.offset(row) === 15_999n) atLast = turns
      return 'drop'
    }
    Object.assign(world.around, { clock: systemClock, batch: { recordsMax: 2, bytesMax: 100_000, ageMs: 0 } })
    Object.assign(world.around, { sift: { sift: judge } })
    const count = (): void => {
      turns += 1
      if (!world.isDone && turns < 1000) setImmediate(count)
    }
    world.assign(0)
    while (world.fed(0) < 16_000) world.feed(0)
    setImmediate(count)
    while (!world.isDone) await turn()
    assert.ok(atLast > 0, 'the loop stood still until the last record')
    world.lanes.get(0)?.stop()
  })
}
