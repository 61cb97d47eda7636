/** `comporta chaos` and `comporta audit` as commands; the experiments themselves are in test/chaos. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { newFolder } from '../../src/cli/chaos/run.ts'
import { CHAOS_EXPERIMENTS, EXPECTATION, LEDGER_KIND, LedgerWriter } from '../../src/ops/index.ts'
import { runComporta, temporaryFolder } from '../support/comporta.ts'

const entry = { producer: 0, event: 0, detail: 1, key: 5, keySequence: 0, timeMs: 1000 }

test('chaos list has every experiment; an unknown one is a mistake, one that cannot be done no success', async () => {
  const [text, unknown, skipped] = await Promise.all([
    runComporta(['chaos', 'list']),
    runComporta(['chaos', 'run', 'tornado']),
    runComporta(['chaos', 'run', 'broker-kill', '--brokers', '127.0.0.1:1', '--json'])
  ])

  const names = CHAOS_EXPERIMENTS.map(each => each.name)
  for (const name of names) assert.ok(text.stdout.includes(`\n${name}\n`), name)
  assert.notEqual(unknown.exitCode, 0)
  assert.match(unknown.stderr, /no experiment is called tornado; there are: kill-dispatcher/)
  assert.equal(unknown.stdout, '')
  const { reports } = JSON.parse(skipped.stdout) as { reports: { verdict: string }[] }
  assert.deepEqual(
    [skipped.exitCode, reports.map(({ verdict }) => verdict)],
    [1, ['skipped']],
    'nothing was seen to hold'
  )
})

test('a run never goes on in the folder of another, whose ledgers would be judged with its own', t => {
  const dir = temporaryFolder(t)
  assert.deepEqual(
    [1, 2].map(() => newFolder(join(dir, 'keep'), 'kill-all')),
    [join(dir, 'keep/kill-all'), join(dir, 'keep/kill-all-2')]
  )
})

test('audit judges the ledgers of a folder: exit 0 if all arrived, 1 if not, 65 if it is no ledger', async t => {
  const dir = temporaryFolder(t)
  const produced = new LedgerWriter(join(dir, 'produced.ledger'))
  produced.append({ ...entry, kind: LEDGER_KIND.produced })
  produced.append({ ...entry, kind: LEDGER_KIND.produced, event: 1, detail: EXPECTATION.malformed })
  produced.close()
  const delivered = new LedgerWriter(join(dir, 'delivered.ledger'))
  for (const _ of [1, 2]) delivered.append({ ...entry, kind: LEDGER_KIND.delivered, detail: 0 })
  delivered.close()
  const letters = new LedgerWriter(join(dir, 'letters.ledger'))
  letters.append({ ...entry, kind: LEDGER_KIND.deadLettered, event: 1, detail: 1 })
  letters.close()
  writeFileSync(join(dir, 'notes.txt'), 'not a ledger, and longer than an entry')

  const [repeated, allowed, none] = await Promise.all([
    runComporta(['audit', dir]),
    runComporta(['audit', dir, '--duplicates-max', '1', '--json']),
    runComporta(['audit', join(dir, 'notes.txt')])
  ])

  assert.equal(repeated.exitCode, 1, repeated.stderr)
  assert.match(repeated.stdout, /✗ duplicates: 1, at most 0 may be/)
  assert.equal(allowed.exitCode, 0, allowed.stderr)
  const report = JSON.parse(allowed.stdout) as Record<string, unknown>
  assert.deepEqual(
    [report['holds'], report['produced'], report['delivered'], report['duplicates'], report['deadLettered']],
    [true, 2, 1, 1, 1]
  )
  assert.equal(none.exitCode, 65)
  assert.match(none.stderr, /notes\.txt is no ledger, or is damaged \(entry 0: kind 110\)/)
})
