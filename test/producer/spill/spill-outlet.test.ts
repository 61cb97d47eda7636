import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { type Fault, startBroker } from '../../../src/broker/index.ts'
import type { ProducerInput } from '../../../src/config/index.ts'
import {
  ChunkBuilder,
  type EventChunk,
  type Producer,
  type Settlement,
  startProducer
} from '../../../src/producer/index.ts'
import { type ReadRecord, type Stage, stage } from '../kafka.ts'
import { LogLines } from './log-lines.ts'

interface World extends Stage {
  /** What happens to produce requests. */
  fault: Fault | undefined
  readonly dir: string
  readonly logger: LogLines
  readonly start: (overrides?: Partial<ProducerInput>) => Promise<Producer>
}

async function newWorld(t: TestContext): Promise<World> {
  const state: { fault: Fault | undefined } = { fault: undefined }
  const broker = await startBroker({
    onRequest: request => (request.apiName === 'Produce' ? state.fault : undefined)
  })
  t.after(() => broker.close())
  const dir = await mkdtemp(join(tmpdir(), 'comporta-spill-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const logger = new LogLines()
  const stageOfTest = await stage(t, { bootstrapServers: broker.bootstrapServers })
  const start = async (overrides: Partial<ProducerInput> = {}): Promise<Producer> => {
    const whenAway = { mode: 'spill', afterMs: 150 } as const
    const spill = { dir, bytesMax: 67_108_864, segmentBytes: 1_048_576 }
    const config = stageOfTest.config({ whenAway, spill, ...overrides })
    const producer = await startProducer({ config, cluster: stageOfTest.cluster, logger })
    t.after(() => producer.close())
    return producer
  }
  return Object.assign(state, stageOfTest, { dir, logger, start })
}

function chunkOf(from: number, count: number, fill = ''): EventChunk {
  const builder = new ChunkBuilder()
  let text = ''
  for (let number = from; number < from + count; number += 1) {
    const event = `{"n":${number},"codigo":${400 + (number % 2) * 100},"truck_id":"T-${number % 7}","fill":"${fill}"}`
    builder.add(text.length, text.length + event.length, number + 1)
    text += `${event}\n`
  }
  return builder.build(Buffer.from(text), text.length)
}

async function submit(producer: Producer, from: number, count: number): Promise<Settlement> {
  const { settled } = await producer.submit(chunkOf(from, count), { source: 'test' })
  return await settled
}

const numberOf = (record: ReadRecord): number => Number(/"n":(\d+)/.exec(record.value.toString())?.[1])

async function until(isTrue: () => boolean): Promise<void> {
  const endsAtMs = performance.now() + 10_000
  while (!isTrue()) {
    assert.ok(performance.now() < endsAtMs, 'it takes too long')
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}

/** Every number once, and those of a key in order. */
async function assertAll(world: World, count: number): Promise<void> {
  const records = [...(await world.read(world.topics.hot)), ...(await world.read(world.topics.cold))]
  const numbers = records.map(numberOf).toSorted((a, b) => a - b)
  assert.deepEqual(
    numbers,
    Array.from({ length: count }, (_, number) => number)
  )
  assertOrder(records)
}

function assertOrder(records: readonly ReadRecord[]): void {
  const last = new Map<string, number>()
  for (const record of records) {
    const key = `${numberOf(record) % 2} ${record.key}`
    assert.ok(numberOf(record) > (last.get(key) ?? -1), `${key}: ${numberOf(record)} after ${last.get(key)}`)
    last.set(key, numberOf(record))
  }
}

test('events go to disk while Kafka is away, and to Kafka in their order when it is back, each once', async t => {
  const world = await newWorld(t)
  // On a busy machine the first acknowledgement takes longer than 150 ms: topics are looked up before it.
  const producer = await world.start({ whenAway: { mode: 'spill', afterMs: 500 } })
  assert.equal((await submit(producer, 0, 50)).deliveredCount, 50)
  world.fault = { errorCode: 6 } // NOT_LEADER_OR_FOLLOWER
  const first = await submit(producer, 50, 50)
  assert.deepEqual([first.spilledCount, first.deliveredCount, first.error], [50, 0, undefined])
  assert.equal(producer.status().outlet, 'spilling')
  for (let from = 100; from < 400; from += 50) assert.equal((await submit(producer, from, 50)).spilledCount, 50)
  assert.equal(producer.status().spill?.recordCount, 350)

  world.fault = undefined
  await until(() => producer.status().outlet === 'up')
  assert.equal((await submit(producer, 400, 50)).deliveredCount, 50)
  await assertAll(world, 450)
  const { spill } = producer.status()
  assert.deepEqual([spill?.recordCount, spill?.bytes, spill?.spilledCount, spill?.replayedCount], [0, 0, 350, 350])
  assert.match(world.logger.textOf('warn'), /Kafka does not acknowledge: events go to disk/)
  assert.match(world.logger.textOf('info'), /everything that was on disk is in Kafka/)
})

test('a connection that is lost in the middle of a load costs no event and no order, whatever the moment', async t => {
  const world = await newWorld(t)
  const producer = await world.start()
  const settlements: Promise<Settlement>[] = []
  for (let from = 0; from < 20_000; from += 100) {
    const { settled } = await producer.submit(chunkOf(from, 100, 'x'.repeat(100)), { source: 'test' })
    settlements.push(settled)
    if (from % 4000 === 2000) world.fault = 'close'
    if (from % 4000 === 3900) {
      await until(() => producer.status().outlet === 'spilling')
      world.fault = undefined
    }
    if (from % 1000 === 0) await new Promise(resolve => setTimeout(resolve, 10))
  }
  world.fault = undefined
  const settled = await Promise.all(settlements)
  assert.ok(settled.every(each => each.error === undefined))
  await until(() => producer.status().outlet === 'up' && producer.status().bufferedBytes === 0)
  await assertAll(world, 20_000)
  const { totals } = producer.status()
  assert.equal(totals.deliveredCount + totals.spilledCount, 20_000)
  assert.ok(totals.spilledCount > 1000)
})

test('a stop while Kafka is away leaves events on disk, says so, and the next start replays them first', async t => {
  const world = await newWorld(t)
  const producer = await world.start()
  world.fault = { errorCode: 6 }
  assert.equal((await submit(producer, 0, 100)).spilledCount, 100)
  const report = await producer.drain(5000)
  assert.deepEqual([report.isComplete, report.spill?.recordCount, report.error], [true, 100, undefined])
  assert.match(world.logger.textOf('warn'), /100 events stay on disk: the next start replays them/)

  world.fault = undefined
  const next = await world.start()
  await submit(next, 100, 50)
  await until(() => next.status().outlet === 'up')
  await assertAll(world, 150)
  assert.deepEqual((await readdir(world.dir)).toSorted(), ['checkpoint', 'lock'])
  await next.close()
  assert.deepEqual(await readdir(world.dir), ['checkpoint'])
})

test('a stop before Kafka counts as away puts on disk what has no acknowledgement', async t => {
  const world = await newWorld(t)
  const producer = await world.start({ whenAway: { mode: 'spill', afterMs: 600_000 } })
  world.fault = { errorCode: 6 }
  const { settled } = await producer.submit(chunkOf(0, 10), { source: 'test' })
  await producer.close()
  assert.equal((await settled).spilledCount, 10)

  world.fault = undefined
  const next = await world.start()
  await until(() => next.status().outlet === 'up')
  await assertAll(world, 10)
})

test('a second producer on the same folder does not start', async t => {
  const world = await newWorld(t)
  await world.start()
  await assert.rejects(world.start(), { code: 'ERR_PRODUCER_SPILL_LOCKED', message: /spill\.dir/ })
})

test('a full spill makes sources wait, and they go on when Kafka is back', async t => {
  const world = await newWorld(t)
  const spill = { dir: world.dir, bytesMax: 4_194_304, segmentBytes: 1_048_576 }
  const delivery = { lingerMs: 1, bufferBytes: 1_048_576, timeoutMs: 60_000 }
  const producer = await world.start({ spill, delivery, recordBytesMax: 10_000 })
  world.fault = { errorCode: 6 }
  let taken = 0
  const settlements: Promise<Settlement>[] = []
  const load = (async () => {
    for (let from = 0; from < 8000; from += 100) {
      const { settled } = await producer.submit(chunkOf(from, 100, 'x'.repeat(1000)), { source: 'test' })
      settlements.push(settled)
      taken = from + 100
    }
  })()
  await until(() => producer.status().spill?.isFull === true)
  const before = taken
  await new Promise(resolve => setTimeout(resolve, 200))
  assert.ok(taken <= before + 100 && taken < 8000, `${taken} events were taken`)
  assert.ok((producer.status().spill?.bytes ?? 0) <= 4_194_304)

  world.fault = undefined
  await load
  assert.ok((await Promise.all(settlements)).every(each => each.error === undefined))
  await until(() => producer.status().outlet === 'up')
  await assertAll(world, 8000)
})

test('a spilled record that Kafka refuses for good becomes a dead letter, and its neighbours pass', async t => {
  const world = await newWorld(t)
  const producer = await world.start()
  world.fault = { errorCode: 6 }
  assert.equal((await submit(producer, 0, 4)).spilledCount, 4)
  await submit(producer, 4, 4)
  world.fault = { errorCode: 87 } // INVALID_RECORD
  await until(() => producer.status().spill?.deadLetteredCount !== 0)
  world.fault = undefined
  await until(() => producer.status().outlet === 'up')
  const dead = await world.read(world.topics.dead)
  const [hot, cold] = [await world.read(world.topics.hot), await world.read(world.topics.cold)]
  assert.deepEqual(
    [...dead, ...hot, ...cold].map(numberOf).toSorted((a, b) => a - b),
    [0, 1, 2, 3, 4, 5, 6, 7]
  )
  assert.ok(dead.length > 0)
  assert.equal(dead[0]?.headers['comporta-error-class'], 'undeliverable')
  assert.equal(dead[0]?.headers['comporta-source'], 'spill')
  assert.ok([world.topics.hot, world.topics.cold].includes(dead[0]?.headers['comporta-origin-topic'] ?? ''))
})
