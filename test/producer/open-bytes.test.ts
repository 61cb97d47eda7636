/** What a slow Kafka may pin in memory: the bytes of chunks, however few of their events are still open. */

import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { startBroker } from '../../src/broker/index.ts'
import type { AppendRecord } from '../../src/client/index.ts'
import { producerConfig } from '../../src/config/index.ts'
import { systemClock } from '../../src/core/index.ts'
import { type EventChunk, streamSource } from '../../src/producer/index.ts'
import { EventIntake } from '../../src/producer/intake.ts'
import { splitLines } from '../../src/producer/line-splitter.ts'
import type { Outlet, OutletListener, RecordRows, RowPlace } from '../../src/producer/outlet.ts'
import { ProducerMeter } from '../../src/producer/producer-metrics.ts'
import { noopMeter } from '../../src/telemetry/index.ts'
import { stage } from './kafka.ts'

/** Lets everything that can go on go on. */
const settle = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 5))

/** Acknowledges everything but the records of the topic `slow`, which it holds. */
class HalfSlowOutlet implements Outlet {
  readonly state = 'up'
  readonly bufferedBytes = 0
  readonly held: OutletListener[] = []

  append(record: AppendRecord, listener: OutletListener): boolean {
    return this.#take(record.topic, listener)
  }

  // oxlint-disable-next-line max-params -- as the interface has it
  appendRow(place: RowPlace, _rows: RecordRows, _row: number, listener: OutletListener): boolean {
    return this.#take(place.topic, listener)
  }

  #take(topic: string, listener: OutletListener): boolean {
    if (topic === 'slow') this.held.push(listener)
    // As an appender, never from within the call.
    else queueMicrotask(() => listener.delivered({ topic, partition: 0, baseOffset: 0n, recordCount: 1 }))
    return true
  }

  release(): void {
    for (const listener of this.held.splice(0)) {
      listener.delivered({ topic: 'slow', partition: 0, baseOffset: 0n, recordCount: 1 })
    }
  }

  room(): Promise<void> {
    return Promise.resolve()
  }

  flush(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

function intakeOf(outlet: Outlet, openBytesMax: number): EventIntake {
  const config = producerConfig({
    route: { field: 'to', topics: { slow: ['slow'] }, otherwise: 'fast' },
    deadLetterTopic: 'dead',
    openBytesMax
  })
  return new EventIntake({ config, outlet, clock: systemClock, meter: new ProducerMeter(noopMeter) })
}

function chunkOf(lines: readonly string[]): EventChunk {
  const chunk = splitLines(Buffer.from(lines.join('\n')))
  assert.ok(chunk)
  return chunk
}

test('one open event pins its whole chunk, and is counted so: the source waits at the limit', async () => {
  const outlet = new HalfSlowOutlet()
  const openBytesMax = 2_097_152
  const intake = intakeOf(outlet, openBytesMax)
  const lines = ['{"to":"slow"}', ...Array.from({ length: 500 }, () => `{"to":"fast","fill":"${'x'.repeat(380)}"}`)]
  let handedOver = 0
  const feeding = (async () => {
    for (let number = 0; number < 30; number += 1) {
      await intake.submit(chunkOf(lines), { source: 'test' })
      handedOver += 1
    }
  })()
  for (let round = 0; handedOver < 30; round += 1) {
    const expected = Math.min(10, 30 - round * 10)
    while (outlet.held.length < expected) await settle()
    await settle()
    assert.ok(intake.openBytes <= openBytesMax, `${intake.openBytes} bytes are open`)
    // Each chunk is about 200 KiB: ten of them are open, not one more, though only ten events of 13 bytes are.
    assert.equal(outlet.held.length, expected)
    assert.equal(intake.openCount, outlet.held.length)
    outlet.release()
    await settle()
  }
  await feeding
  await intake.idle()
  assert.equal(intake.openBytes, 0)
})

test('tiny chunks are limited by their number, for their objects are larger than their bytes', async () => {
  const outlet = new HalfSlowOutlet()
  const intake = intakeOf(outlet, 17_179_869_184)
  let handedOver = 0
  const feeding = (async () => {
    for (let number = 0; number < 5000; number += 1) {
      await intake.submit(chunkOf(['{"to":"slow"}']), { source: 'test' })
      handedOver += 1
    }
  })()
  await settle()
  while (handedOver < 4096) await settle()
  await settle()
  assert.equal(intake.openCount, 4096)
  outlet.release()
  while (handedOver < 5000) await settle()
  outlet.release()
  await feeding
  await intake.idle()
})

test('memory stays flat while Kafka is slow, whether sources hand over single events or megabytes', async t => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void // Exposed by the flag.
  const broker = await startBroker({
    onRequest: ({ apiName }) => (apiName === 'Produce' ? { delayMs: 5 } : undefined)
  })
  t.after(() => broker.close())
  const { produce } = await stage(t, { bootstrapServers: broker.bootstrapServers })
  const openBytesMax = 4_194_304
  const producer = await produce({
    openBytesMax,
    delivery: { lingerMs: 1, batchBytes: 65_536, bufferBytes: 1_048_576, timeoutMs: 60_000 }
  })
  const event = `{"codigo":400,"truck_id":"T-1","fill":"${'x'.repeat(150)}"}\n`
  const endless = (bytes: Buffer): Readable =>
    Readable.from((function* () { for (;;) yield Buffer.from(bytes) })(), { objectMode: false }) // prettier-ignore
  void producer.run(streamSource(endless(Buffer.from(event)), 'tiny'))
  void producer.run(streamSource(endless(Buffer.from(event.repeat(5000))), 'huge'))

  const usedBytes = (): number => {
    collect()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  while (producer.status().totals.deliveredCount < 5000) await settle()
  const before = usedBytes()
  const received = producer.status().totals.receivedBytes
  const endsAt = performance.now() + (process.env['FUZZ'] === 'long' ? 60_000 : 1200)
  let most = 0
  while (performance.now() < endsAt) {
    assert.ok(producer.status().openBytes <= openBytesMax)
    for (let round = 0; round < 20; round += 1) await settle()
    most = Math.max(most, usedBytes() - before)
  }
  const through = producer.status().totals.receivedBytes - received
  t.diagnostic(`${Math.round(through / 1024)} KiB went through, memory grew by at most ${Math.round(most / 1024)} KiB`)
  assert.ok(most < 12_000_000, `${most} bytes more than at first`)
  await producer.close()
})
