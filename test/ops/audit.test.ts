import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { Audit } from '../../src/ops/audit/audit.ts'
import { LatencyHistogram } from '../../src/ops/audit/latency.ts'
import { EXPECTATION, LEDGER_KIND, type LedgerEntry, LedgerWriter, readLedger } from '../../src/ops/audit/ledger.ts'

/** An event of producer 0, key 1; its sequence is its number. */
function entry(event: number, detail: number, change: Partial<LedgerEntry> = {}): LedgerEntry {
  return { kind: LEDGER_KIND.produced, producer: 0, event, detail, key: 1, keySequence: event, timeMs: 0, ...change }
}

function auditOf(produced: readonly LedgerEntry[]): Audit {
  const audit = new Audit()
  for (const each of produced) audit.produced(each)
  return audit
}

test('a run in which each event reached each of its services once holds', () => {
  const audit = auditOf([entry(0, 0b01), entry(1, 0b11)])
  for (const [event, service] of [
    [0, 0],
    [1, 0],
    [1, 1]
  ] as const)
    audit.delivered(entry(event, service))
  const report = audit.report()
  assert.equal(report.holds, true)
  assert.equal(report.deliveriesDue, 3)
  assert.equal(report.delivered, 3)
  assert.equal(report.duplicates, 0)
})

test('an event that one of its two services never got is lost', () => {
  const audit = auditOf([entry(0, 0b11)])
  audit.delivered(entry(0, 0))
  const report = audit.report()
  assert.equal(report.holds, false)
  assert.deepEqual(report.lost, { count: 1, examples: ['0-0'] })
})

test('a second delivery is a duplicate and no disorder', () => {
  const audit = auditOf([entry(0, 1), entry(1, 1)])
  for (const event of [0, 1, 0, 1]) audit.delivered(entry(event, 0))
  const report = audit.report()
  assert.equal(report.duplicates, 2)
  assert.equal(report.outOfOrder.count, 0)
  assert.equal(report.holds, true)
})

test('a key that goes backwards breaks the run, another key does not', () => {
  const audit = auditOf([entry(0, 1), entry(1, 1), entry(2, 1, { key: 2, keySequence: 0 })])
  audit.delivered(entry(1, 0))
  audit.delivered(entry(2, 0, { key: 2, keySequence: 0 }))
  audit.delivered(entry(0, 0))
  assert.deepEqual(audit.report().outOfOrder, { count: 1, examples: ['0-0'] })
})

test('bad events must be dead lettered with a reason, and sound ones must not', () => {
  const audit = auditOf([
    entry(0, EXPECTATION.malformed),
    entry(1, EXPECTATION.poison | 1),
    entry(2, 1),
    entry(3, EXPECTATION.poison)
  ])
  audit.deadLettered({ producer: 0, event: 0, reason: 'not JSON' })
  audit.deadLettered({ producer: 0, event: 1, reason: '' })
  audit.deadLettered({ producer: 0, event: 2, reason: 'surprise' })
  const report = audit.report()
  assert.deepEqual(report.wrongDeadLetters.examples, ['0-1', '0-2'])
  assert.deepEqual(report.lost.examples, ['0-3'])
  assert.equal(report.deadLettered, 3)
})

test('what was never produced, or went to the wrong service, is unexpected', () => {
  const audit = auditOf([entry(0, 0b01)])
  audit.delivered(entry(0, 1))
  audit.delivered(entry(70_000, 0))
  assert.deepEqual(audit.report().unexpected.examples, ['0-0', '0-70000'])
})

test('a ledger gives back what was written, and a torn last entry is ignored', t => {
  const folder = mkdtempSync(join(tmpdir(), 'comporta-ledger-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'ledger')
  const ledger = new LedgerWriter(path)
  const written = [entry(4_294_967_295, 0x8000, { producer: 255, timeMs: 1_700_000_000_000.5 }), entry(7, 1)]
  for (const each of written) ledger.append(each)
  ledger.close()
  ledger.close()
  appendFileSync(path, Buffer.alloc(23, 1))
  const read: LedgerEntry[] = []
  readLedger(path, each => read.push(each))
  assert.deepEqual(read, written)
})

test('percentiles of 1 to 1000 ms are right within two per cent', () => {
  const histogram = new LatencyHistogram()
  for (let ms = 1; ms <= 1000; ms += 1) histogram.add(ms)
  for (const [share, exact] of [
    [0.5, 500],
    [0.95, 950],
    [0.99, 990]
  ] as const) {
    assert.ok(Math.abs(histogram.percentileMs(share) - exact) / exact < 0.021, `${share}`)
  }
  assert.equal(histogram.maxMs, 1000)
  assert.equal(new LatencyHistogram().percentileMs(0.5), 0)
})
