/** What tests of lag share. */

import type { TestContext } from 'node:test'

import { BURROW_DEFAULTS } from '../../../src/ops/lag/burrow.ts'
import { CommitWindow } from '../../../src/ops/lag/commit-window.ts'
import { EndHistory } from '../../../src/ops/lag/end-history.ts'
import type { JudgeQuestion } from '../../../src/ops/lag/judge.ts'

/** A seed that is printed, and taken from `TEST_SEED`. */
export function seedForTest(t: TestContext): number {
  const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`seed ${seed}`)
  return seed
}

/** Looks at a partition: time, committed offset, end. The last one is now. */
export type Looks = readonly (readonly [timeMs: number, committed: number | undefined, end: number])[]

/** A question for `judge` as looks would leave it. */
export function questionOf(looks: Looks, change: Partial<JudgeQuestion> = {}): JudgeQuestion {
  const commits = new CommitWindow(10)
  const history = new EndHistory()
  for (const [timeMs, committed, end] of looks) {
    history.add(timeMs, end)
    if (committed !== undefined) commits.add({ timeMs, offset: committed, lag: Math.max(0, end - committed) })
  }
  const [nowMs, committed, end] = looks.at(-1) ?? [0, undefined, 0]
  return {
    topic: 'orders',
    partition: 0,
    ends: { logStartOffset: 0n, endOffset: BigInt(end), heldBackRecords: 0n },
    committed: committed === undefined ? undefined : BigInt(committed),
    commits,
    history,
    lookCount: looks.length,
    sinceMs: looks[0]?.[0] ?? 0,
    nowMs,
    leadsMs: new Map(),
    oldest: undefined,
    settings: undefined,
    recordBytes: undefined,
    owner: '',
    flags: [],
    rules: { ...BURROW_DEFAULTS, intervals: Math.max(2, looks.length) },
    ...change
  }
}
