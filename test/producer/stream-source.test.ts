import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'

import { fileSource, streamSource } from '../../src/producer/index.ts'
import { HeldIntake } from './held-intake.ts'

const never = new AbortController().signal

async function fileWith(t: TestContext, content: string | Buffer): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-source-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'events.ndjson')
  await writeFile(path, content)
  return path
}

function automatic(recordBytesMax?: number): HeldIntake {
  const intake = new HeldIntake(recordBytesMax)
  intake.isAutomatic = true
  return intake
}

function eventsOf(intake: HeldIntake): string[] {
  return intake.held.flatMap(chunk => chunk.events)
}

test('a file is handed over line by line and safe to its last byte', async t => {
  const content = '\uFEFF{"a":1}\r\n\r\n{"b":2}\nnot json\n{"c":3}'
  const source = fileSource(await fileWith(t, content))
  const intake = automatic()
  await source.run(intake, never)

  const totalBytes = Buffer.byteLength(content)
  assert.deepEqual(eventsOf(intake), ['{"a":1}', '{"b":2}', '{"c":3}'])
  assert.deepEqual(source.progress(), { eventCount: 4, readBytes: totalBytes, safeBytes: totalBytes, totalBytes })
  assert.deepEqual(new Set(intake.sources), new Set(['file:events.ndjson']))
})

test('a file larger than one read comes whole and in order', async t => {
  const lines = Array.from({ length: 20_000 }, (_, index) => `{"n":${index},"fill":"${'é'.repeat(index % 60)}"}`)
  const source = fileSource(await fileWith(t, lines.join('\n')))
  const intake = automatic()
  await source.run(intake, never)

  assert.ok(intake.held.length > 4)
  assert.deepEqual(eventsOf(intake), lines)
})

test('an empty file has no events', async t => {
  const source = fileSource(await fileWith(t, ''))
  await source.run(automatic(), never)
  assert.deepEqual(source.progress(), { eventCount: 0, readBytes: 0, safeBytes: 0, totalBytes: 0 })
})

test('bytes count as safe only when all events before them are', async t => {
  const line = `{"fill":"${'x'.repeat(1000)}"}\n`
  const source = fileSource(await fileWith(t, line.repeat(600))) // three reads of 256 KiB
  const intake = new HeldIntake()
  const running = source.run(intake, never)

  const second = await intake.chunk(1)
  second.acknowledge()
  assert.equal(source.progress().safeBytes, 0)
  const first = await intake.chunk(0)
  first.acknowledge()
  ;(await intake.chunk(2)).acknowledge()
  await running
  assert.equal(source.progress().safeBytes, line.length * 600)
})

test('a failed event ends the source with its error, and nothing behind it counts as safe', async t => {
  const line = `{"fill":"${'x'.repeat(1000)}"}\n`
  const source = fileSource(await fileWith(t, line.repeat(600)))
  const intake = new HeldIntake()
  const running = source.run(intake, never)

  const first = await intake.chunk(0)
  ;(await intake.chunk(1)).acknowledge()
  ;(await intake.chunk(2)).acknowledge()
  first.fail()
  await assert.rejects(running, { code: 'ERR_PRODUCER_DELIVERY_FAILED' })
  assert.equal(source.progress().safeBytes, 0)
})

test('a source that waits for input ends when an earlier event fails', async () => {
  const input = new PassThrough()
  const source = streamSource(input)
  const intake = new HeldIntake()
  const running = source.run(intake, never)
  input.write('{"a":1}\n')
  ;(await intake.chunk(0)).fail()
  await assert.rejects(running, { code: 'ERR_PRODUCER_DELIVERY_FAILED' })
})

test('a file that is missing, a folder, or a stream that breaks is a failed source', async t => {
  const path = await fileWith(t, '{}')
  for (const bad of [`${path}.missing`, join(path, '..')]) {
    await assert.rejects(fileSource(bad).run(automatic(), never), { code: 'ERR_PRODUCER_SOURCE_FAILED' })
  }

  const broken = new Readable({
    read() {
      this.push('{"a":1}\n')
      this.destroy(new Error('the disk has gone'))
    }
  })
  const running = streamSource(broken, 'broken').run(automatic(), never)
  await assert.rejects(running, {
    code: 'ERR_PRODUCER_SOURCE_FAILED',
    message: 'cannot read broken: the disk has gone'
  })

  const cut = new PassThrough()
  const cutting = streamSource(cut, 'cut').run(automatic(), never)
  cut.destroy()
  await assert.rejects(cutting, { code: 'ERR_PRODUCER_SOURCE_FAILED' })
})

test('a stop publishes the whole lines that were read, and ends without an error', async () => {
  const input = new PassThrough()
  const stopping = new AbortController()
  const source = streamSource(input)
  const intake = new HeldIntake()
  const running = source.run(intake, stopping.signal)
  input.write('{"a":1}\n')
  const first = await intake.chunk(0)
  input.write('{"b":2}\n{"unfin')
  stopping.abort()
  ;(await intake.chunk(1)).acknowledge()
  first.acknowledge()
  await running

  assert.deepEqual(eventsOf(intake), ['{"a":1}', '{"b":2}'])
  assert.equal(source.progress().safeBytes, 16)
})

test('a stop ends a source that never runs dry', async () => {
  let reads = 0
  const input = new Readable({
    highWaterMark: 64,
    read() {
      reads += 1
      this.push(reads <= 1000 ? `{"n":${reads}}\n` : null)
    }
  })
  const stopping = new AbortController()
  const intake = automatic()
  const submit = intake.submit.bind(intake)
  const counting = {
    recordBytesMax: 1000,
    submit: async (...parameters: Parameters<typeof submit>) => {
      if (intake.held.length === 3) stopping.abort()
      // The stream fills up again while Kafka takes what came before.
      await new Promise(resolve => setImmediate(resolve))
      return submit(...parameters)
    }
  }
  const source = streamSource(input)
  await source.run(counting, stopping.signal)

  assert.ok(reads < 1000, 'it was read to its end')
  assert.equal(source.progress().safeBytes, source.progress().readBytes)
  assert.equal(eventsOf(intake).length, source.progress().eventCount)
})

test('the next bytes are read only after the last ones were handed over', async () => {
  let reads = 0
  const input = new Readable({
    highWaterMark: 1,
    read() {
      reads += 1
      this.push(reads <= 100 ? `{"n":${reads}}\n` : null)
    }
  })
  const intake = automatic()
  let release: () => void = () => undefined
  const gate = new Promise<void>(resolve => {
    release = resolve
  })
  const submit = intake.submit.bind(intake)
  const gated = {
    recordBytesMax: 1000,
    submit: async (...parameters: Parameters<typeof submit>) => {
      await gate
      return submit(...parameters)
    }
  }
  const running = streamSource(input).run(gated, never)
  await new Promise(resolve => setImmediate(resolve))
  await new Promise(resolve => setImmediate(resolve))
  assert.ok(reads <= 3, `${reads} reads before the first hand-over`)
  release()
  await running
  assert.equal(eventsOf(intake).length, 100)
})

test('a stream of text works, one of objects is refused', async () => {
  const text = Readable.from(['{"a":', '1}\n{"b":2}'], { objectMode: false, encoding: 'utf8' })
  const intake = automatic()
  await streamSource(text).run(intake, never)
  assert.deepEqual(eventsOf(intake), ['{"a":1}', '{"b":2}'])

  const objects = streamSource(Readable.from([{ a: 1 }])).run(automatic(), never)
  await assert.rejects(objects, { code: 'ERR_PRODUCER_SOURCE_FAILED' })
})

test('a line of any length is handed over truncated, and memory stays bounded', async () => {
  let left = 200
  const piece = Buffer.alloc(1_000_000, 'x')
  const input = new Readable({
    read() {
      left -= 1
      this.push(left > 0 ? piece : left === 0 ? '\n{"a":1}\n' : null)
    }
  })
  const before = process.memoryUsage().rss
  const intake = automatic(1000)
  const source = streamSource(input)
  await source.run(intake, never)
  assert.deepEqual(eventsOf(intake), ['{"a":1}'])
  assert.equal(source.progress().eventCount, 2)
  const grown = process.memoryUsage().rss - before
  assert.ok(grown < 100_000_000, `${grown} bytes for a line of 199 MB`)
})
