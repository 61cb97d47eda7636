/** Functions that mean no good: the runtime stays up, answers, and leaves nothing behind. */

import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'

import { sleep, systemClock, VirtualClock } from '../../src/core/index.ts'
import type { FunctionOptions } from '../../src/lambda/index.ts'
import { isRunning, sdkFor, startRuntime, until } from './support.ts'

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'comporta-lambda-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

function hostile(name: string, options: Partial<FunctionOptions> = {}): FunctionOptions {
  return { handler: `hostile.${name}`, timeoutMs: 60_000, ...options }
}

// Symptom: the runtime ended with a TypeError. Cause: the level of a log message was taken for a name of the logger's
// methods, unchecked. Reach: any function that writes to the line it shares with the runtime, threads and processes.
test('levels that are none, on the line to the runtime, do not end it', async t => {
  const functions = { thread: hostile('oddLevels'), process: hostile('oddLevels', { isolation: 'process' }) }
  const client = sdkFor(t, await startRuntime(t, { functions }))

  assert.equal((await client.invoke('thread', {})).payload, 'done')
  assert.equal((await client.invoke('process', {})).payload, 'done')
})

// Symptom: an invocation whose environment had ended was answered only after its timeout, a stop hung, and processes
// stayed behind. Cause: only the environment itself was killed, and its end was waited for by its output, which a
// process that it had started still held. Reach: every function in a process of its own that starts others.
test('what an environment has started ends with it, and holds up neither the answer nor the stop', async t => {
  const folder = await folderFor(t)
  const functions = { leaves: hostile('leavesChild', { isolation: 'process' }) }
  const runtime = await startRuntime(t, { functions })
  const client = sdkFor(t, runtime)
  const files = [path.join(folder, 'first'), path.join(folder, 'second')]

  const { payload } = await client.invoke('leaves', { file: files[0], ends: true })
  assert.partialDeepStrictEqual(payload, { errorType: 'Runtime.ExitError' })
  assert.equal((await client.invoke('leaves', { file: files[1], ends: false })).payload, 'left')
  await runtime.close()

  const pids = await Promise.all(files.map(async file => Number(await readFile(file, 'utf8'))))
  await until(() => pids.every(pid => !isRunning(pid)))
})

// Symptom: 60 threads and 1.4 GB after 6 s. Cause: a thread in a synchronous call outlives its environment, and each
// invocation that ran into its timeout left one. Reach: `execSync` in a function that is slower than its timeout.
test('threads that cannot be ended do not pile up', async t => {
  const folder = await folderFor(t)
  const event = { begun: path.join(folder, 'begun'), gate: path.join(folder, 'gate') }
  const clock = new VirtualClock()
  const functions = { stuck: hostile('isStuck', { timeoutMs: 1_000 }) }
  const runtime = await startRuntime(t, { functions, clock })
  const client = sdkFor(t, runtime)
  const late = Array.from({ length: 8 }, async () => await client.invoke('stuck', event))
  await until(() => existsSync(event.begun) && readFileSync(event.begun, 'utf8').length === 8)
  await clock.advance(1_000)
  for (const { payload } of await Promise.all(late)) {
    assert.partialDeepStrictEqual(payload, { errorType: 'Sandbox.Timedout' })
  }
  await clock.advance(1_000)

  await assert.rejects(client.invoke('stuck', event), { name: 'TooManyRequestsException' })
  assert.partialDeepStrictEqual(runtime.status()[0], { busyCount: 0, timeouts: 8, throttles: 1 })
  writeFileSync(event.gate, '')
  await untilInvoked(() => client.invoke('stuck', event))
})

async function untilInvoked(invoke: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await invoke()
      return
    } catch {
      await sleep(systemClock, 50)
    }
  }
}
