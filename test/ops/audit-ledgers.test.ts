/** The audit over ledger files. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { auditLedgers, ledgerFiles } from '../../src/ops/audit/audit-ledgers.ts'
import { Audit } from '../../src/ops/audit/audit.ts'
import { LEDGER_KIND, type LedgerEntry, LedgerWriter } from '../../src/ops/audit/ledger.ts'
import { temporaryFolder } from '../support/comporta.ts'

const { produced, acknowledged, delivered } = LEDGER_KIND

function made(event: number, key = 1): LedgerEntry {
  return { kind: produced, producer: 0, event, detail: 1, key, keySequence: event, timeMs: event * 10 }
}

function got(event: number, key = 1): LedgerEntry {
  return { ...made(event, key), kind: delivered, detail: 0 }
}

function write(path: string, entries: readonly LedgerEntry[]): void {
  const ledger = new LedgerWriter(path)
  for (const each of entries) ledger.append(each)
  ledger.close()
}

test('with acknowledgements, what was neither acknowledged nor seen is not due', t => {
  const dir = temporaryFolder(t)
  const acks = [0, 1].map(event => ({ ...made(event), kind: acknowledged }))
  // 2 was handed over and arrived although nobody was told so; 3 was handed over and is nowhere.
  write(join(dir, 'a.ledger'), [...[0, 1, 2, 3].map(event => made(event)), ...acks])
  write(join(dir, 'b.ledger'), [got(0), got(2)])

  const audit = auditLedgers(ledgerFiles([dir]))

  assert.deepEqual(
    [audit.handedOver, audit.produced, audit.delivered, audit.lost],
    [4, 3, 2, { count: 1, examples: ['0-1'] }]
  )
  assert.equal(audit.longestGapMs, 20)
})

test('what was made is read first, whatever the names of files; repeats are counted by service', t => {
  const dir = temporaryFolder(t)
  write(join(dir, 'z.ledger'), [made(0)])
  write(join(dir, 'a.ledger'), [got(0), got(0)])

  const audit = auditLedgers(ledgerFiles([dir]))

  assert.deepEqual([audit.holds, audit.duplicates, audit.duplicatesByService], [true, 1, [1]])
})

test('a file that is no ledger is ERR_OPS_LEDGER_INVALID; so are a folder without any and no file at all', t => {
  const dir = temporaryFolder(t)
  const text = join(dir, 'x.ledger')
  assert.throws(() => ledgerFiles([dir]), { code: 'ERR_OPS_LEDGER_INVALID', message: /no ledger/ })
  writeFileSync(text, 'this is a text that is longer than one entry')

  assert.throws(() => auditLedgers(ledgerFiles([dir])), {
    code: 'ERR_OPS_LEDGER_INVALID',
    message: /x\.ledger.*entry 0/
  })
  assert.throws(() => ledgerFiles([join(dir, 'none')]), { code: 'ERR_OPS_LEDGER_INVALID' })
})

test('ledgers in which nothing is due do not hold: there is nothing to judge', t => {
  const dir = temporaryFolder(t)
  writeFileSync(join(dir, 'torn.ledger'), 'torn')

  assert.throws(() => auditLedgers(ledgerFiles([dir])), { code: 'ERR_OPS_LEDGER_INVALID', message: /nothing to judge/ })
})

test('a damaged number or time is an error, and costs no memory; a folder is no ledger', t => {
  const dir = temporaryFolder(t)
  const path = join(dir, 'a.ledger')
  const invalid = (message: RegExp): { code: string; message: RegExp } => ({ code: 'ERR_OPS_LEDGER_INVALID', message })
  write(path, [made(0), { ...made(0xffffffff), kind: acknowledged }])
  assert.throws(() => auditLedgers([path]), invalid(/event 4294967295 of producer 0/))
  write(join(dir, 'b.ledger'), [{ ...made(0), timeMs: Number.NaN }])
  assert.throws(() => auditLedgers([join(dir, 'b.ledger')]), invalid(/entry 0: time NaN/))
  assert.throws(() => auditLedgers([dir]), invalid(/cannot be read/))
})

test('a ledger longer than what is read at once is read whole; one that is named twice counts once', t => {
  const dir = temporaryFolder(t)
  const events = Array.from({ length: 70_000 }, (_, event) => event)
  write(join(dir, 'a.ledger'), [...events.map(event => made(event)), ...events.map(event => got(event))])

  const audit = auditLedgers(ledgerFiles([dir, join(dir, 'a.ledger')]))

  assert.deepEqual([audit.holds, audit.produced, audit.delivered, audit.duplicates], [true, 70_000, 70_000, 0])
})

test('what was acknowledged is due without its produced entry, a producer without acknowledgements by itself', t => {
  const dir = temporaryFolder(t)
  const silent = { ...made(7), producer: 1 }
  write(join(dir, 'a.ledger'), [{ ...made(3), kind: acknowledged }, silent])

  assert.deepEqual(auditLedgers(ledgerFiles([dir])).lost, { count: 2, examples: ['0-3', '1-7'] })
})

test('service 32 is not service 0; a dead letter that comes again is a repeat', () => {
  const audit = new Audit()
  audit.produced(made(0))
  audit.produced({ ...made(1), detail: 0x8000 })
  assert.equal(audit.delivered({ ...got(0), detail: 32 }), 'unexpected')
  for (const _ of [1, 2]) audit.deadLettered({ producer: 0, event: 1, reason: 'malformed' })

  const { lost, deadLettered, duplicates } = audit.report()
  assert.deepEqual([lost.count, deadLettered, duplicates], [1, 1, 1])
})

test('a key that moved may be late, and is counted; another may not', () => {
  const audit = new Audit({ mayBeLate: entry => entry.key === 2 })
  for (const event of [0, 1]) for (const key of [1, 2]) audit.produced(made(event * 2 + key, key))
  for (const [event, key] of [
    [4, 2],
    [3, 1],
    [2, 2],
    [1, 1]
  ] as const)
    audit.delivered(got(event, key))

  assert.equal(audit.allowedLateCount, 1)
  assert.deepEqual(audit.report().outOfOrder, { count: 1, examples: ['0-1'] })
})
