import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type DoctorFacts, known } from '../../../src/ops/doctor/facts.ts'
import { sampleOf } from '../../../src/ops/doctor/collect-records.ts'
import { SpaceSaving } from '../../../src/ops/doctor/space-saving.ts'
import { RecordBatchBuilder } from '../../../src/protocol/index.ts'
import { DENIED, findingsOf, NOW_MS, scanned, scanOf, settings } from './facts.ts'

type Sample = Extract<DoctorFacts['samples'], { isKnown: true }>['value'][number]

function sample(change: Partial<Sample>): Pick<DoctorFacts, 'samples'> {
  const all = { topic: 'orders', records: 1000, nullKeys: 0, tombstones: 0, keys: [], largestBytes: 1, ...change }
  return { samples: known([all]) }
}

const ten = {
  scan: scanOf([
    scanned(
      'orders',
      Array.from({ length: 10 }, () => 100)
    )
  ])
}

test('a key with a third of the records of ten partitions is hot, one with a tenth is not', () => {
  const [found] = findingsOf('hot-keys', { ...ten, ...sample({ keys: [{ text: '"tru…"', share: 0.34 }] }) })
  assert.deepEqual(found?.evidence, ['"tru…": 34 % of 1000 records'])
  assert.deepEqual(findingsOf('hot-keys', { ...ten, ...sample({ keys: [{ text: 'a', share: 0.1 }] }) }), [])
})

test('few records say nothing of keys, and without a sample nothing can be said', () => {
  const few = sample({ records: 20, keys: [{ text: 'a', share: 0.9 }] })
  assert.deepEqual(findingsOf('hot-keys', { ...ten, ...few }), [])
  assert.equal(findingsOf('hot-keys', { samples: DENIED })[0]?.severity, 'unknown')
  const [unread] = findingsOf('hot-keys', { ...ten, ...sample({ records: 0, problem: 'TOPIC_AUTHORIZATION_FAILED' }) })
  assert.equal(unread?.severity, 'unknown')
  assert.deepEqual(unread.evidence, ['orders: TOPIC_AUTHORIZATION_FAILED'])
})

/** A batch of records with these keys. */
function batchOf(keys: readonly (string | null)[]): Buffer {
  const builder = new RecordBatchBuilder({})
  for (const key of keys) builder.tryAppend(NOW_MS, key === null ? null : Buffer.from(key), Buffer.from('{}'))
  return builder.build({})
}

test('a sample counts keys, and shows of each no more than its beginning and a hash', () => {
  const keys = Array.from({ length: 300 }, (_, index) => (index % 3 === 0 ? 'truck-4711-secret' : `other-${index}`))
  const found = sampleOf('orders', [batchOf(keys), batchOf([null, null])], false)
  assert.equal(found.records, 302)
  assert.equal(found.nullKeys, 2)
  // 100 of 302, less what the 200 kept places cannot tell for certain: never more than it is.
  const [top] = found.keys
  assert.match(top?.text ?? '', /^"tru…" \(murmur2 [0-9a-f]{8}\)$/)
  assert.ok(top !== undefined && top.share > 0.32 && top.share <= 100 / 302, String(top?.share))
  assert.equal(sampleOf('orders', [batchOf(keys)], true).keys[0]?.text, '"truck-4711-secret"')
})

test('Space-Saving keeps all above its share, with a certain lower bound, in fixed memory', () => {
  const counts = new SpaceSaving(10)
  for (let index = 0; index < 10_000; index += 1) {
    counts.add(index % 4 === 0 ? 'hot' : index % 7 === 0 ? 'warm' : `cold-${index}`)
  }
  const [hot, warm] = counts.top(2)
  assert.equal(hot?.item, 'hot')
  assert.equal(hot.count, 2500)
  assert.ok(hot.least > 1500 && hot.least <= 2500)
  assert.equal(warm?.item, 'warm')
  assert.equal(counts.total, 10_000)
  assert.equal(counts.top(100).length, 10)
})

test('a compacted topic with records without a key, and one for dead letters', () => {
  const topicConfigs = settings({ 'cleanup.policy': 'compact' })
  const [found] = findingsOf('compacted-without-keys', { topicConfigs, ...sample({ nullKeys: 3 }) })
  assert.deepEqual(found?.evidence, ['orders: 3 of 1000 sampled records have none'])
  assert.deepEqual(findingsOf('compacted-without-keys', { topicConfigs, ...sample({}) }), [])
  const both = known(new Map([['orders-dlq', new Map([['cleanup.policy', 'compact,delete']])]]))
  const [letters] = findingsOf('compacted-without-keys', { topicConfigs: both })
  assert.deepEqual(letters?.evidence, ['orders-dlq: dead letters may have no key'])
})

test('dead letters that lie there are a warning, and more of them an error', () => {
  const scan = scanOf([scanned('orders-dlq', [12])])
  assert.equal(findingsOf('dead-letters', { scan, later: known(scan) })[0]?.severity, 'warn')
  const [one] = findingsOf('dead-letters', { scan: scanOf([scanned('orders-dlq', [1])]) })
  assert.match(one?.title ?? '', /^orders-dlq has 1 dead letter(?:,|$)/)
  const later = known(scanOf([scanned('orders-dlq', [15])]))
  const [found] = findingsOf('dead-letters', { scan, later })
  assert.equal(found?.title, 'orders-dlq has 12 dead letters, and more come in')
  assert.equal(found.severity, 'error')
  assert.deepEqual(findingsOf('dead-letters', { scan: scanOf([scanned('orders-dlq', [0])]) }), [])
})

test('dead letters that could not be counted are not none, and do not grow by being seen', () => {
  const away = scanned('orders-dlq', [-1, 3], { logStartOffset: 0n })
  const dark = scanned('orders-dlq', [-1], { logStartOffset: -1n })
  const [unknown] = findingsOf('dead-letters', { scan: scanOf([dark]) })
  assert.equal(unknown?.severity, 'unknown')
  const later = known(scanOf([scanned('orders-dlq', [50, 3])]))
  assert.equal(findingsOf('dead-letters', { scan: scanOf([away]), later })[0]?.severity, 'warn')
})

test('a dead letter topic that the pipeline file does not name is known by its name', () => {
  const scan = scanOf([scanned('payments.DLT', [1]), scanned('deadline', [9])])
  assert.equal(findingsOf('dead-letters', { scan, pipeline: undefined }).length, 1)
})

test('records from the future: a warning from five seconds on, an error from an hour on', () => {
  for (const [aheadMs, severity] of [
    [4_000, undefined],
    [6_000, 'warn'],
    [3_700_000, 'error']
  ] as const) {
    const newest = known([{ topic: 'orders', partition: 0, timestampMs: NOW_MS + aheadMs }])
    assert.equal(findingsOf('clock-skew', { newest })[0]?.severity, severity)
  }
})

test('whose clock it is depends on who dates the records', () => {
  const newest = known([{ topic: 'orders', partition: 0, timestampMs: NOW_MS + 60_000 }])
  assert.match(findingsOf('clock-skew', { newest })[0]?.reason ?? '', /^A producer’s clock/)
  const topicConfigs = settings({ 'message.timestamp.type': 'LogAppendTime' })
  assert.match(findingsOf('clock-skew', { newest, topicConfigs })[0]?.reason ?? '', /^The broker’s clock/)
  assert.equal(findingsOf('clock-skew', { newest: DENIED })[0]?.severity, 'unknown')
})

test('a transaction beyond its limit and a minute hangs; one within is work', () => {
  const open = { transactionalId: 'tx', state: 'Ongoing', timeoutMs: 60_000, topics: ['orders'] }
  const [found] = findingsOf('hanging-transactions', { transactions: known([{ ...open, startMs: NOW_MS - 180_000 }]) })
  assert.deepEqual(found?.evidence, ['tx: Ongoing for 3 min, orders'])
  assert.deepEqual(
    findingsOf('hanging-transactions', { transactions: known([{ ...open, startMs: NOW_MS - 90_000 }]) }),
    []
  )
})

test('without the right to see transactions, what they hold back is seen all the same', () => {
  const scan = scanOf([scanned('orders', [100], { lastStableOffset: 40n })])
  const [found] = findingsOf('hanging-transactions', { transactions: DENIED, scan })
  assert.equal(found?.severity, 'unknown')
  assert.deepEqual(found.evidence, ['orders-0: 60 records behind the last stable offset'])
})
