/** Environments of the embedded runtime that start processes, or follow files: too heavy for `npm test`. */

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'

import { sleep, systemClock } from '../../src/core/index.ts'
import { basic, memoryLogger, sdkFor, startRuntime, until } from '../lambda/support.ts'

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'comporta-lambda-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

test('in a process of its own a function can be killed, abort or take too much, and nobody else notices', async t => {
  const inProcess = { isolation: 'process', memoryMb: 64, timeoutMs: 60_000 } as const
  const functions = {
    killed: basic('isKilled', inProcess),
    greedy: basic('takesBuffers', { ...inProcess, memoryMb: 16 }),
    counts: basic('counts', inProcess),
    id: basic('processId', inProcess)
  }
  const client = sdkFor(t, await startRuntime(t, { functions }))
  const errorOf = async (name: string, event: unknown): Promise<unknown> => {
    const { output, payload } = await client.invoke(name, event)
    const { errorType, errorMessage } = payload as { errorType: string; errorMessage: string }
    return `${errorType}: ${errorMessage.replace(output.$metadata.requestId ?? '', 'ID')}`
  }

  const [killed, greedy, first, id] = await Promise.all([
    errorOf('killed', { signal: 'SIGABRT' }),
    process.platform === 'linux' ? errorOf('greedy', { mb: 300 }) : undefined,
    client.invoke('counts', {}),
    client.invoke('id', {})
  ])
  assert.equal(killed, 'Runtime.ExitError: RequestId: ID Error: Runtime exited with error: signal: aborted')
  if (greedy !== undefined) {
    assert.equal(greedy, 'Runtime.OutOfMemory: RequestId: ID Error: Runtime exited with error: signal: killed')
  }
  assert.equal(first.payload, 1)
  assert.equal((await client.invoke('counts', {})).payload, 2)
  assert.notEqual(id.payload, process.pid)
})

test('changed code runs in new environments, a busy one finishes, and broken code is reported', async t => {
  const folder = await folderFor(t)
  const [main, part] = [path.join(folder, 'main.mjs'), path.join(folder, 'part.mjs')]
  const gate = path.join(folder, 'open')
  const code = (answer: string): string => `
    import { existsSync } from 'node:fs'
    import { word } from './part.mjs'
    export async function handler(event) {
      while (event.wait && !existsSync(event.wait)) await new Promise(resolve => setTimeout(resolve, 5))
      return word + ${JSON.stringify(answer)}
    }`
  await writeFile(part, 'export const word = "one "')
  await writeFile(main, code('old'))
  const logger = memoryLogger()
  const runtime = await startRuntime(t, {
    functions: { f: { handler: 'main.handler' } },
    taskRoot: folder,
    watch: true,
    logger
  })
  const client = sdkFor(t, runtime)
  const reloads = (): number => logger.lines.filter(line => line.message.startsWith('its code changed')).length
  assert.equal((await client.invoke('f', {})).payload, 'one old')

  const busy = client.invoke('f', { wait: gate })
  await until(() => runtime.status()[0]?.busyCount === 1)
  // As an editor does: a new file, renamed over the old one.
  await writeFile(`${part}.new`, 'export const word = "two "')
  await rename(`${part}.new`, part)
  await until(() => reloads() === 1)
  assert.equal((await client.invoke('f', {})).payload, 'two old')
  await writeFile(gate, '')
  assert.equal((await busy).payload, 'one old')

  await writeFile(main, 'export const handler = async ( => 1')
  await until(() => logger.lines.some(line => line.message === 'the function cannot be loaded'))
  assert.partialDeepStrictEqual((await client.invoke('f', {})).payload, { errorType: 'Runtime.UserCodeSyntaxError' })
  await writeFile(main, code('new'))
  await until(() => reloads() >= 3)
  assert.equal((await client.invoke('f', {})).payload, 'two new')
})

// Symptom: saved code ran no more until the runtime was started anew. Cause: a watcher stays with the folder that was
// removed. Reach: every build that clears its output folder, every folder that is swapped by renames.
test('code in a folder that is removed, made anew or swapped is reloaded all the same', async t => {
  const root = await folderFor(t)
  const write = async (folder: string, answer: number): Promise<void> => {
    await mkdir(path.join(root, folder), { recursive: true })
    await writeFile(path.join(root, folder, 'f.mjs'), `export const handler = async () => ${answer}`)
  }
  await write('dist', 1)
  const functions = { f: { handler: 'dist/f.handler' } }
  const client = sdkFor(t, await startRuntime(t, { functions, taskRoot: root, watch: true }))
  const answers = async (expected: number): Promise<void> => {
    while ((await client.invoke('f', {})).payload !== expected) await sleep(systemClock, 20)
  }
  await answers(1)

  await rm(path.join(root, 'dist'), { recursive: true })
  await write('dist', 2)
  await answers(2)
  await write('next', 3)
  await rename(path.join(root, 'dist'), path.join(root, 'old'))
  await rename(path.join(root, 'next'), path.join(root, 'dist'))
  await answers(3)
  await write('dist', 4)
  await answers(4)
})
