/** Records of a source topic as rows, whatever their writers put into them; and the commits of their offsets. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { FetchedChunk, OffsetToCommit } from '../../src/client/index.ts'
import { SeededRandom } from '../../src/core/index.ts'
import { VirtualClock } from '../../src/core/virtual-clock.ts'
import { KafkaCommitter } from '../../src/producer/sources/kafka-committer.ts'
import { kafkaChunks } from '../../src/producer/sources/kafka-rows.ts'
import { crc32c } from '../../src/protocol/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'

const KEEP = { keepKey: true, keepHeaders: true, keepTimestamp: true, tombstones: 'deadLetter' } as const

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let left = (value << 1) ^ (value >> 31); ; left >>>= 7) {
    if ((left & ~0x7f) === 0) return Buffer.from([...bytes, left])
    bytes.push((left & 0x7f) | 0x80)
  }
}

/** A record with these bytes for its headers, their count included. */
function record(offsetDelta: number, headers: Buffer): Buffer {
  const value = Buffer.from('{}')
  const body = Buffer.concat([
    Buffer.from([0, 0]),
    varint(offsetDelta),
    varint(-1),
    varint(value.length),
    value,
    headers
  ])
  return Buffer.concat([varint(body.length), body])
}

/** One batch, not compressed. */
function fetched(records: readonly Buffer[]): FetchedChunk {
  const bytes = Buffer.concat([Buffer.alloc(61), ...records])
  bytes.writeInt32BE(bytes.length - 12, 8)
  bytes.writeInt8(2, 16)
  bytes.writeInt32BE(records.length - 1, 23)
  bytes.writeInt32BE(records.length, 57)
  bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17)
  return {
    topic: 'in',
    partition: 0,
    records: bytes,
    fromOffset: 0n,
    nextOffset: BigInt(records.length)
  } as FetchedChunk
}

/*
 * Symptom: one record with two bytes of headers that announce two thousand millions of them kept the producer busy
 * until its memory was full. Cause: a negative length led back to where it was read. Reach: whoever may write to a
 * topic that is read with keepHeaders, where the broker does not look into records.
 */
test('headers that do not fit their record make it a dead letter, and its neighbours pass', () => {
  const sound = Buffer.concat([varint(1), varint(1), Buffer.from('k'), varint(1), Buffer.from('v')])
  const hostile = [
    Buffer.concat([varint(0x7fffffff), varint(-1), varint(0)]),
    Buffer.concat([varint(2), varint(-3), varint(-1)]),
    Buffer.concat([varint(1), varint(100), varint(0)]),
    Buffer.concat([varint(1), varint(0), varint(-2)]),
    Buffer.concat([varint(1), varint(0), varint(0), Buffer.from('more')])
  ]
  const records = [sound, ...hostile, sound].map((headers, index) => record(index, headers))
  const [chunk] = [...kafkaChunks(fetched(records), 0n, KEEP)]

  assert.equal(chunk?.count, records.length)
  assert.deepEqual([...(chunk?.problems?.keys() ?? [])], [1, 2, 3, 4, 5])
  assert.equal(chunk?.problems?.get(1)?.errorClass, 'malformed')
  for (const row of [0, 6]) assert.deepEqual(chunk?.rowHeaders?.(row), [{ key: 'k', value: Buffer.from('v') }])
  for (const row of [1, 2, 3, 4, 5]) assert.equal(chunk?.rowHeaders?.(row), undefined)
})

test('whatever stands for headers, they are read within their record or not at all', t => {
  const seed = Number(process.env['TEST_SEED'] ?? 62)
  t.diagnostic(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  for (let round = 0; round < 20_000; round += 1) {
    const length = 1 + Math.floor(random.next() * 12)
    // Small numbers are most likely to fit.
    const bytes = Buffer.from(Array.from({ length }, () => Math.floor(random.next() ** 4 * 256)))
    const headers = Buffer.concat([varint(1 + Math.floor(random.next() * 3)), bytes])
    const [chunk] = [...kafkaChunks(fetched([record(0, headers), record(1, varint(0))]), 0n, KEEP)]
    const read = chunk?.problems?.has(0) === true ? undefined : chunk?.rowHeaders?.(0)
    const total = read?.reduce((sum, { key, value }) => sum + Buffer.byteLength(key) + (value?.length ?? 0), 0) ?? 0
    // Bytes that are no UTF-8 count three when they are written again.
    assert.ok(total <= 3 * length, `${headers.toString('hex')}: ${total} bytes`)
  }
})

interface Commits {
  readonly clock: VirtualClock
  readonly committer: KafkaCommitter
  readonly asked: (readonly OffsetToCommit[])[]
  readonly refuse: () => void
}

/** A committer whose requests wait for the test. */
function commits(): Commits {
  const clock = new VirtualClock()
  const asked: (readonly OffsetToCommit[])[] = []
  const rejects: (() => void)[] = []
  const commitOffsets = (offsets: readonly OffsetToCommit[]): Promise<void> => {
    asked.push(offsets)
    return new Promise((_, reject) => rejects.push(() => reject(new Error('not the coordinator'))))
  }
  const committer = new KafkaCommitter({ commitOffsets, intervalMs: 100, clock, logger: silentLogger })
  return { clock, committer, asked, refuse: () => rejects.shift()?.() }
}

/*
 * Symptom: after a rebalance the offset of a group goes back, and a crash repeats what was committed long ago.
 * Cause: a commit that was under way when its partition was given back, and failed, was tried again, again and again.
 * Reach: a coordinator that moves during a rebalance.
 */
test('an offset whose partition was given back meanwhile is not committed again', async () => {
  const { clock, committer, asked, refuse } = commits()
  committer.move({ topic: 'in', partition: 0, offset: 5n })
  committer.move({ topic: 'in', partition: 1, offset: 7n })
  await clock.advance(100)
  committer.forget({ topic: 'in', partition: 0 })
  refuse()
  await clock.advance(100)

  assert.deepEqual(asked.slice(1), [[{ topic: 'in', partition: 1, offset: 7n }]])
})

test('a commit that fails after the end is the last one', async () => {
  const { clock, committer, asked, refuse } = commits()
  committer.move({ topic: 'in', partition: 0, offset: 5n })
  await clock.advance(100)
  committer.close()
  refuse()
  await clock.advance(1000)

  assert.equal(asked.length, 1)
})
