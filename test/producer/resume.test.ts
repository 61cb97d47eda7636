import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { appendFile, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'

import { fileSource, type Source, streamSource } from '../../src/producer/index.ts'
import { HeldIntake } from './held-intake.ts'

const never = new AbortController().signal

interface Place {
  readonly path: string
  readonly state: { readonly file: string }
}

async function place(t: TestContext, content: string | Buffer, name = 'events.ndjson'): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-resume-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, name)
  await writeFile(path, content)
  return { path, state: { file: join(folder, 'position') } }
}

async function published(source: Source): Promise<string[]> {
  const intake = new HeldIntake()
  intake.isAutomatic = true
  await source.run(intake, never)
  return intake.held.flatMap(chunk => chunk.events)
}

interface SavedState {
  readonly kind: string
  readonly state: { readonly bytes: number; readonly lines: number; readonly file?: { readonly inode: string } }
}

async function saved(state: { readonly file: string }): Promise<SavedState> {
  return JSON.parse(await readFile(state.file, 'utf8')) as SavedState
}

function lines(from: number, to: number): string {
  let text = ''
  for (let index = from; index < to; index += 1) text += `{"n":${index}}\n`
  return text
}

test('a second run of a file publishes what came since the first, with its line numbers', async t => {
  const { path, state } = await place(t, '{"a":1}\n\n{"b":2}\n')
  assert.deepEqual(await published(fileSource(path, { state })), ['{"a":1}', '{"b":2}'])
  const { kind, state: first } = await saved(state)
  assert.deepEqual([kind, first.bytes, first.lines], ['file', 17, 3])
  assert.equal(first.file?.inode, String((await stat(path)).ino))

  await appendFile(path, '{"c":3}\n{"d":4}')
  const source = fileSource(path, { state })
  assert.deepEqual(await published(source), ['{"c":3}', '{"d":4}'])
  assert.deepEqual(source.progress(), {
    eventCount: 2,
    readBytes: 32,
    safeBytes: 32,
    totalBytes: 32,
    resumedBytes: 17
  })
  assert.equal((await saved(state)).state.lines, 5)

  assert.deepEqual(await published(fileSource(path, { state })), [])
})

test('a last line without its end goes on only after a newline', async t => {
  const { path, state } = await place(t, '{"a":1}\n{"b":2}')
  await published(fileSource(path, { state }))
  await appendFile(path, '\r\n{"c":3}\n')
  assert.deepEqual(await published(fileSource(path, { state })), ['{"c":3}'])

  await writeFile(path, '{"a":1}\n{"b":2')
  await published(fileSource(path, { state: { ...state, isRestart: true } }))
  await appendFile(path, '2}\n')
  await assert.rejects(published(fileSource(path, { state })), {
    code: 'ERR_PRODUCER_STATE_MISMATCH',
    message: /line 2 was published when the input ended with it, and goes on now/
  })
})

test('only what is safe is in the state: a failed event is published again', async t => {
  const line = `{"fill":"${'x'.repeat(1000)}"}\n`
  const { path, state } = await place(t, line.repeat(600)) // three reads of 256 KiB
  const intake = new HeldIntake()
  const running = fileSource(path, { state }).run(intake, never)
  const first = await intake.chunk(0)
  const second = await intake.chunk(1)
  ;(await intake.chunk(2)).acknowledge()
  second.fail()
  first.acknowledge()
  await assert.rejects(running, { code: 'ERR_PRODUCER_DELIVERY_FAILED' })
  assert.equal((await saved(state)).state.lines, first.events.length)
  assert.equal((await published(fileSource(path, { state }))).length, 600 - first.events.length)
})

test('a file that was cut, replaced or rewritten is refused, and nothing of it is published', async t => {
  const { path, state } = await place(t, lines(0, 1000))
  await published(fileSource(path, { state }))
  const original = await readFile(path)
  const changes: readonly (readonly [string | Buffer, RegExp])[] = [
    [original.subarray(0, -1), /it ends before byte/],
    ['', /it ends before byte/],
    [lines(1, 2000), /it begins with other bytes/],
    [Buffer.concat([original.subarray(0, -20), Buffer.from(lines(0, 100))]), /the bytes before byte/]
  ]
  for (const [content, message] of changes) {
    await writeFile(path, content)
    await assert.rejects(published(fileSource(path, { state })), { code: 'ERR_PRODUCER_STATE_MISMATCH', message })
  }
  assert.equal((await saved(state)).state.lines, 1000)
  assert.equal((await published(fileSource(path, { state: { ...state, onChange: 'restart' } }))).length, 1098)
})

test('a copy of the file with the same bytes goes on, whatever its inode is', async t => {
  const { path, state } = await place(t, lines(0, 10))
  await published(fileSource(path, { state }))
  await writeFile(`${path}.copy`, lines(0, 12))
  await rename(`${path}.copy`, path)
  assert.deepEqual(await published(fileSource(path, { state })), ['{"n":10}', '{"n":11}'])
})

test('a restart forgets the position at once', async t => {
  const { path, state } = await place(t, lines(0, 3))
  await published(fileSource(path, { state }))
  assert.equal((await published(fileSource(path, { state: { ...state, isRestart: true } }))).length, 3)
  const intake = new HeldIntake()
  const running = fileSource(path, { state: { ...state, isRestart: true } }).run(intake, never)
  ;(await intake.chunk(0)).fail()
  await assert.rejects(running)
  assert.equal((await published(fileSource(path, { state }))).length, 3)
})

test('a compressed file goes on at its position in the decompressed bytes', async t => {
  const { path, state } = await place(t, gzipSync(lines(0, 5000)), 'events.ndjson.gz')
  const all = await published(fileSource(path, { state }))
  assert.equal(all.length, 5000)
  await writeFile(path, Buffer.concat([gzipSync(lines(0, 5000)), gzipSync(lines(5000, 5003))]))
  assert.deepEqual(await published(fileSource(path, { state })), ['{"n":5000}', '{"n":5001}', '{"n":5002}'])
  await writeFile(path, gzipSync(lines(7, 9000)))
  await assert.rejects(published(fileSource(path, { state })), { code: 'ERR_PRODUCER_STATE_MISMATCH' })
  await writeFile(path, gzipSync(lines(0, 5000)).subarray(0, 4000))
  await assert.rejects(published(fileSource(path)), { code: 'ERR_PRODUCER_SOURCE_FAILED' })
})

test('standard input leaves out what was published, in pieces of any size, and refuses another input', async t => {
  const { state } = await place(t, '')
  const all = lines(0, 100)
  const input = (text: string, size: number): Readable =>
    Readable.from(text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [], { objectMode: false })
  assert.equal((await published(streamSource(input(all, 17), 'stdin', { state }))).length, 100)
  for (const size of [1, 7, 1000, 1_000_000]) {
    const more = all + lines(100, 103)
    const copy = { file: `${state.file}.${size}` }
    await writeFile(copy.file, await readFile(state.file))
    const source = streamSource(input(more, size), 'stdin', { state: copy })
    assert.deepEqual(await published(source), ['{"n":100}', '{"n":101}', '{"n":102}'], `pieces of ${size}`)
    assert.equal(source.progress().safeBytes, more.length)
  }
  const others = [all.slice(0, -2), `x${all}`, `${all.slice(0, -3)}7}\n`]
  for (const other of others) {
    const running = published(streamSource(input(other, 100), 'stdin', { state }))
    await assert.rejects(running, { code: 'ERR_PRODUCER_STATE_MISMATCH' })
  }
})

test('a state file that is something else, of another kind, in use, or in no folder is refused', async t => {
  const { path, state } = await place(t, lines(0, 3))
  await writeFile(state.file, 'not a state')
  const run = (): Promise<string[]> => published(fileSource(path, { state }))
  await assert.rejects(run(), { code: 'ERR_PRODUCER_STATE_INVALID', message: /it is not JSON/ })
  await writeFile(state.file, '{"format":"other"}')
  await assert.rejects(run(), { code: 'ERR_PRODUCER_STATE_INVALID', message: /no state of a source/ })
  await writeFile(state.file, '{"format":"comporta-source-state","version":1,"kind":"file","state":{"bytes":-1}}')
  await assert.rejects(run(), { code: 'ERR_PRODUCER_STATE_INVALID', message: /it has no position/ })
  await writeFile(state.file, '{"format":"comporta-source-state","version":9,"kind":"file","state":{}}')
  await assert.rejects(run(), { code: 'ERR_PRODUCER_STATE_INVALID', message: /version is 9/ })
  await rm(state.file)
  await published(streamSource(Readable.from([Buffer.from('{}')]), 'stdin', { state }))
  await assert.rejects(run(), { code: 'ERR_PRODUCER_STATE_INVALID', message: /a source of type stream, not file/ })
  await rm(state.file)

  const intake = new HeldIntake()
  const first = fileSource(path, { state }).run(intake, never)
  const chunk = await intake.chunk(0)
  await assert.rejects(run(), { code: 'ERR_PRODUCER_STATE_LOCKED', message: /process \d+, this one/ })
  chunk.acknowledge()
  await first

  const absent = { file: join(path, 'absent', 'position') }
  await assert.rejects(published(fileSource(path, { state: absent })), { code: 'ERR_PRODUCER_STATE_FAILED' })
})

test('the lock of a process that was killed is taken over, that of a live one is not', async t => {
  const { path, state } = await place(t, lines(0, 3))
  const other = spawn('sleep', ['60'])
  t.after(() => other.kill('SIGKILL'))
  await writeFile(`${state.file}.lock`, `${other.pid} -\n`)
  await assert.rejects(published(fileSource(path, { state })), {
    code: 'ERR_PRODUCER_STATE_LOCKED',
    message: new RegExp(`process ${other.pid}`)
  })
  const ended = new Promise(resolve => other.once('exit', resolve))
  other.kill('SIGKILL')
  await ended
  assert.equal((await published(fileSource(path, { state }))).length, 3)
})

test('text lines become objects with file, line and host; bytes that are not UTF-8 are kept', async t => {
  const { path } = await place(t, Buffer.from('first "quoted"\n\n\xe9t\xe9\n\xc3\xa9t\xc3\xa9\n', 'latin1'), 'app.log')
  const events = (await published(fileSource(path, { format: 'text' }))).map(
    event => JSON.parse(event) as Record<string, unknown>
  )
  const host = hostname()
  assert.deepEqual(events, [
    { message: 'first "quoted"', file: path, line: 1, host },
    { message: 'été', file: path, line: 3, host, charset: 'latin1' },
    { message: 'été', file: path, line: 4, host }
  ])
})
