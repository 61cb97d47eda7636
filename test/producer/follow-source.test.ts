import assert from 'node:assert/strict'
import { appendFileSync, copyFileSync, existsSync, renameSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { SeededRandom } from '../../src/core/index.ts'
import { FollowSource, type FollowSourceOptions } from '../../src/producer/index.ts'
import { HeldIntake } from './held-intake.ts'

interface Log {
  readonly path: string
  readonly state: { readonly file: string; readonly intervalMs: number }
  /** Appends lines with the next numbers. */
  readonly write: (count: number) => void
  readonly written: () => number
  /** `app.log` becomes `app.log.1`, that one `app.log.2`, …; a new file is there at once. */
  readonly rotate: () => void
  /** The same by copy and truncate. */
  readonly copyAndTruncate: () => void
}

async function log(t: TestContext): Promise<Log> {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-follow-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'app.log')
  let next = 0
  const shift = (): void => {
    for (let number = 8; number >= 1; number -= 1) {
      if (existsSync(`${path}.${number}`)) renameSync(`${path}.${number}`, `${path}.${number + 1}`)
    }
  }
  return {
    path,
    state: { file: join(folder, 'position'), intervalMs: 5 },
    write: count => {
      let text = ''
      for (let index = 0; index < count; index += 1) text += `{"n":${next++}}\n`
      appendFileSync(path, text)
    },
    written: () => next,
    rotate: () => {
      shift()
      renameSync(path, `${path}.1`)
      writeFileSync(path, '')
    },
    copyAndTruncate: () => {
      shift()
      copyFileSync(path, `${path}.1`)
      truncateSync(path)
    }
  }
}

interface Running {
  readonly source: FollowSource
  readonly intake: HeldIntake
  readonly numbers: () => number[]
  readonly stop: () => Promise<void>
}

function start(t: TestContext, options: FollowSourceOptions, intake = automatic()): Running {
  const source = new FollowSource({ pollMs: 10, graceMs: 30, retry: { initialMs: 1, maxMs: 5 }, ...options })
  const stopping = new AbortController()
  const ended = source.run(intake, stopping.signal)
  ended.catch(() => undefined)
  t.after(() => stopping.abort())
  return {
    source,
    intake,
    numbers: () =>
      intake.held.flatMap(chunk => chunk.events).map(event => (JSON.parse(event) as { readonly n: number }).n),
    stop: async () => {
      stopping.abort()
      await ended
    }
  }
}

function automatic(): HeldIntake {
  const intake = new HeldIntake()
  intake.isAutomatic = true
  return intake
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 2))
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n)
}

test('lines come as they are written; a partial line waits for its end; a stop leaves it', async t => {
  const { path, state, write } = await log(t)
  const running = start(t, { path, state })
  await new Promise(resolve => setTimeout(resolve, 15)) // the file is not there yet
  write(2)
  await until(() => running.numbers().length === 2)
  appendFileSync(path, '{"n"')
  await new Promise(resolve => setTimeout(resolve, 30))
  appendFileSync(path, ':2}\n{"n":3')
  await until(() => running.numbers().length === 3)
  await running.stop()
  appendFileSync(path, '}\n')
  const again = start(t, { path, state })
  await until(() => again.numbers().length > 0)
  await again.stop()
  assert.deepEqual([...running.numbers(), ...again.numbers()], upTo(4))
})

test('following from the end begins with the next line, and a restart does not forget where that was', async t => {
  const { path, state, write } = await log(t)
  write(100)
  appendFileSync(path, '{"n":')
  const first = start(t, { path, state, from: 'end' })
  await until(() => existsSync(state.file))
  await first.stop()
  appendFileSync(path, '100}\n')
  const second = start(t, { path, state, from: 'end' })
  await until(() => second.numbers().length > 0)
  await second.stop()
  assert.deepEqual([first.numbers(), second.numbers()], [[], [100]])
})

test('after a rotation the old file is finished first, even what is written to it late', async t => {
  const { path, write, rotate } = await log(t)
  write(10)
  const running = start(t, { path, graceMs: 60 })
  await until(() => running.numbers().length === 10)
  rotate()
  appendFileSync(path, '{"n":13}\n')
  appendFileSync(`${path}.1`, '{"n":10}\n')
  await new Promise(resolve => setTimeout(resolve, 20))
  appendFileSync(`${path}.1`, '{"n":11}\n{"n":12}')
  await until(() => running.numbers().length === 14)
  await running.stop()
  assert.deepEqual(running.numbers(), upTo(14))
})

test('a file that is copied and truncated is finished from its copy', async t => {
  const { path, write, copyAndTruncate, written } = await log(t)
  write(10)
  const intake = new HeldIntake()
  const running = start(t, { path }, intake)
  const first = await intake.chunk(0)
  write(10) // while the source waits for Kafka it has not read these
  copyAndTruncate()
  write(5)
  intake.isAutomatic = true
  first.acknowledge()
  await until(() => running.numbers().length === written())
  copyAndTruncate()
  write(30) // longer at once than what was read before
  await until(() => running.numbers().length === written())
  await running.stop()
  assert.deepEqual(running.numbers(), upTo(written()))
})

test('a truncated file that nobody copied is read from its start', async t => {
  const { path } = await log(t)
  writeFileSync(path, '{"n":0}\n{"n":1}\n')
  const running = start(t, { path })
  await until(() => running.numbers().length === 2)
  truncateSync(path)
  appendFileSync(path, '{"n":2}\n')
  await until(() => running.numbers().length === 3)
  writeFileSync(path, '{"n":3}\n{"n":4}\n{"n":5}\n')
  await until(() => running.numbers().length === 6)
  await running.stop()
  assert.deepEqual(running.numbers(), upTo(6))
})

test('a restart after rotations finds the old file, finishes it and reads all that came after it', async t => {
  const { path, state, write, rotate, written } = await log(t)
  write(10)
  rotate() // before the first start: not read
  write(10)
  const first = start(t, { path, state })
  await until(() => first.numbers().length === 10)
  await first.stop()
  for (let round = 0; round < 3; round += 1) {
    write(10)
    rotate()
    await new Promise(resolve => setTimeout(resolve, 5)) // files are told apart by the time of their last write
  }
  write(3)
  const second = start(t, { path, state })
  await until(() => second.numbers().length >= 33)
  await second.stop()
  assert.deepEqual([...first.numbers(), ...second.numbers()], upTo(written()).slice(10))

  const third = start(t, { path, state })
  unlinkSync(`${path}.1`)
  write(1)
  await until(() => third.numbers().length > 0)
  await third.stop()
  assert.deepEqual(third.numbers(), [written() - 1])
})

test('a restart after copy and truncate finds the copy by its bytes', async t => {
  const { path, state, write, copyAndTruncate, written } = await log(t)
  write(20)
  const first = start(t, { path, state })
  await until(() => first.numbers().length === 20)
  await first.stop()
  write(10)
  copyAndTruncate()
  await new Promise(resolve => setTimeout(resolve, 5))
  write(10)
  copyAndTruncate()
  await new Promise(resolve => setTimeout(resolve, 5))
  write(5)
  const second = start(t, { path, state })
  await until(() => second.numbers().length >= 25)
  await second.stop()
  assert.deepEqual([...first.numbers(), ...second.numbers()], upTo(written()))
})

test('a file that is gone is said to be gone, and what came after it is read', async t => {
  const { path, state, write, rotate, written } = await log(t)
  write(10)
  const first = start(t, { path, state })
  await until(() => first.numbers().length === 10)
  await first.stop()
  rotate()
  unlinkSync(`${path}.1`)
  write(10)
  const second = start(t, { path, state })
  await until(() => second.numbers().length === 10)
  await second.stop()
  assert.deepEqual([...first.numbers(), ...second.numbers()], upTo(written()))
})

test('failed events are read again from the safe position', async t => {
  const { path, write } = await log(t)
  write(3)
  const intake = new HeldIntake()
  const running = start(t, { path }, intake)
  ;(await intake.chunk(0)).acknowledge()
  write(2)
  const second = await intake.chunk(1)
  write(1)
  ;(await intake.chunk(2)).acknowledge()
  second.fail()
  assert.deepEqual((await intake.chunk(3)).events, ['{"n":3}', '{"n":4}', '{"n":5}'])
  ;(await intake.chunk(3)).acknowledge()
  await running.stop()
  assert.equal(running.source.progress().retryCount, 1)
})

test('under load, with rotations of all kinds and restarts, every line comes once and in order', async t => {
  const random = new SeededRandom(Number(process.env['TEST_SEED'] ?? 20_261))
  const { path, state, write, rotate, copyAndTruncate, written } = await log(t)
  const all: number[] = []
  write(1)
  let running = start(t, { path, state })
  await until(() => running.numbers().length === 1) // what was rotated away before the first start is not read
  const settle = (): Promise<void> => until(() => all.length + running.numbers().length >= written())
  for (let round = 0; round < 120; round += 1) {
    write(1 + Math.floor(random.next() * 400))
    const dice = random.next()
    if (dice < 0.12) rotate()
    else if (dice < 0.2) {
      await settle() // two kinds of rotation at once lose lines by themselves: a copy is cut before it was read
      copyAndTruncate()
    } else if (dice < 0.3) {
      await running.stop()
      all.push(...running.numbers())
      running = start(t, { path, state })
    }
    if (random.next() < 0.7) await new Promise(resolve => setTimeout(resolve, 3))
  }
  await settle()
  await running.stop()
  all.push(...running.numbers())
  assert.deepEqual(all, upTo(written()))
})

test('text lines keep the number of their line and the path of the log', async t => {
  const { path } = await log(t)
  writeFileSync(path, 'one\n\ntwo\n')
  const intake = automatic()
  const running = start(t, { path, format: 'text' }, intake)
  await until(() => intake.held.length > 0)
  await running.stop()
  const events = intake.held.flatMap(chunk => chunk.events).map(event => JSON.parse(event) as Record<string, unknown>)
  assert.deepEqual(
    events.map(({ message, file, line }) => [message, file, line]),
    [
      ['one', path, 1],
      ['two', path, 3]
    ]
  )
})

test('a state of another kind is refused', async t => {
  const { path, state } = await log(t)
  writeFileSync(state.file, '{"format":"comporta-source-state","version":1,"kind":"follow","state":{}}')
  await assert.rejects(start(t, { path, state }).stop(), { code: 'ERR_PRODUCER_STATE_INVALID' })
  assert.ok((await readFile(state.file, 'utf8')).length > 0)
})
