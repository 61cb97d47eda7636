import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { type Fault, startBroker } from '../../../src/broker/index.ts'
import type { ProducerInput } from '../../../src/config/index.ts'
import { HttpSource, type Producer, startProducer } from '../../../src/producer/index.ts'
import { createMetrics } from '../../../src/telemetry/index.ts'
import { AVAILABILITY, Availability } from '../../../src/producer/spill/availability.ts'
import { KafkaHealth } from '../../../src/producer/spill/kafka-health.ts'
import { Retirement } from '../../../src/producer/spill/retirement.ts'
import { stage } from '../kafka.ts'
import { newSpillFolder } from './support.ts'

test('Kafka counts as away when the oldest record has waited too long, whatever else is acknowledged', () => {
  const health = new KafkaHealth(1000)
  const at = (nowMs: number, oldestAppendedMs: number | undefined): boolean =>
    health.isAway({ nowMs, bufferedBytes: 1, oldestAppendedMs })
  assert.equal(at(5000, 4001), false)
  health.acknowledged(5000) // of another partition
  assert.equal(at(5001, 4001), true)
  assert.equal(at(5002, 5000), false) // it has got its acknowledgement
})

test('Kafka counts as away when records wait whose topic is not known yet', () => {
  const health = new KafkaHealth(1000)
  const at = (nowMs: number, bufferedBytes: number): boolean =>
    health.isAway({ nowMs, bufferedBytes, oldestAppendedMs: undefined })
  assert.equal(at(0, 1), false)
  assert.equal(at(999, 1), false)
  assert.equal(at(1000, 1), true)
  assert.equal(at(1001, 0), false) // nothing to acknowledge is no trouble
  assert.equal(at(1999, 1), false)
  assert.equal(at(2999, 1), true)
})

test('every state has a way back to up, and no event leads where it must not', () => {
  const outlet = new Availability(0)
  const walk = (['spillUsed', 'kafkaAnswers', 'kafkaAway', 'kafkaAnswers', 'spillEmpty'] as const).map(
    (event, index) => {
      outlet.on(event, index)
      return outlet.state
    }
  )
  assert.deepEqual(walk, ['spilling', 'replaying', 'spilling', 'replaying', 'up'])
  assert.equal(outlet.on('kafkaAnswers', 9), undefined)
  assert.equal(outlet.on('kafkaAway', 9), 'up')
  assert.equal(outlet.on('spillEmpty', 9), undefined) // no spill was used
  assert.equal(outlet.on('kafkaAnswers', 9), 'away')
  for (const [state, ways] of Object.entries(AVAILABILITY)) {
    if (state !== 'up') assert.ok(Object.values(ways).includes('up') || ways.kafkaAnswers === 'replaying', state)
  }
})

test('a checkpoint goes to the first record without an acknowledgement, in whatever order they come', () => {
  const retirement = new Retirement(10)
  const [first, second, third] = [retirement.open(15, 5), retirement.open(18, 3), retirement.open(30, 12)]
  retirement.settle(second, 3)
  assert.equal(retirement.retirable, 10)
  retirement.settle(first, 4)
  assert.equal(retirement.retirable, 10)
  retirement.settle(first, 1)
  assert.equal(retirement.retirable, 18)
  assert.equal(retirement.openCount, 12)
  retirement.abandon(third, 20) // only two of its records were written
  assert.equal(retirement.retirable, 20)
  assert.throws(() => retirement.open(19, 1), { code: 'ERR_CORE_INVARIANT' })
  assert.throws(() => retirement.settle(first, 1), { code: 'ERR_CORE_INVARIANT' })
})

interface Started {
  readonly producer: Producer
  readonly url: string
  readonly metrics: () => Promise<string>
}

interface World {
  fault: Fault | undefined
  start(overrides: Partial<ProducerInput>): Promise<Started>
}

async function newWorld(t: TestContext): Promise<World> {
  const state: { fault: Fault | undefined } = { fault: undefined }
  const broker = await startBroker({
    onRequest: request => (request.apiName === 'Produce' ? state.fault : undefined)
  })
  t.after(() => broker.close())
  const { cluster, config } = await stage(t, { bootstrapServers: broker.bootstrapServers })
  return Object.assign(state, {
    start: async (overrides: Partial<ProducerInput>) => {
      const metrics = createMetrics()
      t.after(() => metrics.close())
      const producer = await startProducer({ config: config(overrides), cluster, meter: metrics.meter })
      t.after(() => producer.close())
      const http = new HttpSource({ host: '127.0.0.1', port: 0, bodyBytesMax: 100_000, pendingBytesMax: 1_000_000 })
      void producer.run(http)
      const { port } = await http.listening
      return { producer, url: `http://127.0.0.1:${port}`, metrics: () => metrics.prometheusText() }
    }
  })
}

function post(url: string): Promise<Response> {
  const headers = { 'content-type': 'application/json' }
  return fetch(`${url}/events`, { method: 'POST', headers, body: '{"n":1,"codigo":400,"truck_id":"T-1"}' })
}

async function until(isTrue: () => boolean): Promise<void> {
  const endsAtMs = performance.now() + 10_000
  while (!isTrue()) {
    assert.ok(performance.now() < endsAtMs, 'it takes too long')
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}

test('with `reject` a request gets 503 and Retry-After while Kafka is away, and is taken when it is back', async t => {
  const world = await newWorld(t)
  const { producer, url, metrics } = await world.start({ whenAway: { mode: 'reject', afterMs: 150 } })
  world.fault = { errorCode: 6 }
  const first = post(url)
  await until(() => producer.status().outlet === 'away')
  const refused = await post(url)
  assert.equal(refused.status, 503)
  assert.ok(Number(refused.headers.get('retry-after')) > 0)
  assert.equal(((await refused.json()) as { error: { code: string } }).error.code, 'ERR_PRODUCER_AWAY')
  assert.deepEqual(await (await fetch(`${url}/health`)).json(), { status: 'ok', pendingBytes: 37, outlet: 'away' })
  assert.match(await metrics(), /comporta_producer_outlet\{[^}]*state="away"[^}]*\} 1\b/)

  world.fault = undefined
  assert.equal((await first).status, 202) // it was taken before, and has waited
  await until(() => producer.status().outlet === 'up')
  assert.equal((await post(url)).status, 202)
})

test('with `wait` nothing is refused, and the state is told', async t => {
  const world = await newWorld(t)
  const { producer, url } = await world.start({ whenAway: { afterMs: 150 } })
  world.fault = { errorCode: 6 }
  const [first, second] = [post(url), post(url)]
  await until(() => producer.status().outlet === 'away')
  const third = post(url)
  world.fault = undefined
  assert.deepEqual(
    (await Promise.all([first, second, third])).map(({ status }) => status),
    [202, 202, 202]
  )
  await until(() => producer.status().outlet === 'up')
})

test('with `spill` a request is answered with 202 as soon as its events are on disk, with their count', async t => {
  const world = await newWorld(t)
  const dir = await newSpillFolder(t)
  const whenAway = { mode: 'spill', afterMs: 150 } as const
  const { producer, url, metrics } = await world.start({ whenAway, spill: { dir } })
  world.fault = { errorCode: 6 }
  const answers = await Promise.all([post(url), post(url)])
  answers.push(await post(url))
  for (const answer of answers) {
    assert.equal(answer.status, 202)
    assert.deepEqual(await answer.json(), { accepted: 1, deadLettered: 0, spilled: 1 })
  }
  const text = await metrics()
  assert.match(text, /comporta_producer_outlet\{[^}]*state="spilling"[^}]*\} 1\b/)
  assert.match(text, /comporta_producer_spill_records(\{[^}]*\})? 3\b/)
  assert.match(text, /comporta_producer_spill_written_total(\{[^}]*\})? 3\b/)
  assert.match(text, /comporta_producer_events_total\{[^}]*outcome="spilled"[^}]*\} 3\b/)

  world.fault = undefined
  await until(() => producer.status().outlet === 'up')
  assert.match(await metrics(), /comporta_producer_spill_replayed_total(\{[^}]*\})? 3\b/)
})
