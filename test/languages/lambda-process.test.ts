/** The embedded runtime as a process that is killed. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'

import { isRunning, until } from '../lambda/support.ts'
import { temporaryFolder } from '../support/comporta.ts'

// Symptom: a process that took a whole core, for good. Cause: a handler that does not yield cannot hear that its
// runtime is gone. Reach: `isolation: process`, and a runtime that is killed (SIGKILL, out of memory, a crash).
test('a function that spins in a process ends with a runtime that is killed', async t => {
  const file = path.join(temporaryFolder(t), 'pid')
  const runtime = spawn(process.execPath, [path.join(import.meta.dirname, '../lambda/runtime-process.ts')], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.after(() => runtime.kill('SIGKILL'))
  const [endpoint] = (await once(runtime.stdout, 'data')) as [Buffer]
  const address = `${endpoint.toString().trim()}/2015-03-31/functions/spins/invocations`
  fetch(address, { method: 'POST', body: JSON.stringify({ file }) }).catch(() => undefined)
  await until(() => existsSync(file) && readFileSync(file, 'utf8') !== '')
  const pid = Number(readFileSync(file, 'utf8'))
  assert.ok(isRunning(pid))

  runtime.kill('SIGKILL')
  await until(() => !isRunning(pid))
})
