import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { PipelineError } from '../../../src/core/index.ts'
import { BURN_RULES, burnRate } from '../../../src/ops/slo/burn-rates.ts'
import type { SloObjective } from '../../../src/ops/slo/objective.ts'
import { readSloState, writeSloState } from '../../../src/ops/slo/state-file.ts'
import { type SloStatus, SloTracker } from '../../../src/ops/slo/tracker.ts'
import { behind, groupLag, lagReport, partitionLag } from './lag-reports.ts'

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
/** A full hour, so that buckets begin where tests do. */
const START_MS = 1_800_000_000_000 - (1_800_000_000_000 % HOUR_MS)
const objective: SloObjective = { group: 'billing', lagSeconds: 60, objective: 0.999, windowDays: 30 }

interface Stretch {
  readonly ms: number
  /** Seconds of lag; `undefined` = the group cannot be read. */
  readonly lag: number | undefined
  readonly stepMs?: number
}

/** Feeds stretches of time, one look each minute, and says where it ended. */
function feed(tracker: SloTracker, fromMs: number, stretches: readonly Stretch[]): number {
  let nowMs = fromMs
  tracker.observe(lagReport(nowMs, behind(0)))
  for (const { ms, lag, stepMs = MINUTE_MS } of stretches) {
    const endMs = nowMs + ms
    while (nowMs < endMs) {
      nowMs += stepMs
      const group =
        lag === undefined ? groupLag({ problem: 'GROUP_AUTHORIZATION_FAILED', partitions: [] }) : behind(lag)
      tracker.observe(lagReport(nowMs, group))
    }
  }
  return nowMs
}

function statusOf(tracker: SloTracker, nowMs: number): SloStatus {
  const [status] = tracker.status(nowMs)
  assert.ok(status)
  return status
}

function near(actual: number | undefined, expected: number): void {
  assert.ok(
    actual !== undefined && Math.abs(actual - expected) < 1e-6 * Math.max(1, expected),
    `${actual} ≠ ${expected}`
  )
}

test('the burn rules are those of the SRE workbook: 2 %, 5 %, 10 %, 10 % of a 30-day budget', () => {
  const spent = BURN_RULES.map(({ rate, longMs }) => (rate * longMs) / (30 * 24 * HOUR_MS))
  assert.deepEqual(
    spent.map(share => Math.round(share * 1000) / 1000),
    [0.02, 0.05, 0.1, 0.1]
  )
  // The short window is a twelfth of the long one.
  assert.deepEqual(
    BURN_RULES.map(({ longMs, shortMs }) => longMs / shortMs),
    [12, 12, 12, 12]
  )
})

test('43.2 bad minutes are the whole budget of 99.9 % over 30 days', () => {
  const tracker = new SloTracker({ objectives: [objective] })
  const nowMs = feed(tracker, START_MS, [
    { ms: 10 * HOUR_MS, lag: 0 },
    { ms: 21.6 * MINUTE_MS, lag: 61, stepMs: 0.6 * MINUTE_MS },
    { ms: 10 * HOUR_MS, lag: 60 }
  ])
  const status = statusOf(tracker, nowMs)
  near(status.budgetMs, 43.2 * MINUTE_MS)
  near(status.budgetLeft, 0.5)
  near(status.compliance, (20 * 60) / (20 * 60 + 21.6))
})

test('a bad quarter of an hour after six good hours burns at 250 and 500: page', () => {
  const tracker = new SloTracker({ objectives: [objective] })
  const nowMs = feed(tracker, START_MS, [
    { ms: 6 * HOUR_MS, lag: 0 },
    { ms: 15 * MINUTE_MS, lag: 300 }
  ])
  const [fast, medium] = statusOf(tracker, nowMs).burn
  near(fast?.long, 250) // 15 of 60 minutes ÷ 0.001
  near(fast?.short, 1000)
  assert.equal(fast?.isBurning, true)
  near(medium?.long, 15 / 360 / 0.001)
  near(medium?.short, 500)
})

test('once it is over the short window ends the alert, although the hour is still bad', () => {
  const tracker = new SloTracker({ objectives: [objective] })
  const nowMs = feed(tracker, START_MS, [
    { ms: 6 * HOUR_MS, lag: 0 },
    { ms: 15 * MINUTE_MS, lag: 300 },
    { ms: 6 * MINUTE_MS, lag: 0 }
  ])
  const [fast] = statusOf(tracker, nowMs).burn
  near(fast?.long, 250)
  near(fast?.short, 0)
  assert.equal(fast?.isBurning, false)
})

test('51 bad seconds in an hour do not page, 53 do: 14.4 × 0.001 × 3,600 s = 51.84 s', () => {
  for (const [badMs, isBurning] of [
    [51_000, false],
    [53_000, true]
  ] as const) {
    const tracker = new SloTracker({ objectives: [objective] })
    const nowMs = feed(tracker, START_MS, [
      { ms: 2 * HOUR_MS, lag: 0 },
      { ms: badMs, lag: 61, stepMs: 1000 }
    ])
    assert.equal(statusOf(tracker, nowMs).burn[0]?.isBurning, isBurning)
  }
})

test('a slow burn of twice the budget is a ticket after days, and no page', () => {
  const tracker = new SloTracker({ objectives: [objective] })
  // 0.2 % of the time bad: 7.2 s of every hour.
  const hour: Stretch[] = [
    { ms: HOUR_MS - 7200, lag: 0, stepMs: (HOUR_MS - 7200) / 40 },
    { ms: 7200, lag: 61, stepMs: 7200 }
  ]
  const nowMs = feed(tracker, START_MS, Array.from({ length: 80 }, () => hour).flat())
  const { burn } = statusOf(tracker, nowMs)
  assert.deepEqual(
    burn.map(({ isBurning }) => isBurning),
    [false, false, false, true]
  )
  near(burn[3]?.long, 2)
})

test('what cannot be read is unknown: neither good nor bad, and counted apart', () => {
  const tracker = new SloTracker({ objectives: [objective] })
  const nowMs = feed(tracker, START_MS, [
    { ms: 2 * HOUR_MS, lag: 0 },
    { ms: HOUR_MS, lag: undefined }
  ])
  const status = statusOf(tracker, nowMs)
  assert.equal(status.compliance, 1)
  near(status.time.unknownMs, HOUR_MS)
  near(status.time.goodMs, 2 * HOUR_MS)
  assert.equal(status.blindness, 1)
  assert.equal(status.last?.kind, 'unknown')
  assert.match(status.last?.reason ?? '', /cannot be read: GROUP_AUTHORIZATION_FAILED/)
  assert.equal(status.burnLastHour, undefined)
})

test('time without a look is unknown, and so is a look that failed', () => {
  const tracker = new SloTracker({ objectives: [objective], gapMsMax: 5 * MINUTE_MS })
  tracker.observe(lagReport(START_MS, behind(0)))
  tracker.observe(lagReport(START_MS + 5 * MINUTE_MS, behind(0)))
  tracker.observe(lagReport(START_MS + 65 * MINUTE_MS, behind(0)))
  tracker.missed('Kafka is away', START_MS + 66 * MINUTE_MS)
  const { time, last } = statusOf(tracker, START_MS + 66 * MINUTE_MS)
  assert.deepEqual(time, { goodMs: 5 * MINUTE_MS, badMs: 0, unknownMs: 61 * MINUTE_MS })
  assert.equal(last?.reason, 'Kafka is away')
})

test('a clock that was a day ahead does not blind an objective for that day, not even by the state file', () => {
  const ahead = new SloTracker({ objectives: [objective] })
  const aheadMs = feed(ahead, START_MS + 24 * HOUR_MS, [{ ms: HOUR_MS, lag: 400 }])
  const tracker = new SloTracker({ objectives: [objective] })
  tracker.read(ahead.write())
  const endMs = feed(tracker, START_MS, [{ ms: HOUR_MS, lag: 0 }])
  const status = statusOf(tracker, endMs)
  assert.deepEqual(status.time, { goodMs: HOUR_MS, badMs: 0, unknownMs: 0 })
  assert.equal(status.burnLastHour, 0)
  assert.ok(endMs < aheadMs)
})

test('a clock that is set back counts no time twice', () => {
  const tracker = new SloTracker({ objectives: [objective] })
  for (const minute of [0, 1, 2, 1, 2, 3]) {
    tracker.observe(lagReport(START_MS + minute * MINUTE_MS, behind(0)))
  }
  assert.equal(statusOf(tracker, START_MS + 3 * MINUTE_MS).time.goodMs, 3 * MINUTE_MS)
})

test('bad time older than the window gives its budget back', () => {
  const short: SloObjective = { ...objective, windowDays: 1 }
  const tracker = new SloTracker({ objectives: [short] })
  const nowMs = feed(tracker, START_MS, [
    { ms: HOUR_MS, lag: 100 },
    { ms: 22 * HOUR_MS, lag: 0, stepMs: 5 * MINUTE_MS }
  ])
  assert.ok(statusOf(tracker, nowMs).budgetLeft < 0)
  const laterMs = feed(tracker, nowMs, [{ ms: 2 * HOUR_MS, lag: 0, stepMs: 5 * MINUTE_MS }])
  near(statusOf(tracker, laterMs).budgetLeft, 1)
})

test('one bad look right after a start wakes nobody, half a minute of them does', () => {
  const tracker = new SloTracker({ objectives: [objective] })
  const nowMs = feed(tracker, START_MS, [{ ms: 20_000, lag: 900, stepMs: 10_000 }])
  assert.equal(statusOf(tracker, nowMs).burn[0]?.isBurning, false)
  const laterMs = feed(tracker, nowMs, [{ ms: 10_000, lag: 900, stepMs: 10_000 }])
  // 30 s of half an hour are 1.67 %, 16.7 times 0.1 %.
  near(statusOf(tracker, laterMs).burn[0]?.long, 30 / 1800 / 0.001)
  assert.equal(statusOf(tracker, laterMs).burn[0]?.isBurning, true)
})

test('nothing known is no burn rate, rather than none', () => {
  assert.equal(burnRate({ goodMs: 0, badMs: 0, unknownMs: HOUR_MS }, HOUR_MS, 0.999), undefined)
})

test('lost records are bad even where nothing is left to read', () => {
  const tracker = new SloTracker({ objectives: [objective] })
  const lost = groupLag({ partitions: [partitionLag({ flags: ['dataLoss'], logStartOffset: 1200n })] })
  tracker.observe(lagReport(START_MS, lost))
  assert.equal(statusOf(tracker, START_MS).last?.kind, 'bad')
})

test('an objective on topics leaves the others out', () => {
  const tracker = new SloTracker({ objectives: [{ ...objective, topics: ['invoices'] }] })
  const partitions = [partitionLag({ lagSeconds: 900, lagRecords: 9n }), partitionLag({ topic: 'invoices' })]
  tracker.observe(lagReport(START_MS, groupLag({ partitions })))
  assert.equal(statusOf(tracker, START_MS).last?.kind, 'good')
})

test('a partition whose seconds are not known makes the look unknown, unless another is above already', () => {
  const dark = partitionLag({ partition: 1, lagSeconds: undefined, lagRecords: 7n, lagTimeSource: 'unknown' })
  for (const [lagSeconds, kind] of [
    [59, 'unknown'],
    [61, 'bad']
  ] as const) {
    const tracker = new SloTracker({ objectives: [objective] })
    tracker.observe(lagReport(START_MS, groupLag({ partitions: [partitionLag({ lagSeconds, lagRecords: 3n }), dark] })))
    assert.equal(statusOf(tracker, START_MS).last?.kind, kind)
  }
})

test('what is written down and read again is the same, and the time between is unknown', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-slo-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'state.json')
  assert.equal(await readSloState(path), undefined)

  const before = new SloTracker({ objectives: [objective] })
  const nowMs = feed(before, START_MS, [
    { ms: 3 * HOUR_MS, lag: 0 },
    { ms: 7 * MINUTE_MS, lag: 90 }
  ])
  await writeSloState(path, before.write())
  const after = new SloTracker({ objectives: [objective] })
  after.read((await readSloState(path)) ?? { objectives: {} })
  assert.deepEqual(statusOf(after, nowMs).burn, statusOf(before, nowMs).burn)
  assert.deepEqual(statusOf(after, nowMs).time, statusOf(before, nowMs).time)

  after.observe(lagReport(nowMs + HOUR_MS, behind(0)))
  near(statusOf(after, nowMs + HOUR_MS).time.unknownMs, HOUR_MS)
})

test('a state file of a year is as small as one of a month', () => {
  const tracker = new SloTracker({ objectives: [objective], gapMsMax: 2 * HOUR_MS })
  const monthMs = feed(tracker, START_MS, [{ ms: 31 * 24 * HOUR_MS, lag: 0, stepMs: HOUR_MS }])
  const month = JSON.stringify(tracker.write()).length
  feed(tracker, monthMs, [{ ms: 334 * 24 * HOUR_MS, lag: 0, stepMs: HOUR_MS }])
  const year = JSON.stringify(tracker.write()).length
  assert.ok(Math.abs(year - month) < month / 100, `${month} and ${year}`)
})

test('a state file that is damaged is refused, not taken for an empty one', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-slo-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'state.json')
  const isState = (error: unknown): boolean => PipelineError.is(error, 'ERR_OPS_SLO_STATE')
  const shapes = [
    '{"version":1',
    '[]',
    '{"version":2,"objectives":{}}',
    '{"version":1,"objectives":{"a":{"lastMs":-1}}}'
  ]
  for (const text of shapes) {
    await writeFile(path, text)
    await assert.rejects(readSloState(path), isState, text)
    assert.equal(await readFile(path, 'utf8'), text)
  }
  await assert.rejects(writeSloState(join(folder, 'none', 'state.json'), { objectives: {} }), isState)
})
