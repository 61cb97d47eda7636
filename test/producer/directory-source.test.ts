import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'

import { DirectorySource, type DirectorySourceOptions } from '../../src/producer/index.ts'
import { nameMatcher } from '../../src/producer/sources/name-pattern.ts'
import { HeldIntake } from './held-intake.ts'

interface Folder {
  readonly path: string
  readonly state: { readonly file: string; readonly intervalMs: number }
  readonly put: (name: string, content: string | Buffer) => Promise<void>
}

async function folder(t: TestContext): Promise<Folder> {
  const root = await mkdtemp(join(tmpdir(), 'comporta-directory-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  const path = join(root, 'in')
  await mkdir(path)
  return {
    path,
    state: { file: join(root, 'position'), intervalMs: 5 },
    put: async (name, content) => {
      await writeFile(join(root, 'fresh'), content)
      await rename(join(root, 'fresh'), join(path, name))
    }
  }
}

interface Running {
  readonly source: DirectorySource
  readonly intake: HeldIntake
  readonly events: () => string[]
  readonly stop: () => Promise<void>
}

function start(t: TestContext, options: DirectorySourceOptions, intake = automatic()): Running {
  const source = new DirectorySource({ settleMs: 0, scanIntervalMs: 5, ...options })
  const stopping = new AbortController()
  const ended = source.run(intake, stopping.signal)
  ended.catch(() => undefined)
  const stop = async (): Promise<void> => {
    stopping.abort()
    await ended
  }
  t.after(() => stopping.abort())
  return { source, intake, events: () => intake.held.flatMap(chunk => chunk.events), stop }
}

function automatic(): HeldIntake {
  const intake = new HeldIntake()
  intake.isAutomatic = true
  return intake
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise(resolve => setTimeout(resolve, 2))
}

test('files come in the order of their names, new ones as they are renamed into the folder', async t => {
  const { path, state, put } = await folder(t)
  await put('b.ndjson', '{"n":2}\n{"n":3}\n')
  await put('a.ndjson', '{"n":1}')
  await put('c.jsonl.gz', gzipSync('{"n":4}\n'))
  await put('d.tmp', '{"n":99}\n')
  await put('.hidden.ndjson', '{"n":99}\n')
  await mkdir(join(path, 'e.ndjson'))
  const running = start(t, { path, state })
  await until(() => running.events().length === 4)
  await put('aa.ndjson', '{"n":5}\n')
  await until(() => running.events().length === 5)
  await running.stop()
  assert.deepEqual(
    running.events(),
    [1, 2, 3, 4, 5].map(n => `{"n":${n}}`)
  )
  assert.deepEqual(
    new Set(running.intake.sources),
    new Set(['file:a.ndjson', 'file:b.ndjson', 'file:c.jsonl.gz', 'file:aa.ndjson'])
  )

  const again = start(t, { path, state })
  await put('f.ndjson', '{"n":6}\n')
  await until(() => again.events().length > 0)
  await again.stop()
  assert.deepEqual(again.events(), ['{"n":6}'])
})

test('a file that is written slowly is read when it has settled; one that grows later goes on', async t => {
  const { path, state } = await folder(t)
  const file = join(path, 'slow.ndjson')
  await writeFile(file, '{"n":1}\n')
  const running = start(t, { path, state, settleMs: 60 })
  for (let n = 2; n <= 5; n += 1) {
    await new Promise(resolve => setTimeout(resolve, 10))
    await writeFile(file, `{"n":${n}}\n`, { flag: 'a' })
  }
  assert.deepEqual(running.events(), [])
  await until(() => running.events().length === 5)
  assert.equal(running.intake.held.length, 1)
  await writeFile(file, '{"n":6}\n', { flag: 'a' })
  await until(() => running.events().length === 6)
  await writeFile(file, '{"n":1}\n')
  await until(() => running.source.problems.has('slow.ndjson'))
  await running.stop()
  assert.match(running.source.problems.get('slow.ndjson') ?? '', /is shorter now/)
  assert.equal(running.events().length, 6)
})

test('a file is deleted or moved only when all its events are safe, and never over another one', async t => {
  const { path, put } = await folder(t)
  const moveTo = join(path, '..', 'done')
  await mkdir(moveTo)
  await writeFile(join(moveTo, 'a.ndjson'), 'earlier')
  await put('a.ndjson', '{"n":1}\n')
  const intake = new HeldIntake()
  const running = start(t, { path, whenSafe: 'move', moveTo }, intake)
  const first = await intake.chunk(0)
  await put('b.ndjson', '{"n":2}\n')
  ;(await intake.chunk(1)).acknowledge()
  await new Promise(resolve => setTimeout(resolve, 20))
  assert.deepEqual((await readdir(path)).toSorted(), ['a.ndjson', 'b.ndjson'], 'the first one is not safe')
  first.acknowledge()
  await until(async () => (await readdir(path)).length === 0)
  await running.stop()
  assert.deepEqual((await readdir(moveTo)).toSorted(), ['a.ndjson', 'a.ndjson.1', 'b.ndjson'])
  assert.equal(await readFile(join(moveTo, 'a.ndjson'), 'utf8'), 'earlier')

  await put('c.ndjson', '')
  await put('d.ndjson', '{"n":3}')
  const deleting = start(t, { path, whenSafe: 'delete' })
  await until(async () => (await readdir(path)).length === 0)
  await deleting.stop()
  assert.deepEqual(deleting.events(), ['{"n":3}'])
})

test('a failed event sends the source back to its safe position, and nothing is lost', async t => {
  const { path, put } = await folder(t)
  await put('a.ndjson', '{"n":1}\n')
  await put('b.ndjson', '{"n":2}\n')
  await put('c.ndjson', '{"n":3}\n')
  const intake = new HeldIntake()
  const running = start(t, { path, whenSafe: 'delete', retry: { initialMs: 1, maxMs: 5 } }, intake)
  ;(await intake.chunk(0)).acknowledge()
  ;(await intake.chunk(2)).acknowledge()
  ;(await intake.chunk(1)).fail()
  assert.deepEqual((await intake.chunk(3)).events, ['{"n":2}'])
  ;(await intake.chunk(3)).acknowledge()
  assert.deepEqual((await intake.chunk(4)).events, ['{"n":3}'], 'published twice: it came behind the failed one')
  ;(await intake.chunk(4)).acknowledge()
  await until(async () => (await readdir(path)).length === 0)
  assert.equal(running.source.progress().retryCount, 1)
  await running.stop()
})

test(
  'links, unreadable and vanishing files do not stop the others',
  { skip: process.getuid?.() === 0 && false },
  async t => {
    const { path, put, state } = await folder(t)
    await writeFile(join(path, '..', 'outside.ndjson'), '{"secret":true}\n')
    await symlink('../outside.ndjson', join(path, 'a-link.ndjson'))
    await put('b.ndjson.gz', Buffer.from('not gzip at all'))
    await put('c.ndjson', '{"n":1}\n')
    await put('d.ndjson', '{"n":2}\n')
    await chmod(join(path, 'd.ndjson'), 0o000)
    const running = start(t, { path, state, pattern: '*.{ndjson,gz}' })
    for (let round = 0; round < 20; round += 1) {
      await put(`x${round}.ndjson`, '{"gone":true}\n')
      await unlink(join(path, `x${round}.ndjson`))
    }
    await put('z.ndjson', '{"n":3}\n')
    await until(() => running.events().includes('{"n":3}'))
    await until(() => running.source.problems.has('b.ndjson.gz'))
    await running.stop()
    assert.ok(running.events().includes('{"n":1}'))
    assert.ok(!running.events().includes('{"secret":true}'))
    assert.match(running.source.problems.get('b.ndjson.gz') ?? '', /incorrect header check/)
    // For root every file is readable.
    if (process.getuid?.() !== 0) assert.match(running.source.problems.get('d.ndjson') ?? '', /EACCES/)
  }
)

test('hundreds of files are read once each, whatever the folder does meanwhile', async t => {
  const { path, state, put } = await folder(t)
  for (let n = 0; n < 300; n += 1) await writeFile(join(path, `${String(n).padStart(4, '0')}.ndjson`), `{"n":${n}}\n`)
  const first = start(t, { path, state })
  await until(() => first.events().length >= 100)
  await first.stop()
  const second = start(t, { path, state })
  await put('zzz.ndjson', '{"n":300}\n')
  await until(() => first.events().length + second.events().length >= 301)
  await second.stop()
  const all = [...first.events(), ...second.events()]
  assert.deepEqual(
    all,
    Array.from({ length: 301 }, (_, n) => `{"n":${n}}`)
  )
})

test('a folder that is missing, and a target that cannot be moved to, end the source with the reason', async t => {
  const { path } = await folder(t)
  const code = 'ERR_PRODUCER_SOURCE_FAILED'
  await assert.rejects(start(t, { path: join(path, 'absent') }).stop(), { code, message: /ENOENT/ })
  await assert.rejects(start(t, { path, whenSafe: 'move', moveTo: path }).stop(), {
    code,
    message: /is the folder itself/
  })
  await assert.rejects(start(t, { path, whenSafe: 'move' }).stop(), { code, message: /moveTo names no folder/ })
})

test('patterns of names', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['*.ndjson', 'a.ndjson', true],
    ['*.ndjson', 'a.ndjson.gz', false],
    ['*.ndjson', '.a.ndjson', false],
    ['.*', '.a', true],
    ['*.{ndjson,jsonl.gz}', 'a.jsonl.gz', true],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['a+b(1).log', 'a+b(1).log', true],
    ['a[1].log', 'a1.log', false],
    ['{a', '{a', true],
    ['**', 'anything', true]
  ]
  for (const [pattern, name, expected] of cases)
    assert.equal(nameMatcher(pattern)(name), expected, `${pattern} ${name}`)
})
