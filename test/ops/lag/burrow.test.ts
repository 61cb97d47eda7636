/** Burrow's verdicts, in the situations that Burrow's own evaluator is tested with, and those of its later rules. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { BURROW_DEFAULTS, type CommitSample, judgeGroup, judgePartition } from '../../../src/ops/lag/burrow.ts'

interface Case {
  readonly why: string
  /** Offset, time in seconds, lag. */
  readonly commits: readonly (readonly [number, number, number | undefined])[]
  readonly ends: readonly number[]
  readonly lag: number
  readonly nowS: number
  readonly status: string
}

const steady = (lags: readonly number[], offsets = [1000, 2000, 3000, 4000, 5000]): Case['commits'] =>
  offsets.map((offset, index) => [offset, (index + 1) * 100, lags[index]])

/** A commit a second, each one further, without lag. */
const upToDate: Case['commits'] = Array.from({ length: 15 }, (_, index) => [
  792_748_079 + index,
  1_512_224_618.356 + index,
  0
])

// Situations and verdicts: linkedin/Burrow core/internal/evaluator/caching_test.go, by the numbers there.
const cases: readonly Case[] = [
  {
    why: '0: there was no lag once in the window',
    commits: steady([0, 50, 100, 150, 200]),
    ends: [5200],
    lag: 200,
    nowS: 600,
    status: 'OK'
  },
  {
    why: '1: the last commit is just as long ago as the window spans, not longer',
    commits: steady([0, 50, 100, 150, 200]),
    ends: [5200],
    lag: 200,
    nowS: 900,
    status: 'OK'
  },
  {
    why: '2: the last commit is longer ago, though there was no lag at the beginning',
    commits: steady([0, 50, 100, 150, 200]),
    ends: [5200],
    lag: 200,
    nowS: 1000,
    status: 'STOP'
  },
  {
    why: '3: as before, with lag all the time',
    commits: steady([50, 100, 150, 200, 250]),
    ends: [5250],
    lag: 250,
    nowS: 1000,
    status: 'STOP'
  },
  {
    why: '4: the offset does not move, but there was no lag once',
    commits: steady([0, 50, 100, 150, 200], [1000, 1000, 1000, 1000, 1000]),
    ends: [1200],
    lag: 200,
    nowS: 600,
    status: 'OK'
  },
  {
    why: '5: the offset does not move, and there is lag all the time',
    commits: steady([100, 150, 200, 250, 300], [1000, 1000, 1000, 1000, 1000]),
    ends: [1300],
    lag: 300,
    nowS: 600,
    status: 'STALL'
  },
  {
    why: '6: the offset does not move, nor does the lag',
    commits: steady([100, 100, 100, 100, 100], [1000, 1000, 1000, 1000, 1000]),
    ends: [1100],
    lag: 100,
    nowS: 600,
    status: 'STALL'
  },
  {
    why: '7: the offset went back, and came as far again: the lag is judged, and it shrank once',
    commits: steady([100, 150, 200, 1250, 300], [1000, 2000, 3000, 2000, 4000]),
    ends: [4300],
    lag: 300,
    nowS: 600,
    status: 'OK'
  },
  {
    why: '8: there is no lag now, whatever was',
    commits: steady([50, 100, 150, 200, 250]),
    ends: [5250],
    lag: 0,
    nowS: 1000,
    status: 'OK'
  },
  {
    why: '9: it stopped without lag, and much has come since',
    commits: upToDate,
    ends: [792_749_024, 792_749_000, 792_748_800, 792_748_600, 792_748_500],
    lag: 931,
    nowS: 1_512_224_650,
    status: 'STOP'
  },
  {
    why: '10: it seems to have stopped, but the end of the log was where it is a moment ago',
    commits: upToDate,
    ends: [792_748_094, 792_748_093, 792_748_093, 792_748_093],
    lag: 1,
    nowS: 1_512_224_650,
    status: 'OK'
  },
  {
    why: '11: commits of unknown lag change nothing',
    commits: [
      [1000, 100, 0],
      [1500, 150, undefined],
      [2000, 200, 50],
      [2500, 250, undefined],
      [3000, 300, 100],
      [3500, 350, undefined],
      [4000, 400, 150],
      [4500, 450, undefined],
      [5000, 500, 200],
      [5500, 550, undefined]
    ],
    ends: [5700],
    lag: 200,
    nowS: 600,
    status: 'OK'
  },
  {
    why: 'the offset went back and has not come as far again',
    commits: steady([100, 150, 200, 1250, 1100], [1000, 2000, 3000, 2000, 2500]),
    ends: [3600],
    lag: 1100,
    nowS: 600,
    status: 'REWIND'
  },
  {
    why: 'the offset went back and reached the very same again, while the lag only grew',
    commits: steady([100, 150, 200, 1300, 1400], [1000, 2000, 3000, 2000, 3000]),
    ends: [4400],
    lag: 1400,
    nowS: 600,
    status: 'WARN'
  },
  {
    why: 'it reads, and the lag grows from commit to commit',
    commits: steady([50, 100, 150, 200, 250]),
    ends: [5250],
    lag: 250,
    nowS: 600,
    status: 'WARN'
  },
  {
    why: 'it reads, and the lag stays as it is',
    commits: steady([50, 50, 50, 50, 50]),
    ends: [5050],
    lag: 50,
    nowS: 600,
    status: 'WARN'
  },
  {
    why: 'it reads, and the lag shrank once',
    commits: steady([50, 100, 90, 200, 250]),
    ends: [5250],
    lag: 250,
    nowS: 600,
    status: 'OK'
  },
  {
    why: 'unknown lags between a larger and a smaller one are passed over',
    commits: steady([50, undefined as never, 40, 60, 70]),
    ends: [5070],
    lag: 70,
    nowS: 600,
    status: 'OK'
  }
]

function samplesOf(commits: Case['commits']): CommitSample[] {
  return commits.map(([offset, timeS, lag]) => ({ offset, timeMs: timeS * 1000, lag }))
}

for (const { why, commits, ends, lag, nowS, status } of cases) {
  test(`${status}: ${why}`, () => {
    const rules = { ...BURROW_DEFAULTS, intervals: commits.length }
    const question = { commits: samplesOf(commits), endOffsets: ends, currentLag: lag, nowMs: nowS * 1000 }
    assert.equal(judgePartition(question, rules).status, status)
  })
}

const stalled = { commits: samplesOf(steady([9, 9, 9, 9, 9], [1, 1, 1, 1, 1])), endOffsets: [10], nowMs: 600_000 }

test('a window that is less complete than asked for is OK, whatever is in it', () => {
  const question = { ...stalled, currentLag: 9 }
  assert.deepEqual(judgePartition(question, { intervals: 10, minimumComplete: 0.6, allowedLag: 0 }), {
    status: 'OK',
    complete: 0.5
  })
  assert.equal(judgePartition(question, { intervals: 10, minimumComplete: 0.5, allowedLag: 0 }).status, 'STALL')
})

test('lag up to the allowed one is nothing to speak of, now or once in the window', () => {
  const rules = { intervals: 5, minimumComplete: 0, allowedLag: 9 }
  assert.equal(judgePartition({ ...stalled, currentLag: 9 }, rules).status, 'OK')
  assert.equal(judgePartition({ ...stalled, currentLag: 10 }, rules).status, 'OK') // The commits had 9.
  assert.equal(judgePartition({ ...stalled, currentLag: 10 }, { ...rules, allowedLag: 8 }).status, 'STALL')
})

test('a partition without a commit is not judged', () => {
  assert.deepEqual(judgePartition({ commits: [], endOffsets: [], currentLag: 5, nowMs: 0 }), {
    status: 'NONE',
    complete: 0
  })
})

test('a group is as bad as its worst partition, and what is worse than a warning is an error', () => {
  assert.equal(judgeGroup(['OK', 'WARN', 'OK']), 'WARN')
  assert.equal(judgeGroup(['OK', 'NONE']), 'OK')
  for (const bad of ['STALL', 'STOP', 'REWIND'] as const) assert.equal(judgeGroup(['OK', 'WARN', bad]), 'ERR')
  assert.equal(judgeGroup([]), 'NONE')
})
