import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type ProducerConfig, producerConfig, type ProducerInput } from '../../../src/config/index.ts'
import { VirtualClock } from '../../../src/core/index.ts'
import type { EventChunk } from '../../../src/producer/event-chunk.ts'
import { LineSplitter } from '../../../src/producer/index.ts'
import { RateGate } from '../../../src/producer/rate/rate-gate.ts'
import { TopicPermits } from '../../../src/producer/rate/topic-permits.ts'
import { type Logger, silentLogger } from '../../../src/telemetry/index.ts'

function rateOf(rate: ProducerInput['rate']): ProducerConfig['rate'] {
  return producerConfig({ route: { topic: 'a' }, deadLetterTopic: 'dead', rate }).rate
}

function chunkOf(count: number, eventBytes = 9): EventChunk {
  const chunk = new LineSplitter(1_000_000).push(Buffer.from(`${'x'.repeat(eventBytes)}\n`.repeat(count)))
  assert.ok(chunk !== undefined)
  return chunk
}

const never = new AbortController().signal

test('without limits everything passes in large slices', async () => {
  const gate = new RateGate(undefined, new VirtualClock())
  const chunk = chunkOf(3000)
  assert.equal(gate.sliceEnd(chunk, 0, false), 1024)
  const slice = { chunk, from: 0, to: 1024, source: 's', isAdmitted: false, isByDisk: false }
  assert.equal(await gate.take(slice, never), 'pass')
  assert.equal(gate.admit(chunk), undefined)
  assert.equal(gate.retryAfterMs(), 0)
})

test('slices are 10 ms of the lower limit, and a single event at least', () => {
  const records = new RateGate(rateOf({ recordsPerSecond: 5000 }), new VirtualClock())
  assert.equal(records.sliceEnd(chunkOf(3000), 100, false), 150)
  const bytes = new RateGate(rateOf({ recordsPerSecond: 5000, bytesPerSecond: 10_000 }), new VirtualClock())
  assert.equal(bytes.sliceEnd(chunkOf(3000), 0, false), 10) // 100 bytes: ten lines of nine and their ends
  assert.equal(bytes.sliceEnd(chunkOf(10, 5000), 0, false), 1)
})

test('a limit that sheds passes exactly what is there and sheds the rest', async () => {
  const clock = new VirtualClock()
  const gate = new RateGate(rateOf({ recordsPerSecond: 1000, burstMs: 100, whenExceeded: 'shed' }), clock)
  const chunk = chunkOf(3000)
  const taken = async (from: number): Promise<[number, string]> => {
    const to = gate.sliceEnd(chunk, from, false)
    return [to, await gate.take({ chunk, from, to, source: 's', isAdmitted: false, isByDisk: false }, never)]
  }
  gate.sliceEnd(chunk, 0, false)
  await clock.advance(37)
  assert.deepEqual(await taken(0), [37, 'pass'])
  assert.deepEqual(await taken(37), [47, 'shed'])
})

test('a request is admitted as a whole: when its events have room, or the burst is full', async () => {
  const clock = new VirtualClock()
  const gate = new RateGate(rateOf({ recordsPerSecond: 1000, burstMs: 100, whenExceeded: 'shed' }), clock)
  assert.equal(gate.admit(chunkOf(50)), 50)
  assert.equal(gate.admit(chunkOf(5000)), 100)
  await clock.advance(60)
  assert.equal(gate.admit(chunkOf(50)), undefined)
  assert.equal(gate.admit(chunkOf(5000)), 40)
  await clock.advance(40)
  assert.equal(gate.admit(chunkOf(5000)), undefined)
  gate.setShare(0)
  assert.equal(gate.admit(chunkOf(1)), Number.POSITIVE_INFINITY)
})

test('what is shed is logged at once, and then every ten seconds with what came in between', async () => {
  const clock = new VirtualClock()
  const counts: unknown[] = []
  const logger: Logger = { ...silentLogger, warn: fields => void counts.push(Object(fields).events) }
  const gate = new RateGate(rateOf({ recordsPerSecond: 1, whenExceeded: 'shed' }), clock, logger)
  gate.shed(5, { source: 's' })
  gate.shed(7, { source: 's' })
  await clock.advance(9999)
  gate.shed(1, { source: 's' })
  assert.deepEqual(counts, [5])
  await clock.advance(1)
  gate.shed(2, { source: 's' })
  assert.deepEqual(counts, [5, 10])
})

test('an event pays its topic once, however often it comes; what a chunk took ahead goes back', async () => {
  const clock = new VirtualClock()
  const gate = new RateGate(rateOf({ topics: { a: { recordsPerSecond: 1000, burstMs: 100 } } }), clock)
  const permits = new TopicPermits(gate, 's')
  const ask = (index: number, topic = 'a'): string => permits.verdict({ index, topic, bytes: 10, isByDisk: false })
  assert.equal(ask(0, 'other'), 'pass')
  assert.equal(ask(0), 'wait')
  const waiting = permits.wait(never)
  await clock.advance(10)
  assert.equal(await waiting, true) // ten records were taken ahead
  assert.equal(ask(0), 'pass')
  assert.equal(ask(0), 'pass')
  assert.equal(ask(1), 'pass')
  const tokens = (): number | undefined => gate.limitOf('a')?.paced.tokens().records
  assert.equal(tokens(), 0)
  permits.giveBack()
  assert.equal(tokens(), 8)
})

test('what goes by disk anyway takes its tokens when it comes back from there', async () => {
  const clock = new VirtualClock()
  const rate = rateOf({ recordsPerSecond: 1000, burstMs: 100, whenExceeded: 'shed' })
  assert.ok(rate !== undefined)
  const gate = new RateGate({ ...rate, whenExceeded: 'spill' }, clock)
  const chunk = chunkOf(100)
  gate.retryAfterMs()
  await clock.advance(50)
  const slice = { chunk, from: 0, to: 10, source: 's', isAdmitted: true }
  assert.equal(await gate.take({ ...slice, isByDisk: true }, never), 'spill')
  assert.equal(gate.limits[0]?.paced.tokens().records, 50)
  assert.equal(await gate.take({ ...slice, isByDisk: false }, never), 'pass')
  assert.equal(gate.limits[0]?.paced.tokens().records, 40)
  assert.equal(await gate.take({ ...slice, to: 60, isByDisk: false }, never), 'spill')
})
