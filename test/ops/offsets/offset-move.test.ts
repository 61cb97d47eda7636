import assert from 'node:assert/strict'
import { test } from 'node:test'

import { encodeFinished, randomInt, SeededRandom } from '../../../src/core/index.ts'
import {
  finishedCountOf,
  groupsOfSnapshot,
  type LogEnds,
  readDifference,
  snapshotOf,
  type StoredOffset
} from '../../../src/ops/offsets/offset-move.ts'
import { resolveSkip } from '../../../src/ops/offsets/skip-rules.ts'

const seed = Number(process.env['TEST_SEED'] ?? Math.floor(performance.now() * 1000))

function stored(offset: bigint, ranges: readonly number[] = []): StoredOffset {
  return { offset, leaderEpoch: -1, metadata: encodeFinished(offset, ranges) ?? '' }
}

test('records that are read again, or never, are counted inside of the log', () => {
  const ends: LogEnds = { logStartOffset: 100n, highWatermark: 200n }
  const cases: [before: StoredOffset, after: StoredOffset, again: bigint, never: bigint][] = [
    [stored(150n), stored(120n), 30n, 0n],
    [stored(120n), stored(150n), 0n, 30n],
    [stored(150n), stored(0n), 50n, 0n],
    [stored(0n), stored(150n), 0n, 50n],
    [stored(900n), stored(150n), 50n, 0n],
    [stored(150n), stored(150n), 0n, 0n],
    // 152 and 160 to 164 are finished: a reset to the same offset brings them again.
    [stored(150n, [2, 3, 10, 15]), stored(150n), 6n, 0n],
    [stored(150n, [2, 3, 10, 15]), stored(162n), 3n, 9n],
    [stored(150n), stored(150n, [7, 8]), 0n, 1n]
  ]
  for (const [before, after, again, never] of cases) {
    assert.deepEqual(readDifference({ before, after }, ends), { again, never })
  }
  assert.equal(readDifference({ before: undefined, after: stored(1n) }, ends), undefined)
})

test('what is saved comes back the same, and what was not saved by us is refused', () => {
  const moves = [
    { groupId: 'g', topic: 'a', partition: 0, before: undefined, after: stored(5n) },
    { groupId: 'g', topic: 'a', partition: 1, before: { ...stored(5n, [3, 4]), leaderEpoch: 7 }, after: undefined }
  ]
  const groups = [{ groupId: 'g', existed: false, moves }]
  assert.deepEqual(groupsOfSnapshot(JSON.parse(JSON.stringify(snapshotOf(groups)))), groups)
  const bad = [null, [], {}, { groups: 1 }, { groups: [{ groupId: 1 }] }, { groups: [{ groupId: 'g', moves: [{}] }] }]
  for (const snapshot of bad) assert.throws(() => groupsOfSnapshot(snapshot), { code: 'ERR_OPS_UNDO_DAMAGED' })
})

/** What a reader still reads: offsets at or behind the commit that its text does not name. */
function toRead({ offset, metadata }: StoredOffset, end: number): number[] {
  const [, base, body] = /^comporta:1:(\d+):(.*)$/.exec(metadata) ?? []
  const finished = new Set<number>()
  if (body !== undefined) {
    assert.equal(BigInt(base ?? '-1'), offset)
    // The grammar of the text, read once more by hand for small numbers: a kind, then lengths below 128.
    const bytes = Buffer.from(body, 'base64url')
    if (bytes[0] === 0) {
      let at = 0
      for (let index = 1; index < bytes.length; index += 2) {
        at += bytes[index] ?? 0
        for (let left = bytes[index + 1] ?? 0; left > 0; left -= 1) finished.add(Number(offset) + at++)
      }
    } else {
      for (let bit = 0; bit < (bytes.length - 1) * 8; bit += 1) {
        if (((bytes[1 + (bit >> 3)] ?? 0) & (1 << (bit & 7))) !== 0) finished.add(Number(offset) + bit)
      }
    }
  }
  const left: number[] = []
  for (let at = Number(offset); at < end; at += 1) if (!finished.has(at)) left.push(at)
  return left
}

test('a skip takes exactly the named records away, whatever was finished before', t => {
  t.diagnostic(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  for (let round = 0; round < 300; round += 1) {
    const offset = BigInt(randomInt(random, 1000))
    const ranges: number[] = []
    for (let at = 1 + randomInt(random, 5); at < 60 && ranges.length < 8;) {
      const end = at + 1 + randomInt(random, 4)
      ranges.push(at, end)
      at = end + 1 + randomInt(random, 8)
    }
    const committed = stored(offset, ranges)
    const end = Number(offset) + 80
    const left = toRead(committed, end)
    const named = left.filter(() => randomInt(random, 6) === 0)
    const offsets = named.map(BigInt)
    const outcome = resolveSkip({ name: 'a-0', committed, offsets, isDispatcher: true })
    assert.ok(outcome.kind === 'to')
    assert.deepEqual(
      toRead(outcome.after, end),
      left.filter(at => !named.includes(at))
    )
    const difference = readDifference(
      { before: committed, after: outcome.after },
      { logStartOffset: 0n, highWatermark: BigInt(end) }
    )
    assert.deepEqual(difference, { again: 0n, never: BigInt(named.length) })
  }
})

test('without a dispatcher only the next records can be skipped, and the reason says how many others would go', () => {
  const committed = stored(10n)
  const skip = (
    offsets: readonly bigint[],
    isDispatcher = false,
    from: StoredOffset | undefined = committed
  ): unknown => {
    const outcome = resolveSkip({ name: 'a-0', committed: from, offsets, isDispatcher })
    return outcome.kind === 'to' ? outcome.after.offset : outcome.reason
  }
  assert.equal(skip([10n]), 11n)
  assert.equal(skip([10n, 11n]), 12n)
  assert.match(String(skip([13n])), /^up to 3 records lie between the group and a-0@13/)
  assert.match(String(skip([10n, 13n])), /^up to 2 records lie between the group and a-0@13/)
  // 10 to 12 are markers of transactions, or compaction has taken them: 13 is the next record.
  const next = resolveSkip({ name: 'a-0', committed, offsets: [13n, 14n], firstUnread: 13n, isDispatcher: false })
  assert.equal(next.kind === 'to' ? next.after.offset : next.reason, 15n)
  assert.equal(skip([13n], true), 10n)
  assert.match(String(skip([9n])), /is past a-0@9 already: it goes on at 10/)
  assert.match(
    String(resolveSkip({ name: 'a-0', committed: undefined, offsets: [1n], isDispatcher: true }).kind),
    /impossible/
  )
  assert.match(String(skip([2n ** 50n], true)), /too far ahead/)
  const far = Array.from({ length: 3000 }, (_, index) => 10n + BigInt(index) * 1000n)
  assert.match(String(skip(far, true)), /skip fewer/)
})

test('finished records are counted from the text', () => {
  assert.equal(finishedCountOf(stored(10n, [2, 5, 9, 10])), 4)
  assert.equal(finishedCountOf({ offset: 11n, leaderEpoch: -1, metadata: stored(10n, [2, 5]).metadata }), 0)
})
