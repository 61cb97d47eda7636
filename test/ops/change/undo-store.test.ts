import assert from 'node:assert/strict'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { applyChange } from '../../../src/ops/change/apply-change.ts'
import { UndoStore } from '../../../src/ops/change/undo-store.ts'
import { cellsChange, folderOf, Killed, mortalDisk, Steps, storeIn } from './change-support.ts'

test('a change is on disk before it begins, for its owner only, and says what became of it', async t => {
  const folder = join(folderOf(t), 'a', 'undo')
  const store = storeIn(folder)
  const cells = [1, 2, 3]
  const change = cellsChange(cells, () => {
    const [name] = readdirSync(folder)
    assert.match(name ?? '', /^20260301T090000Z-cells-[0-9a-z]{6}\.json$/)
    assert.equal(statSync(join(folder, name ?? '')).mode & 0o777, 0o600)
  })
  const said: string[] = []
  const { record, result } = await applyChange(change, {
    store,
    clusterId: 'c1',
    onProgress: text => said.push(text)
  })
  assert.deepEqual([result.summary, said.length], ['3 cells set', 3])
  assert.equal(statSync(folder).mode & 0o777, 0o700)
  const found = await store.read(record.id)
  assert.deepEqual(found, record)
  assert.deepEqual(
    [found.state, found.snapshot, found.clusterId, found.createdAt, found.effectCount],
    ['applied', [1, 2, 3], 'c1', '2026-03-01T09:00:00.000Z', 3]
  )
  assert.deepEqual(readdirSync(folder), [`${record.id}.json`])
})

test('whenever the process ends, the file is whole and the snapshot lies there before the first change', async t => {
  const atAll = 4 + 3 + 4 // a record, three cells, the record again
  for (let killAt = 0; killAt <= atAll; killAt += 1) {
    const folder = folderOf(t)
    const steps = new Steps(killAt)
    const cells = [1, 2, 3]
    const options = { store: storeIn(folder, mortalDisk(steps)), clusterId: null }
    const run = applyChange(
      cellsChange(cells, () => steps.step()),
      options
    )
    if (killAt < atAll) {
      await assert.rejects(run, error => error instanceof Killed || /cannot be written/.test(String(error)))
    } else await run
    const { records, damaged } = await storeIn(folder).list()
    assert.deepEqual(damaged, [])
    const changed = cells.filter(value => value === 9).length
    assert.equal(changed, Math.max(0, Math.min(3, killAt - 4)))
    if (changed > 0) assert.deepEqual(records[0]?.snapshot, [1, 2, 3])
    // The new state is there as soon as its file has been renamed.
    const states = killAt < 3 ? [] : [killAt < atAll - 1 ? 'planned' : 'applied']
    assert.deepEqual(
      records.map(record => record.state),
      states
    )
  }
})

test('a change that ends with an error, or is ended by a signal, is known to be partial', async t => {
  const folder = folderOf(t)
  let left = 1
  const failing = cellsChange([1, 2], () => {
    if (left-- === 0) throw new Error('the broker has gone')
  })
  await assert.rejects(applyChange(failing, { store: storeIn(folder), clusterId: 'c' }), /the broker has gone/)
  const [record] = (await storeIn(folder).list()).records
  assert.deepEqual([record?.state, record?.result?.failures], ['partial', ['the broker has gone']])
  const signal = AbortSignal.abort()
  const store = new UndoStore({ folder: join(folder, 'other') })
  const stopped = await applyChange(cellsChange([1]), { store, clusterId: 'c', signal })
  assert.deepEqual([stopped.record.state, stopped.result.isComplete], ['partial', false])
})

test('a change whose blockers were not heeded is not applied', async t => {
  const { plan, ...rest } = cellsChange([1])
  const blocked = { ...rest, plan: { ...plan, blockers: ['the group is at work'] } }
  const store = storeIn(folderOf(t))
  await assert.rejects(applyChange(blocked, { store, clusterId: 'c' }), { code: 'ERR_CORE_INVARIANT' })
  assert.deepEqual(await store.list(), { records: [], damaged: [], total: 0 })
})

test('an undo that was done marks what it has taken back', async t => {
  const store = storeIn(folderOf(t))
  const first = await applyChange(cellsChange([1]), { store, clusterId: 'c' })
  const second = await applyChange(cellsChange([9]), { store: store, clusterId: 'c', undoes: first.record })
  const found = await store.read(first.record.id)
  assert.deepEqual([found.state, (await store.read(second.record.id)).undoes], ['undone', first.record.id])
})

test('a damaged file is reported and harms no other', async t => {
  const folder = folderOf(t)
  const store = storeIn(folder)
  const { record } = await applyChange(cellsChange([1]), { store, clusterId: 'c' })
  const good = JSON.stringify({ format: 'comporta-undo', version: 1, ...record })
  const bad: Record<string, [text: string, reason: RegExp]> = {
    'half.json': [good.slice(0, 40), /JSON/],
    'empty.json': ['', /JSON/],
    'list.json': ['[]', /no object/],
    'foreign.json': ['{"a":1}', /no record of a change/],
    'later.json': [good.replace('"version":1', '"version":2'), /version 2, not 1/],
    'renamed.json': [good, /its id is not its name/],
    'state.json': [
      good.replace('"applied"', '"perhaps"').replace(record.id, 'state'),
      /no state that is known: perhaps/
    ],
    'undo.json': [good.replace('"kind":"possible"', '"kind":"x"').replace(record.id, 'undo'), /"undo" is not known/]
  }
  for (const [name, [text]] of Object.entries(bad)) writeFileSync(join(folder, name), text)
  writeFileSync(join(folder, 'notes.txt'), 'not ours')
  const { records, damaged } = await store.list()
  assert.deepEqual(
    records.map(({ id }) => id),
    [record.id]
  )
  assert.equal(damaged.length, Object.keys(bad).length)
  for (const { file, reason } of damaged) assert.match(reason, bad[file.slice(folder.length + 1)]?.[1] ?? /^$/)
  await assert.rejects(store.read('half'), { code: 'ERR_OPS_UNDO_DAMAGED' })
})

test('a record is found by the beginning of its id that no other has', async t => {
  const store = storeIn(folderOf(t))
  const { record } = await applyChange(cellsChange([1]), { store, clusterId: 'c' })
  assert.equal((await store.read('20260301')).id, record.id)
  await applyChange(cellsChange([2]), { store, clusterId: 'c' })
  await assert.rejects(store.read('20260301'), { code: 'ERR_OPS_NOT_FOUND', message: /2 changes begin with 20260301/ })
  for (const id of ['', 'x', '../undo-store']) await assert.rejects(store.read(id), { code: 'ERR_OPS_NOT_FOUND' })
})

test('a folder that cannot be written stops the change before anything is changed', async t => {
  const folder = folderOf(t)
  writeFileSync(join(folder, 'file'), '')
  const cells = [1]
  const store = storeIn(join(folder, 'file', 'undo'))
  await assert.rejects(applyChange(cellsChange(cells), { store, clusterId: 'c' }), { code: 'ERR_OPS_UNDO_STORE' })
  assert.deepEqual(cells, [1])
})
