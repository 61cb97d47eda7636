import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { PipelineError } from '../../../src/core/index.ts'
import { createBatchGuard } from '../../../src/lambda/idempotency/create-guard.ts'
import { runProcess } from '../../support/child-process.ts'

test('two processes that claim the same records in one file share them out, and none is claimed twice', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-claims-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const worker = join(import.meta.dirname, 'sqlite-worker.ts')
  const file = join(folder, 'claims.sqlite')
  const runs = await Promise.all(
    Array.from({ length: 2 }, () => runProcess(process.execPath, [worker, file], { timeoutMs: 30_000 }))
  )
  // What each of them says is a list of texts.
  const claimed = runs.flatMap(({ stdout }) => JSON.parse(/\[.*\]/.exec(stdout)?.[0] ?? '[]') as string[])
  assert.equal(new Set(claimed).size, claimed.length)
  assert.equal(claimed.length, 1_000)
})

test('a file that is no database is named, and nothing is claimed', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-claims-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'notes.txt')
  await writeFile(file, 'these are notes and not a database at all, whatever the settings say '.repeat(40))
  const guard = createBatchGuard({ store: { type: 'sqlite', file } })
  const batch = [{ topic: 'trips', partition: 0, offsets: [1], ids: undefined }]
  await assert.rejects(guard.begin(batch, Date.now() + 60_000), error => {
    assert.ok(PipelineError.is(error, 'ERR_LAMBDA_IDEMPOTENCY_STORE'))
    assert.match(error.message, /cannot open .*notes\.txt as a SQLite database/)
    return true
  })
})
