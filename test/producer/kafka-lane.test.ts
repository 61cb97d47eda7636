/** The memory of fetched records: given back when nobody can look at it any more, and not before. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Lease } from '../../src/client/index.ts'
import { PipelineError } from '../../src/core/index.ts'
import type { Settlement } from '../../src/producer/index.ts'
import { KafkaLane } from '../../src/producer/sources/kafka-lane.ts'
import { RecordBatchBuilder } from '../../src/protocol/index.ts'

/** Hands over one event with this end; says how many holders are left of the memory. */
async function holdersAfter(end: Partial<Settlement>): Promise<number> {
  let holders = 1
  const lease: Lease = { retain: () => void (holders += 1), release: () => void (holders -= 1) }
  const settlement = {
    deliveredCount: 0,
    deadLetteredCount: 0,
    refusedCount: 0,
    spilledCount: 0,
    shedCount: 0,
    failedCount: 0,
    outcomes: new Uint8Array(1),
    refusals: [],
    error: undefined,
    ...end
  }
  const lane = new KafkaLane(
    {
      rows: { keepKey: false, keepHeaders: false, keepTimestamp: false, tombstones: 'deadLetter' },
      submit: () => Promise.resolve({ settled: Promise.resolve(settlement) }),
      setPaused: () => undefined,
      moved: () => undefined,
      halted: () => undefined
    },
    { topic: 'events', partition: 0, offset: 0n }
  )
  const builder = new RecordBatchBuilder()
  builder.tryAppend(0, null, Buffer.from('{}'))
  const records = builder.build()
  const ends = { highWatermark: 1n, lastStableOffset: 1n, logStartOffset: 0n }
  lane.push({ topic: 'events', partition: 0, records, fromOffset: 0n, nextOffset: 1n, ...ends, lease })
  await lane.idle()
  return holders
}

test('what is in Kafka needs its memory no longer; what an appender may still hold does', async () => {
  assert.equal(await holdersAfter({ deliveredCount: 1 }), 0)
  assert.equal(await holdersAfter({ spilledCount: 1 }), 1)
  const error = new PipelineError('ERR_PRODUCER_SPILL_FAILED', 'neither Kafka nor the disk')
  assert.equal(await holdersAfter({ failedCount: 1, outcomes: new Uint8Array([4]), error }), 1)
})
