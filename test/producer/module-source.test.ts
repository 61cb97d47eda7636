import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { chunkOfEvents, moduleSource, type Source } from '../../src/producer/index.ts'
import { HeldIntake } from './held-intake.ts'

async function sourceOf(t: TestContext, text: string, timeoutMs = 50): Promise<Source> {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-module-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'my-source.mjs')
  await writeFile(file, text)
  return await moduleSource({ file, timeoutMs, options: { count: 3 } })
}

const progress = 'progress() { return { eventCount: 0, readBytes: 0, safeBytes: 0 } }'

test('a module makes a source, which gets its options', async t => {
  const source = await sourceOf(
    t,
    `export async function createSource(options, { clock, logger }) {
      return {
        name: 'mine',
        async run(intake) { logger.info({ at: clock.now() }, String(options.count) + intake.recordBytesMax) },
        progress: () => ({ eventCount: options.count, readBytes: 0, safeBytes: 0 }),
        async close() {}
      }
    }`
  )
  await source.run(new HeldIntake(), new AbortController().signal)
  assert.deepEqual([source.name, source.progress().eventCount], ['mine', 3])
  await source.close()
})

test('what is wrong with a module is said in words', async t => {
  const code = 'ERR_PRODUCER_SOURCE_INVALID'
  const cases: readonly (readonly [string, RegExp])[] = [
    ['this is no JavaScript', /cannot be imported: /],
    ['', /no exported function "createSource": it exports nothing/],
    ['export const createSource = 1; export default 2', /it exports createSource, default/],
    ['export function createSource() { throw new Error("no API key") }', /createSource failed: no API key/],
    ['export async function createSource() { throw "text" }', /createSource failed: text/],
    ['export function createSource() { return new Promise(() => {}) }', /gave no source within 50 ms/],
    ['export function createSource() {}', /createSource returned no object/],
    ['export function createSource() { return {} }', /its source has no name/],
    ['export function createSource() { return { name: "mine" } }', /its source has no method "run"/],
    [`export function createSource() { return { name: "mine", run() {}, ${progress} } }`, /no method "close"/]
  ]
  for (const [text, message] of cases) await assert.rejects(sourceOf(t, text), { code, message }, text)
  await assert.rejects(moduleSource({ file: '/absent/source.mjs' }), { code, message: /cannot be imported/ })
})

test('a source that throws ends with its name and its reason, whatever its other functions do', async t => {
  const source = await sourceOf(
    t,
    `export function createSource() {
      return {
        name: 'mine',
        run() { throw new Error('out of paper') },
        progress() { throw new Error('cannot say') },
        close() { throw new Error('cannot close') }
      }
    }`
  )
  const running = source.run(new HeldIntake(), new AbortController().signal)
  await assert.rejects(running, { code: 'ERR_PRODUCER_SOURCE_FAILED', message: /source mine .* failed: out of paper/ })
  assert.deepEqual(source.progress(), { eventCount: 0, readBytes: 0, safeBytes: 0 })
  await source.close()
})

test('a source that never ends is given up when it is closed', async t => {
  const source = await sourceOf(
    t,
    `export function createSource() {
      return { name: 'mine', run: () => new Promise(() => {}), close: () => new Promise(() => {}), ${progress} }
    }`
  )
  const running = source.run(new HeldIntake(), new AbortController().signal)
  const ended = assert.rejects(running, { message: /did not end when it was told to/ })
  await source.close()
  await ended
})

test('events of a program become a chunk', async () => {
  const intake = new HeldIntake()
  intake.isAutomatic = true
  const chunk = chunkOfEvents([{ n: 1 }, '{"n":2}', Buffer.from('{"n":3}'), undefined], { position: 100, number: 7 })
  assert.deepEqual([chunk.position, [...chunk.lines]], [121, [8, 9, 10, 11]])
  const { settled } = await intake.submit(chunk, { source: 'mine' })
  assert.deepEqual(intake.held[0]?.events, ['{"n":1}', '{"n":2}', '{"n":3}'])
  assert.equal((await settled).refusals[0]?.line, 11)
})
