import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'

import { type Broker, type Fault, startBroker } from '../../src/broker/index.ts'
import { fileSource, HttpSource, startProducer, streamSource } from '../../src/producer/index.ts'
import { createMetrics } from '../../src/telemetry/index.ts'
import { spawnBound } from '../support/child-process.ts'
import { type ReadRecord, stage } from './kafka.ts'

interface FaultyBroker {
  readonly broker: Broker
  /** What happens to the next produce requests. */
  fault: Fault | undefined
  produceCount: number
}

async function faultyBroker(t: TestContext): Promise<FaultyBroker> {
  const state: { fault: Fault | undefined; produceCount: number } = { fault: undefined, produceCount: 0 }
  const broker = await startBroker({
    onRequest: request => {
      if (request.apiName !== 'Produce') return undefined
      state.produceCount += 1
      return state.fault
    }
  })
  t.after(() => broker.close())
  return Object.assign(state, { broker })
}

async function fileOf(t: TestContext, lines: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-failure-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'events.ndjson')
  await writeFile(path, lines.join('\n'))
  return path
}

function trucks(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const codigo = index % 3 === 0 ? 300 : 400
    return `{"n":${index},"codigo":${codigo},"truck_id":"T-${index % 41}","fill":"${'x'.repeat(120)}"}`
  })
}

const numberOf = (record: ReadRecord): number => Number(/"n":(\d+)/.exec(record.value.toString())?.[1])

const short = { compression: 'none', lingerMs: 1, batchBytes: 65_536, bufferBytes: 8_388_608, timeoutMs: 1000 } as const

test('a request whose events Kafka never acknowledges is not answered with 202', async t => {
  const faulty = await faultyBroker(t)
  const { produce, read, topics } = await stage(t, { bootstrapServers: faulty.broker.bootstrapServers })
  const producer = await produce({ delivery: short })
  const http = new HttpSource({ host: '127.0.0.1', port: 0, bodyBytesMax: 100_000, pendingBytesMax: 1_000_000 })
  void producer.run(http)
  const { port } = await http.listening
  const post = (): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"n":1,"codigo":400,"truck_id":"T-1"}'
    })

  faulty.fault = 'close'
  const refused = await post()
  assert.equal(refused.status, 503)
  assert.equal(((await refused.json()) as { error: { code: string } }).error.code, 'ERR_PRODUCER_DELIVERY_FAILED')
  assert.ok(faulty.produceCount > 1, 'it was tried again until the timeout')
  assert.equal((await read(topics.hot)).length, 0)

  faulty.fault = undefined
  assert.equal((await post()).status, 202)
  assert.equal((await read(topics.hot)).length, 1)
})

test('a file goes on after a restart of the broker, without a loss and in order', async t => {
  const dataDir = await mkdtemp(join(tmpdir(), 'comporta-restart-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  let broker = await startBroker({ dataDir })
  t.after(() => broker.close())
  const { produce, read, topics } = await stage(t, { bootstrapServers: broker.bootstrapServers })
  const producer = await produce({ rate: { recordsPerSecond: 20_000, burstMs: 10 } })
  const lines = trucks(20_000)
  const running = producer.run(fileSource(await fileOf(t, lines)))
  while (producer.status().totals.deliveredCount < 5000) await new Promise(resolve => setImmediate(resolve))
  await broker.close()
  broker = await startBroker({ dataDir, port: broker.port })

  assert.equal((await running).error, undefined)
  const records = [...(await read(topics.hot)), ...(await read(topics.cold))]
  assert.deepEqual(records.map(record => record.value.toString()).toSorted(), lines.toSorted())
  const last = new Map<string, number>()
  for (const record of records) {
    const key = `${record.key ?? ''}/${numberOf(record) % 3 === 0}`
    assert.ok(numberOf(record) > (last.get(key) ?? -1))
    last.set(key, numberOf(record))
  }
})

test('while Kafka does not answer, a source is read no further than the buffer, and goes on by itself', async t => {
  const faulty = await faultyBroker(t)
  const { produce } = await stage(t, { bootstrapServers: faulty.broker.bootstrapServers })
  const producer = await produce({ delivery: { ...short, bufferBytes: 1_048_576, timeoutMs: 60_000 } })
  const line = Buffer.from(`${trucks(500).join('\n')}\n`)
  let madeBytes = 0
  const endless = new Readable({
    read() {
      madeBytes += line.length
      this.push(madeBytes > 100_000_000 ? null : line)
    }
  })
  faulty.fault = { errorCode: 6 } // NOT_LEADER_OR_FOLLOWER: retriable, the records stay in the buffer
  const running = producer.run(streamSource(endless))
  while (faulty.produceCount < 5) await new Promise(resolve => setImmediate(resolve))

  assert.ok(madeBytes < 3_000_000, `${madeBytes} bytes were read with a buffer of 1,048,576`)
  const before = madeBytes
  faulty.fault = undefined
  while (madeBytes < before + 5_000_000) await new Promise(resolve => setImmediate(resolve))
  endless.destroy()
  await running
  assert.ok(producer.status().totals.deliveredCount > 10_000)
})

test('a dead letter that cannot be written is an error of the source, not a silent loss', async t => {
  const { produce, read, topics } = await stage(t, { deadConfig: { 'max.message.bytes': '200' } })
  const producer = await produce()
  const lines = ['{"codigo":400,"truck_id":"T-1"}', `not json ${'x'.repeat(500)}`, '{"codigo":401,"truck_id":"T-1"}']
  const report = await producer.run(streamSource(Readable.from([Buffer.from(lines.join('\n'))])))

  assert.equal(report.error?.code, 'ERR_PRODUCER_DEAD_LETTER_FAILED')
  assert.equal(report.progress.safeBytes, 0)
  const { totals } = producer.status()
  assert.deepEqual([totals.deliveredCount, totals.deadLetteredCount, totals.failedCount], [2, 0, 1])
  assert.equal((await read(topics.hot)).length, 2)
})

test('a producer that is killed in the middle of a file has lost nothing once the file is fed again', async t => {
  const { bootstrapServers, produce, read, topics } = await stage(t)
  const lines = trucks(50_000)
  const path = await fileOf(t, lines)
  const script = join(import.meta.dirname, 'ingest-child.ts')
  const child = spawnBound(process.execPath, [script, bootstrapServers, path, JSON.stringify(topics)])
  let errors = ''
  child.stderr?.on('data', (piece: Buffer) => (errors += piece.toString()))
  let acknowledged = 0
  await new Promise<void>((resolve, reject) => {
    child.once('close', () => reject(new Error(`the child ended by itself: ${errors}`)))
    child.stdout?.on('data', (piece: Buffer) => {
      acknowledged = Number(piece.toString().trim().split('\n').at(-1))
      if (acknowledged > 10_000) resolve()
    })
  })
  child.removeAllListeners('close')
  child.kill('SIGKILL')
  await once(child, 'close')

  const before = [...(await read(topics.hot)), ...(await read(topics.cold))]
  assert.ok(before.length >= acknowledged, `${acknowledged} were acknowledged, ${before.length} are there`)
  assert.ok(before.length < lines.length, 'it was killed in the middle')

  const producer = await produce()
  assert.equal((await producer.run(fileSource(path))).error, undefined)
  const after = [...(await read(topics.hot)), ...(await read(topics.cold))]
  assert.deepEqual(new Set(after.map(numberOf)).size, lines.length)
  assert.equal(after.length, before.length + lines.length)
})

test('chunks of one event each are not held without end either: the source waits', async t => {
  const faulty = await faultyBroker(t)
  const { produce } = await stage(t, { bootstrapServers: faulty.broker.bootstrapServers })
  const producer = await produce({ delivery: { ...short, timeoutMs: 60_000 } })
  faulty.fault = { errorCode: 6 }
  let made = 0
  const drip = new Readable({
    highWaterMark: 1,
    read() {
      made += 1
      this.push(made > 1_000_000 ? null : '{"truck_id":"T"}\n')
    }
  })
  const running = producer.run(streamSource(drip))
  while (producer.status().openChunkCount < 4096) await new Promise(resolve => setImmediate(resolve))
  const before = made
  for (let turn = 0; turn < 100; turn += 1) await new Promise(resolve => setImmediate(resolve))
  assert.equal(producer.status().openChunkCount, 4096)
  assert.ok(made <= before + 2, `${made - before} more lines were read`) // one on its way, one behind it

  faulty.fault = undefined
  while (made < 30_000) await new Promise(resolve => setImmediate(resolve))
  drip.destroy()
  await running
})

test('a producer tells its metrics', async t => {
  const { cluster, config } = await stage(t)
  const metrics = createMetrics()
  t.after(() => metrics.close())
  const producer = await startProducer({ config: config(), cluster, meter: metrics.meter })
  t.after(() => producer.close())
  const lines = ['{"codigo":400,"truck_id":"T-1"}', 'not json', '{"codigo":401,"truck_id":"T-1"}']
  await producer.run(streamSource(Readable.from([Buffer.from(lines.join('\n'))])))

  const text = await metrics.prometheusText()
  assert.match(text, /comporta_producer_events_total\{[^}]*outcome="delivered"[^}]*\} 2\b/)
  assert.match(text, /comporta_producer_events_total\{[^}]*outcome="deadLettered"[^}]*\} 1\b/)
  assert.match(text, /comporta_producer_bytes_total(\{[^}]*\})? 71\b/) // 31 + 8 + 31, and a line end within a chunk
  assert.match(text, /comporta_producer_ack_duration_count /)
  assert.match(text, /comporta_producer_buffered_bytes(\{[^}]*\})? 0\b/)
})
