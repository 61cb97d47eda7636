/** What a dead letter says of its record, whoever wrote it and whatever its headers are. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SeededRandom } from '../../src/core/index.ts'
import { readDeadLetter, REDRIVE_HEADER } from '../../src/ops/redrive/dead-letter.ts'
import { redriveGroup } from '../../src/ops/redrive/plan-redrive.ts'
import { judgeLetter } from '../../src/ops/redrive/redrive-rules.ts'

interface Header {
  readonly key: string
  readonly value: Buffer | null
}

const header = (key: string, value: string): Header => ({ key, value: Buffer.from(value) })

/** As docs/reference/outcomes.md has them. */
const BLOCK = [
  header('comporta-origin-topic', 'orders'),
  header('comporta-origin-partition', '3'),
  header('comporta-origin-offset', '9007199254740993'),
  header('comporta-origin-timestamp', '1700000000000'),
  header('comporta-error-class', 'Http400'),
  header('comporta-error-reason', 'no such truck'),
  header('comporta-attempts', '3'),
  header('comporta-group', 'g'),
  header('comporta-first-failure-ms', '1'),
  header('comporta-last-failure-ms', '2')
]

test('the dispatcher’s block is taken off at the end, and nothing else', () => {
  const own = [header('a', '1'), header('comporta-error-class', 'its own'), header(REDRIVE_HEADER.count, '2')]
  const facts = readDeadLetter({ headers: [...own, ...BLOCK] })
  assert.deepEqual(facts, {
    writer: 'dispatcher',
    errorClass: 'Http400',
    reason: 'no such truck',
    origin: { topic: 'orders', partition: 3, offset: 9_007_199_254_740_993n, timestampMs: 1_700_000_000_000 },
    value: 'here',
    redriveCount: 2,
    headers: own.slice(0, 2)
  })
  const reference = readDeadLetter({ headers: [...BLOCK, header('comporta-value-bytes', '2000000')] })
  assert.deepEqual([reference.writer, reference.value, reference.headers], ['dispatcher', 'elsewhere', []])
})

test('whatever the headers are there is an answer, and own headers are never invented', () => {
  const seed = Number(process.env['TEST_SEED'] ?? 4)
  const random = new SeededRandom(seed)
  for (let round = 0; round < 2000; round += 1) {
    // The block with some of it changed, left out or doubled.
    const headers = [header('own', 'x'), ...BLOCK].flatMap((each): Header[] => {
      const dice = random.next()
      if (dice < 0.05) return []
      if (dice < 0.1) return [each, each]
      return dice < 0.15 ? [{ key: each.key, value: null }] : [each]
    })
    const facts = readDeadLetter({ headers })
    for (const each of facts.headers) assert.ok(headers.includes(each), `seed ${seed}, round ${round}`)
    const verdict = judgeLetter(facts, {})
    if (verdict.kind === 'redrive') assert.equal(verdict.topic, 'orders', `seed ${seed}, round ${round}`)
  }
})

test('the group of a redrive names its rules, not its pace', () => {
  const request = { deadLetterTopic: 'dead', by: 'me' }
  assert.equal(redriveGroup(request), 'dead-redrive')
  assert.equal(
    redriveGroup({ ...request, limit: 5, ratePerSecond: 9, redrivesMax: 3, timestamp: 'now' }),
    'dead-redrive'
  )
  const filtered = redriveGroup({ ...request, errorClasses: ['A'] })
  assert.match(filtered, /^dead-redrive-[0-9a-f]{8}$/)
  assert.notEqual(redriveGroup({ ...request, errorClasses: ['B'] }), filtered)
  const since = (timestampMs: number): string =>
    redriveGroup({ ...request, since: { at: 'time', timestampMs }, sinceName: '2h' })
  assert.equal(since(1), since(2), 'two hours ago is the same choice an hour later')
})
