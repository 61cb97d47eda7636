/** A disk without room, and a broker that is slow or silent, under a producer that spills. */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { type Fault, startBroker } from '../../../src/broker/index.ts'
import { Appender } from '../../../src/client/index.ts'
import { SeededRandom, systemClock } from '../../../src/core/index.ts'
import type { OutletListener } from '../../../src/producer/outlet.ts'
import { SpillOutlet } from '../../../src/producer/spill/spill-outlet.ts'
import { type SpillDisk, systemSpillDisk } from '../../../src/producer/spill/spill-disk.ts'
import { type Stage, stage } from '../kafka.ts'
import { FakeDisk } from './fake-disk.ts'
import { LogLines } from './log-lines.ts'

interface World extends Stage {
  fault: Fault | undefined
  readonly logger: LogLines
  readonly outlet: SpillOutlet
  /** Numbers by outcome. */
  readonly told: { delivered: number; spilled: number; failed: number; code: string | undefined }
  /** Hands over records until that number, waiting for room. */
  readonly send: (to: number) => Promise<void>
}

interface WorldOptions {
  readonly dir: string
  readonly disk: SpillDisk
  readonly timeoutMs?: number
  readonly bytesMax?: number
}

async function newWorld(
  t: TestContext,
  { dir, disk, timeoutMs = 60_000, bytesMax = 67_108_864 }: WorldOptions
): Promise<World> {
  const state: { fault: Fault | undefined } = { fault: undefined }
  const broker = await startBroker({
    onRequest: request => (request.apiName === 'Produce' ? state.fault : undefined)
  })
  t.after(() => broker.close())
  const stageOfTest = await stage(t, { bootstrapServers: broker.bootstrapServers })
  const { cluster, topics } = stageOfTest
  const logger = new LogLines()
  const appender = new Appender({ cluster, lingerMs: 1, bufferBytes: 1_048_576, deliveryTimeoutMs: 2_000_000_000 })
  const spill = { dir, bytesMax, segmentBytes: 1_048_576 }
  const clock = systemClock
  const release = { release: () => Promise.resolve() }
  const lock = disk === systemSpillDisk ? {} : { lock: () => Promise.resolve(release) }
  const deadLetterTopic = topics.dead
  const options = { appender, deadLetterTopic, spill, afterMs: 150, timeoutMs, clock, logger, disk, ...lock }
  const outlet = new SpillOutlet(options)
  await outlet.open()
  t.after(() => outlet.close(0))
  const told: World['told'] = { delivered: 0, spilled: 0, failed: 0, code: undefined }
  const listener: OutletListener = {
    delivered: ({ recordCount }) => void (told.delivered += recordCount),
    spilled: recordCount => void (told.spilled += recordCount),
    failed: (error, records) => {
      told.failed += records.length
      told.code = error.code
    }
  }
  let next = 0
  const send = async (to: number): Promise<void> => {
    for (; next < to; next += 1) {
      const value = Buffer.from(`{"n":${next},"fill":"${'x'.repeat(500)}"}`)
      const record = { topic: topics.cold, key: Buffer.from(`K${next % 7}`), value }
      while (!outlet.append(record, listener)) await Promise.all([outlet.room(), pause(1)])
    }
  }
  return Object.assign(state, stageOfTest, { logger, outlet, told, send })
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

async function until(isTrue: () => boolean): Promise<void> {
  const endsAtMs = performance.now() + 10_000
  while (!isTrue()) {
    assert.ok(performance.now() < endsAtMs, 'it takes too long')
    await pause(2)
  }
}

async function assertAll(world: World, count: number): Promise<void> {
  const records = await world.read(world.topics.cold)
  const numbers = records.map(record => Number(/"n":(\d+)/.exec(record.value.toString())?.[1]))
  assert.deepEqual(
    numbers.toSorted((a, b) => a - b),
    Array.from({ length: count }, (_, number) => number)
  )
  const last = new Map<number, number>()
  for (const number of numbers) {
    assert.ok(number > (last.get(number % 7) ?? -1))
    last.set(number % 7, number)
  }
}

test('a disk that is full makes senders wait; they go on when it has room, and nothing is lost', async t => {
  const disk = new FakeDisk(new SeededRandom(1))
  const world = await newWorld(t, { dir: '/spill', disk })
  world.fault = { errorCode: 6 }
  await world.send(100)
  await until(() => world.told.spilled === 100)
  disk.bytesMax = 200_000
  const sending = world.send(5000)
  await until(() => world.outlet.spill.isInTrouble)
  const before = world.told.spilled
  await pause(50)
  assert.equal(world.told.spilled, before) // nothing is called safe that is not
  assert.match(world.logger.textOf('error'), /the disk is full: free space/)
  disk.bytesMax = Infinity
  await sending
  await until(() => world.told.spilled === 5000)
  assert.match(world.logger.textOf('info'), /the disk takes spilled events again/)

  world.fault = undefined
  await until(() => world.outlet.state === 'up')
  await assertAll(world, 5000)
  assert.equal(world.told.failed, 0)
})

test('what a full disk holds up goes straight to Kafka when that is back first', async t => {
  const disk = new FakeDisk(new SeededRandom(1))
  const world = await newWorld(t, { dir: '/spill', disk })
  world.fault = { errorCode: 6 }
  disk.bytesMax = 0
  const sending = world.send(3000)
  await until(() => world.outlet.spill.isInTrouble)
  world.fault = undefined
  await sending
  await until(() => world.outlet.state === 'up' && world.outlet.bufferedBytes === 0)
  await assertAll(world, 3000)
  assert.deepEqual(world.told, { delivered: 3000, spilled: 0, failed: 0, code: undefined })
})

test('what neither Kafka nor the disk takes fails after the delivery timeout', async t => {
  const disk = new FakeDisk(new SeededRandom(1))
  const world = await newWorld(t, { dir: '/spill', disk, timeoutMs: 700 })
  world.fault = { errorCode: 6 }
  disk.bytesMax = 0
  await world.send(50)
  await until(() => world.told.failed === 50)
  assert.equal(world.told.code, 'ERR_PRODUCER_SPILL_FAILED')
  assert.deepEqual([world.told.delivered, world.told.spilled], [0, 0])
})

test('records that come after others were given up have a verdict of their own, and time of their own', async t => {
  const disk = new FakeDisk(new SeededRandom(1))
  const world = await newWorld(t, { dir: '/spill', disk, timeoutMs: 700, bytesMax: 10_000 })
  world.fault = { errorCode: 6 }
  await world.send(50)
  await until(() => world.told.failed === 50)
  await world.send(60)
  await pause(200)
  assert.equal(world.told.failed, 50)
  world.fault = undefined
  await until(() => world.told.delivered + world.told.failed === 60)
})

test('a detour by a disk that refuses ends: what waits for it goes straight to a Kafka that is there', async t => {
  const disk = new FakeDisk(new SeededRandom(1))
  disk.bytesMax = 0
  const world = await newWorld(t, { dir: '/spill', disk })
  let delivered = 0
  const listener = { delivered: () => void (delivered += 1), failed: () => assert.fail('it failed') }
  const bytes = Buffer.from('{}')
  const place = {
    topic: world.topics.cold,
    key: null,
    headers: undefined,
    timestampMs: undefined,
    partition: undefined
  }
  assert.ok(world.outlet.divert(place, { bytes, spans: Uint32Array.of(0, 2) }, 0, listener))
  await until(() => delivered === 1 && world.outlet.state === 'up')
})

test('records at the end of the log that are damaged are counted as lost, and the spill is empty then', async t => {
  const disk = new FakeDisk(new SeededRandom(1))
  const world = await newWorld(t, { dir: '/spill', disk })
  world.fault = { errorCode: 6 }
  await world.send(10)
  await until(() => world.told.spilled === 10)
  await world.send(30)
  await until(() => world.told.spilled === 30)
  const file = disk.bytesOf(disk.names().find(name => name.endsWith('.spill')) ?? '')
  file.fill(0, file.length - 100)
  world.fault = undefined
  await until(() => world.outlet.state === 'up')
  assert.ok(world.outlet.spill.lostCount > 0)
  assert.deepEqual([world.outlet.spill.recordCount, world.outlet.spill.bytes], [0, 0])
})

test('a real disk without room behaves the same', async t => {
  const dir = await mkdtemp(join(tmpdir(), 'comporta-full-'))
  let isMounted = false
  t.after(() => {
    if (isMounted) execFileSync('umount', ['-l', dir])
    rmSync(dir, { recursive: true, force: true })
  })
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'comporta-spill', dir], { stdio: 'pipe' })
    isMounted = true
  } catch {
    t.skip('this test may not mount a file system here')
    return
  }
  const world = await newWorld(t, { dir, disk: systemSpillDisk })
  world.fault = { errorCode: 6 }
  const filler = join(dir, 'filler')
  const free = statfsSync(dir)
  writeFileSync(filler, Buffer.alloc(Math.max(0, free.bavail * free.bsize - 400_000)))
  const sending = world.send(4000)
  await until(() => world.outlet.spill.isInTrouble)
  rmSync(filler)
  await until(() => !world.outlet.spill.isInTrouble)
  world.fault = undefined
  await sending
  await until(() => world.outlet.state === 'up' && world.outlet.bufferedBytes === 0)
  await assertAll(world, 4000)
  assert.equal(world.told.failed, 0)
  await world.outlet.close(0) // before its disk goes
})

test('a slow broker is not away: nothing goes to disk as long as it acknowledges in time', async t => {
  const world = await newWorld(t, { dir: '/spill', disk: new FakeDisk(new SeededRandom(1)) })
  world.fault = { delayMs: 40 }
  await world.send(500)
  await until(() => world.told.delivered === 500)
  assert.equal(world.told.spilled, 0)
})

test('a broker that takes longer than afterMs has events on disk, and each of them once in the end', async t => {
  const world = await newWorld(t, { dir: '/spill', disk: new FakeDisk(new SeededRandom(1)) })
  world.fault = { delayMs: 400 }
  await world.send(2000)
  await until(() => world.told.spilled + world.told.delivered === 2000 && world.told.spilled > 0)
  world.fault = undefined
  await until(() => world.outlet.state === 'up' && world.outlet.bufferedBytes === 0)
  await assertAll(world, 2000)
})
