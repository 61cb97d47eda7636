/**
 * What every store of claims must do, as cases that each store runs: in memory, in a SQLite file, in a table of
 * DynamoDB as several servers understand it.
 */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import type { ClaimStore, Pointer, PointerWrite } from '../../src/lambda/idempotency/store.ts'

/** The store under test: opened anew for each case, on the same data if asked twice. */
export type OpenStore = (t: TestContext) => Promise<{ readonly store: ClaimStore; readonly again: () => ClaimStore }>

const limits = { nowMs: 1_800_000_000_000, timeoutMs: 5_000 }
const later = limits.nowMs + 3_600_000

let keys = 0
/** A key that no other case has: stores may be shared. */
function newKey(): string {
  keys += 1
  return `orders|o|trips|3|${process.pid}-${keys}`
}

function pointer(owner: string, more: Partial<Pointer> = {}): Pointer {
  return { owner, index: 7, atMs: limits.nowMs, untilMs: limits.nowMs + 30_000, expiresMs: later, ...more }
}

function write(key: string, owner: string, more: Partial<PointerWrite> = {}): PointerWrite {
  return { key, pointer: pointer(owner), replaces: undefined, ...more }
}

/** Declares the cases for one store. */
export function claimStoreCases(name: string, open: OpenStore): void {
  test(`${name}: a document is written once under its key, and then only over its last version`, async t => {
    const { store, again } = await open(t)
    const key = newKey()
    const change = { key, expiresMs: later }
    assert.equal(await store.read(key, limits), undefined)

    assert.deepEqual(await store.swap({ ...change, expected: undefined, version: 'a.1', text: '{"d":[]}' }, limits), {
      kind: 'ok'
    })
    const first = { version: 'a.1', text: '{"d":[]}' }
    assert.deepEqual(await again().read(key, limits), first)

    const late = await store.swap({ ...change, expected: undefined, version: 'b.1', text: 'late' }, limits)
    assert.deepEqual(late, { kind: 'conflict', current: first })
    assert.deepEqual(await store.swap({ ...change, expected: 'a.1', version: 'b.2', text: 'second' }, limits), {
      kind: 'ok'
    })
    const stale = await store.swap({ ...change, expected: 'a.1', version: 'c.1', text: 'stale' }, limits)
    assert.deepEqual(stale, { kind: 'conflict', current: { version: 'b.2', text: 'second' } })
  })

  test(`${name}: a change of a document that is gone is a conflict with nothing`, async t => {
    const { store } = await open(t)
    const result = await store.swap(
      { key: newKey(), expected: 'a.1', version: 'a.2', text: 'x', expiresMs: later },
      limits
    )
    assert.deepEqual(result, { kind: 'conflict', current: undefined })
  })

  test(`${name}: of many changes of one version at once exactly one is made`, async t => {
    const { store, again } = await open(t)
    const key = newKey()
    const other = again()
    const results = await Promise.all(
      Array.from({ length: 12 }, (_, writer) =>
        (writer % 2 === 0 ? store : other).swap(
          { key, expected: undefined, version: `w.${writer}`, text: `by ${writer}`, expiresMs: later },
          limits
        )
      )
    )
    const winners = results.flatMap((result, writer) => (result.kind === 'ok' ? [writer] : []))
    assert.equal(winners.length, 1)
    assert.deepEqual(await store.read(key, limits), { version: `w.${winners[0]}`, text: `by ${winners[0]}` })
  })

  pointerCases(name, open)
}

function pointerCases(name: string, open: OpenStore): void {
  test(`${name}: pointers are written where there are none, and the others answer what they are`, async t => {
    const { store, again } = await open(t)
    const taken = [newKey(), newKey()]
    assert.deepEqual(
      await store.point(
        taken.map(key => write(key, 'first')),
        limits
      ),
      [undefined, undefined]
    )

    // More than one transaction holds, with those that are taken in between.
    const free = Array.from({ length: 120 }, newKey)
    const all = [...free.slice(0, 3), taken[0] ?? '', ...free.slice(3, 80), taken[1] ?? '', ...free.slice(80)]
    const found = await again().point(
      all.map(key => write(key, 'second')),
      limits
    )
    for (const [position, key] of all.entries()) {
      assert.deepEqual(found[position], taken.includes(key) ? pointer('first') : undefined, `position ${position}`)
    }
    assert.deepEqual(await store.point([write(free[110] ?? '', 'third')], limits), [pointer('second')])
  })

  test(`${name}: a pointer that has expired, or that is replaced by name, is written over`, async t => {
    const { store } = await open(t)
    const [expired, replaced, changed] = [newKey(), newKey(), newKey()]
    const old = pointer('old', { expiresMs: limits.nowMs })
    await store.point(
      [write(expired, 'old', { pointer: old }), write(replaced, 'old'), write(changed, 'other')],
      limits
    )

    const found = await store.point(
      [write(expired, 'new'), write(replaced, 'new', { replaces: 'old' }), write(changed, 'new', { replaces: 'old' })],
      limits
    )

    assert.deepEqual(found, [undefined, undefined, pointer('other')])
    const now = await store.point([write(expired, 'third'), write(replaced, 'third')], limits)
    assert.deepEqual(now, [pointer('new'), pointer('new')])
  })

  test(`${name}: of many claims on one id exactly one is written`, async t => {
    const { store, again } = await open(t)
    const shared = newKey()
    const stores = [store, again(), again()]
    const results = await Promise.all(
      stores.map((each, writer) => each.point([write(newKey(), `w.${writer}`), write(shared, `w.${writer}`)], limits))
    )
    const winners = results.flatMap(([, pointed], writer) => (pointed === undefined ? [writer] : []))
    assert.equal(winners.length, 1)
    for (const [, pointed] of results) if (pointed !== undefined) assert.equal(pointed.owner, `w.${winners[0]}`)
  })
}
