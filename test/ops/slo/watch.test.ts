import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SeededRandom, VirtualClock } from '../../../src/core/index.ts'
import { AlertBook } from '../../../src/ops/alerts/alert-book.ts'
import type { AlertMessage } from '../../../src/ops/alerts/message.ts'
import { AlertOutbox } from '../../../src/ops/alerts/outbox.ts'
import { lineSender } from '../../../src/ops/alerts/senders.ts'
import { type SloState, SloTracker } from '../../../src/ops/slo/tracker.ts'
import { type WatchedLook, watchSlo } from '../../../src/ops/slo/watch.ts'
import type { LagReport } from '../../../src/ops/lag/lag-types.ts'
import { behind, groupLag, lagReport } from './lag-reports.ts'

const MINUTE_MS = 60_000
const START_MS = 1_800_000_000_000

interface Run {
  readonly looks: WatchedLook[]
  readonly sent: AlertMessage[]
  readonly saved: SloState[]
  readonly problems: string[]
}

/** Watches for so many minutes, a look each minute; `lookAt` says what is seen in each. */
async function run(minutes: number, lookAt: (minute: number) => LagReport, isDiskFull = false): Promise<Run> {
  const clock = new VirtualClock(START_MS)
  const stop = new AbortController()
  const found: Run = { looks: [], sent: [], saved: [], problems: [] }
  // Checked: what a line sender writes is a message.
  const write = (line: string): void => void found.sent.push(JSON.parse(line) as AlertMessage)
  const sender = lineSender({ name: 'line', severities: ['page', 'ticket'], write })
  const outbox = new AlertOutbox({ senders: [sender], pipeline: 'shop', clock, random: new SeededRandom(1) })
  const watching = watchSlo({
    look: () => Promise.resolve().then(() => lookAt(Math.round((clock.now() - START_MS) / MINUTE_MS))),
    tracker: new SloTracker({ objectives: [{ group: 'billing', lagSeconds: 60, objective: 0.999, windowDays: 30 }] }),
    book: new AlertBook(),
    outbox,
    clock,
    everyMs: MINUTE_MS,
    save: state =>
      isDiskFull ? Promise.reject(new Error('disk full')) : Promise.resolve(void found.saved.push(state)),
    onLook: look => void found.looks.push(look),
    onProblem: text => void found.problems.push(text),
    signal: stop.signal
  })
  for (let minute = 0; minute < minutes; minute += 1) await clock.advance(MINUTE_MS)
  stop.abort()
  await watching
  await outbox.close(0)
  return found
}

function at(minute: number, lag: number): LagReport {
  return lagReport(START_MS + minute * MINUTE_MS, behind(lag))
}

test('an incident of the users: behind for ten minutes, one page, one resolution', async () => {
  const { sent } = await run(110, minute => at(minute, minute >= 60 && minute < 70 ? 500 : 0))
  const pages = sent.filter(({ severity }) => severity === 'page')
  assert.deepEqual(
    pages.map(({ status }) => status),
    ['firing', 'resolved']
  )
  const [firing, resolved] = pages
  assert.equal(firing?.since, new Date(START_MS + 60 * MINUTE_MS).toISOString())
  // The half hour beside the six hours has forgotten the incident at 99 at the latest; then a minute to be sure.
  assert.ok(Date.parse(resolved?.at ?? '') - START_MS >= 74 * MINUTE_MS)
  assert.ok(Date.parse(resolved?.at ?? '') - START_MS <= 102 * MINUTE_MS)
})

test('looks that fail are unknown time, end nothing, and resolve nothing', async () => {
  const { sent, looks, problems } = await run(80, minute => {
    if (minute >= 64 && minute < 70) throw new Error('Kafka is away')
    return at(minute, minute >= 60 ? 500 : 0)
  })
  assert.equal(sent.filter(({ status, key }) => status === 'resolved' && key.startsWith('slo:')).length, 0)
  assert.equal(problems.length, 6)
  assert.equal(problems[0], 'no look: Kafka is away')
  assert.equal(looks.at(-1)?.slo[0]?.time.unknownMs, 6 * MINUTE_MS)
})

test('Kafka away: the watch says so by itself, and takes it back; alerts of unseen groups stand', async () => {
  const { sent } = await run(40, minute => {
    if (minute >= 10 && minute < 20) throw new Error('Kafka is away')
    const other = groupLag({ groupId: 'other', lagRecords: 2000n })
    const unread = { ...groupLag({ groupId: 'other', partitions: [], lagRecords: 0n }), problem: 'no coordinator' }
    if (minute < 22) return lagReport(START_MS + minute * MINUTE_MS, behind(0), other)
    if (minute < 26) return lagReport(START_MS + minute * MINUTE_MS, behind(0), unread)
    const half = lagReport(START_MS + minute * MINUTE_MS, behind(0))
    return minute < 30 ? { ...half, problems: ['broker 2 is away'], isPartial: true } : half
  })
  const times = sent.map(({ key, status, at: time }) => [key, status, (Date.parse(time) - START_MS) / MINUTE_MS])
  assert.deepEqual(
    times.filter(([key]) => key === 'unreachable'),
    [
      ['unreachable', 'firing', 11],
      ['unreachable', 'resolved', 20]
    ]
  )
  assert.deepEqual(
    times.filter(([key]) => key === 'lag:other'),
    [
      ['lag:other', 'firing', 1],
      // Gone at the first look that sees all groups, and not while its coordinator or its broker was away.
      ['lag:other', 'resolved', 30]
    ]
  )
})

test('the state is written every minute and at the end; a disk that refuses does not end the watch', async () => {
  const { saved, looks } = await run(5, minute => at(minute, 0))
  assert.ok(saved.length >= 4, String(saved.length))
  assert.equal(looks.length >= 5, true)
  const full = await run(5, minute => at(minute, 0), true)
  assert.ok(full.looks.length >= 5)
  assert.ok(full.problems.includes('disk full'))
})

test('a group without an objective is held against the health table, for as long as that says', async () => {
  const { sent } = await run(20, minute => {
    const other = groupLag({ groupId: 'other', lagRecords: 2000n, trend: 5 })
    return lagReport(START_MS + minute * MINUTE_MS, behind(0), other)
  })
  const [lag, growth] = sent
  assert.equal(lag?.key, 'lag:other')
  assert.equal(lag.at, new Date(START_MS + MINUTE_MS).toISOString(), 'held for one minute')
  assert.equal(growth?.key, 'growth:other')
  assert.equal(growth.at, new Date(START_MS + 10 * MINUTE_MS).toISOString(), 'held for ten')
})
