import assert from 'node:assert/strict'
import { once } from 'node:events'
import { appendFileSync, existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { lineSource } from '../../src/cli/roles/line-sources.ts'
import { SeededRandom } from '../../src/core/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'
import { spawnBound } from '../support/child-process.ts'
import { stage, type Stage } from './kafka.ts'

type LineSourceConfig = Parameters<typeof lineSource>[0]

/** The long version (`npm run test:sources`): more kills, at random instants, of every kind of source. */
const isLong = process.env['SOURCES'] === 'long'
const intervalMs = 100
/** Events a second of the child. */
const childRate = 20_000

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'comporta-restart-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

function linesOf(from: number, to: number): string {
  let text = ''
  for (let n = from; n < to; n += 1) text += `{"n":${n},"truck_id":"T","fill":"${'x'.repeat(100)}"}\n`
  return text
}

/** Starts the source in a process of its own and kills it when so many events are in Kafka. */
async function killAfter(on: Stage, source: LineSourceConfig, deliveredCount: number): Promise<void> {
  const script = join(import.meta.dirname, 'source-child.ts')
  const args = [script, on.bootstrapServers, JSON.stringify(on.topics), JSON.stringify(source)]
  const child = spawnBound(process.execPath, args)
  let errors = ''
  child.stderr?.on('data', (piece: Buffer) => (errors += piece.toString()))
  await new Promise<void>((resolve, reject) => {
    child.once('close', () => reject(new Error(`the child ended by itself: ${errors}`)))
    child.stdout?.on('data', (piece: Buffer) => {
      if (Number(piece.toString().trim().split('\n').at(-1)) >= deliveredCount) resolve()
    })
  })
  child.removeAllListeners('close')
  child.kill('SIGKILL')
  await once(child, 'close')
}

/** The numbers in the one partition that they all went to, in order. */
async function numbersIn(on: Stage): Promise<number[]> {
  return (await on.read(on.topics.cold)).map(({ value }) => (JSON.parse(value.toString()) as { readonly n: number }).n)
}

/** Every number is there, first ones in order; a repetition goes back to one place and on from there. */
function audit(numbers: readonly number[], count: number): { readonly repeatedCount: number } {
  let highest = -1
  let last = -1
  for (const n of numbers) {
    assert.ok(n <= highest + 1, `${n} came before ${highest + 1}`)
    assert.ok(n === last + 1 || n <= last, `${n} came behind ${last}`)
    highest = Math.max(highest, n)
    last = n
  }
  assert.equal(highest, count - 1)
  return { repeatedCount: numbers.length - count }
}

async function finish(
  on: Stage,
  source: LineSourceConfig,
  isFinished: () => boolean | Promise<boolean>
): Promise<void> {
  const producer = await on.produce()
  void producer.run(lineSource(source, { logger: silentLogger, isRestart: false }))
  while (!(await isFinished())) await new Promise(resolve => setTimeout(resolve, 10))
  const { error } = await producer.drain()
  assert.equal(error, undefined)
}

test('a file whose process is killed goes on behind what was safe, and repeats little', async t => {
  const on = await stage(t)
  const path = join(await folder(t), 'events.ndjson')
  const count = isLong ? 200_000 : 16_000
  const kills = isLong ? 8 : 1
  writeFileSync(path, linesOf(0, count))
  const file = `${path}.position`
  const source: LineSourceConfig = {
    type: 'file',
    path,
    format: 'json',
    state: { file, intervalMs, onChange: 'refuse' }
  }
  const random = new SeededRandom(Number(process.env['TEST_SEED'] ?? 9))
  for (let kill = 0; kill < kills; kill += 1) {
    await killAfter(on, source, Math.floor((0.5 + random.next() * 0.4) * (count / (kills + 1))))
    assert.ok(existsSync(`${file}.lock`), 'it was killed')
  }
  await finish(on, source, async () => (await readFile(file, 'utf8')).includes(`"lines":${count}`))
  const { repeatedCount } = audit(await numbersIn(on), count)
  assert.ok(repeatedCount <= kills * (childRate * ((2 * intervalMs) / 1000) + 8192), `${repeatedCount} repeated`)
})

test('a folder whose process is killed loses no line and keeps their order', { skip: !isLong }, async t => {
  const random = new SeededRandom(Number(process.env['TEST_SEED'] ?? 10))
  const count = 50_000
  const on = await stage(t)
  const root = await folder(t)
  const path = join(root, 'in')
  mkdirSync(path)
  for (let from = 0; from < count; from += 1000) {
    writeFileSync(join(path, `${String(from).padStart(9, '0')}.ndjson`), linesOf(from, from + 1000))
  }
  const source: LineSourceConfig = {
    type: 'directory',
    path,
    pattern: '*.ndjson',
    format: 'json',
    whenSafe: 'delete',
    settleMs: 0,
    scanIntervalMs: 50,
    state: { file: join(root, 'position'), intervalMs }
  }
  for (let kill = 0; kill < 4; kill += 1) await killAfter(on, source, 1000 + Math.floor(random.next() * 6000))
  await finish(on, source, () => readdirSync(path).length === 0)
  audit(await numbersIn(on), count)
})

test('a followed log whose process is killed between rotations loses no line', { skip: !isLong }, async t => {
  const random = new SeededRandom(Number(process.env['TEST_SEED'] ?? 11))
  const count = 50_000
  const on = await stage(t)
  const root = await folder(t)
  const path = join(root, 'app.log')
  const source: LineSourceConfig = {
    type: 'follow',
    path,
    from: 'start',
    format: 'json',
    pollMs: 20,
    graceMs: 100,
    state: { file: join(root, 'position'), intervalMs }
  }
  let written = 0
  const append = (): void => {
    if (written >= count) return
    appendFileSync(path, linesOf(written, written + 100))
    written += 100
    if (written % 2500 !== 0) return
    renameSync(path, `${path}.${String(written).padStart(9, '0')}`)
    writeFileSync(path, '')
  }
  append()
  // The first child sees the first file: what is rotated away before the first start is not read.
  await killAfter(on, source, 50)
  const writer = setInterval(append, 10)
  t.after(() => clearInterval(writer))
  for (let kill = 0; kill < 4; kill += 1) await killAfter(on, source, 500 + Math.floor(random.next() * 2000))
  await finish(on, source, async () => {
    await new Promise(resolve => setTimeout(resolve, 500))
    return written >= count && new Set(await numbersIn(on)).size === count
  })
  audit(await numbersIn(on), count)
})
