/**
 * Concurrent invocations that claim the same records, with deaths at every step, clocks that are wrong, and a store
 * that fails before and after it has done what it was asked for. `SEEDS=n` runs that many, `TEST_SEED=s` one of them
 * again, with everything that happened in it if it fails.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import assert from 'node:assert/strict'

import { MemoryStore } from '../../src/lambda/idempotency/memory-store.ts'
import { SqliteStore } from '../../src/lambda/idempotency/sqlite-store.ts'
import type { ClaimStore } from '../../src/lambda/idempotency/store.ts'
import { IdempotencyWorld } from './idempotency-world.ts'

const given = process.env['TEST_SEED']
const seedCount = given === undefined ? Number(process.env['SEEDS'] ?? 14) : 1
const firstSeed = Number(given ?? 1)

type OpenStore = (t: TestContext) => Promise<ClaimStore>

const inMemory: OpenStore = async () => new MemoryStore()

const inFile: OpenStore = async t => {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-claims-'))
  const store = new SqliteStore({ file: join(folder, 'claims.sqlite') })
  t.after(async () => {
    await store.close()
    await rm(folder, { recursive: true, force: true })
  })
  return store
}

for (const [kind, isById] of [
  ['offset', false],
  ['business id', true]
] as const) {
  for (const [place, open, share] of [
    ['memory', inMemory, 1],
    ['SQLite', inFile, 0.05]
  ] as const) {
    const title = `by ${kind}, in ${place}: nothing is lost, with two at once, or repeated once it is done`
    test(`${title} (TEST_SEED=${firstSeed})`, async t => {
      const counts = { takeovers: 0, faults: 0, deaths: 0, lost: 0 }
      for (let seed = firstSeed; seed < firstSeed + Math.max(1, Math.ceil(seedCount * share)); seed += 1) {
        const world = new IdempotencyWorld({ seed, store: await open(t), isById })
        try {
          await world.run(400)
        } catch (error) {
          const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
          assert.fail(`TEST_SEED=${seed}: ${message}\n${world.log.join('\n')}`)
        }
        for (const name of Object.keys(counts) as (keyof typeof counts)[]) counts[name] += world.counts[name]
      }
      // A run that meets none of this proves nothing.
      if (seedCount >= 14 && share === 1) {
        for (const [name, count] of Object.entries(counts)) assert.ok(count > 2, `only ${count} ${name}`)
      }
      t.diagnostic(JSON.stringify(counts))
    })
  }
}
