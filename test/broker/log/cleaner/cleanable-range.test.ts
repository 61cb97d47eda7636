import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cleanableRange, groupSegments, needsCleaning } from '../../../../src/broker/log/cleaner/cleanable-range.ts'
import { Segment } from '../../../../src/broker/log/segment.ts'
import { toLogConfig } from '../../../../src/broker/log/topic-config.ts'
import { START_MS } from '../support.ts'

const CONFIG = toLogConfig({ 'cleanup.policy': 'compact' })

function segment(baseOffset: number, sizeBytes: number, timestampMs = START_MS): Segment {
  const made = new Segment('/nowhere', BigInt(baseOffset), START_MS)
  made.sizeBytes = sizeBytes
  made.maxTimestamp = { timestampMs: BigInt(timestampMs), offset: BigInt(baseOffset) }
  made.firstTimestampMs = BigInt(timestampMs)
  return made
}

const SEGMENTS = [segment(0, 100), segment(10, 200), segment(20, 300), segment(30, 1000)]
const STATE = {
  segments: SEGMENTS,
  config: CONFIG,
  logStartOffset: 0n,
  lastStableOffset: 40n,
  endOffset: 40n,
  checkpoint: undefined,
  nowMs: START_MS
}

test('without a checkpoint all but the active segment is dirty', () => {
  assert.deepEqual(cleanableRange(STATE), {
    firstDirtyOffset: 0n,
    firstUncleanableOffset: 30n,
    cleanableBytes: 600,
    dirtyRatio: 1,
    isOverdue: false
  })
})

test('the ratio is dirty bytes to dirty and clean ones; cleaning begins above min.cleanable.dirty.ratio', () => {
  const range = cleanableRange({ ...STATE, checkpoint: 20n })

  assert.equal(range.cleanableBytes, 300)
  assert.equal(range.dirtyRatio, 0.5)
  assert.equal(needsCleaning(range, CONFIG), false)
  assert.equal(needsCleaning(range, { ...CONFIG, minCleanableDirtyRatio: 0.49 }), true)
  assert.equal(
    needsCleaning(cleanableRange({ ...STATE, checkpoint: 30n }), { ...CONFIG, minCleanableDirtyRatio: 0 }),
    false
  )
})

test('nothing from the last stable offset on is cleaned, by whole segments', () => {
  const range = cleanableRange({ ...STATE, lastStableOffset: 25n })

  assert.equal(range.firstUncleanableOffset, 20n)
  assert.equal(range.cleanableBytes, 300)
})

test('min.compaction.lag.ms keeps segments with a young record, and what follows them', () => {
  const segments = [
    segment(0, 1, START_MS - 900),
    segment(10, 1, START_MS - 50),
    segment(20, 1, START_MS - 900),
    segment(30, 1)
  ]

  const range = cleanableRange({ ...STATE, segments, config: { ...CONFIG, minCompactionLagMs: 100 } })

  assert.equal(range.firstUncleanableOffset, 10n)
})

test('max.compaction.lag.ms has a log cleaned whatever its ratio is', () => {
  const segments = [segment(0, 1000, START_MS - 900), segment(10, 1, START_MS - 500), segment(20, 1)]
  const state = { ...STATE, segments, checkpoint: 10n, endOffset: 30n, lastStableOffset: 30n }

  const inTime = { ...CONFIG, maxCompactionLagMs: 500 }
  const late = { ...CONFIG, maxCompactionLagMs: 499 }

  assert.equal(needsCleaning(cleanableRange({ ...state, config: inTime }), inTime), false)
  assert.equal(needsCleaning(cleanableRange({ ...state, config: late }), late), true)
})

test('a checkpoint that does not fit the log counts as none', () => {
  assert.equal(cleanableRange({ ...STATE, checkpoint: 41n }).firstDirtyOffset, 0n)
  assert.equal(cleanableRange({ ...STATE, logStartOffset: 15n, checkpoint: 3n }).firstDirtyOffset, 15n)
  assert.equal(cleanableRange({ ...STATE, checkpoint: 30n }).cleanableBytes, 0)
})

test('neighbours are grouped up to the size of a segment and of an index', () => {
  const limits = { segmentBytes: 300, segmentIndexBytes: 100, endOffset: 40n }
  const bases = (groups: Segment[][]): number[][] => groups.map(group => group.map(each => Number(each.baseOffset)))

  assert.deepEqual(bases(groupSegments(SEGMENTS, limits, () => 10)), [[0, 10], [20], [30]])
  assert.deepEqual(bases(groupSegments(SEGMENTS, limits, () => 60)), [[0], [10], [20], [30]])
})

test('a group never spans more offsets than an index entry can name', () => {
  const far = [segment(0, 1), segment(10, 1), segment(0x7fff_ffff, 1)]
  const limits = { segmentBytes: 300, segmentIndexBytes: 100 }

  const near = groupSegments(far, { ...limits, endOffset: 0x8000_0000n }, () => 0)
  const beyond = groupSegments(far, { ...limits, endOffset: 0x8000_0001n }, () => 0)

  assert.deepEqual(
    near.map(group => group.length),
    [3]
  )
  assert.deepEqual(
    beyond.map(group => group.length),
    [2, 1]
  )
})
