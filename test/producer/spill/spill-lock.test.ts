import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { lockSpillFolder } from '../../../src/producer/spill/spill-lock.ts'
import { spawnBound } from '../../support/child-process.ts'

async function newFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-spill-lock-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

test('a folder has one producer at a time, and is free again after a release', async t => {
  const folder = await newFolder(t)
  const lock = await lockSpillFolder(folder)
  await assert.rejects(lockSpillFolder(folder), {
    code: 'ERR_PRODUCER_SPILL_LOCKED',
    message: new RegExp(`process ${process.pid}`)
  })
  await lock.release()
  await lock.release()
  await (await lockSpillFolder(folder)).release()
})

test('the lock of another process that lives is respected, and taken over once that is killed', async t => {
  const folder = await newFolder(t)
  const module = join(import.meta.dirname, '../../../src/producer/spill/spill-lock.ts')
  const script = `import { lockSpillFolder } from ${JSON.stringify(module)}
    await lockSpillFolder(${JSON.stringify(folder)}); console.log('held'); setInterval(() => {}, 1000)`
  const child = spawnBound(process.execPath, ['--input-type=module-typescript', '-e', script])
  await once(child.stdout ?? child, 'data')
  await assert.rejects(lockSpillFolder(folder), { message: new RegExp(`process ${child.pid}: stop that one`) })

  child.kill('SIGKILL')
  await once(child, 'close')
  const lock = await lockSpillFolder(folder)
  assert.match(await readFile(join(folder, 'lock'), 'latin1'), new RegExp(`^${process.pid} `))
  await lock.release()
})

test('the lock of another machine counts while it is touched, whatever the id of its process here', async t => {
  const folder = await newFolder(t)
  const file = join(folder, 'lock')
  await writeFile(file, `${process.pid} 1 another-machine\n`)
  await assert.rejects(lockSpillFolder(folder), { message: new RegExp(`process ${process.pid} of another-machine`) })
  const longAgo = (Date.now() - 31_000) / 1000
  await utimes(file, longAgo, longAgo)
  await (await lockSpillFolder(folder)).release()
})

test('a lock that names nobody, or an id that now belongs to another process, is taken over', async t => {
  const folder = await newFolder(t)
  for (const content of ['', 'x', `${process.ppid} 1`]) {
    await writeFile(join(folder, 'lock'), content)
    await (await lockSpillFolder(folder)).release()
  }
})
