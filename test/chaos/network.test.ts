/** A pipeline over a network that cuts, dawdles, falls silent and breaks: everything arrives once and in order. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { readDeadLetters } from '../../src/cli/demo/dead-letters.ts'
import { demoPipeline, demoTopics, expectationOf } from '../../src/cli/demo/scenario.ts'
import { parseEventId } from '../../src/cli/demo/service.ts'
import { uncommittedCount } from '../../src/cli/demo/settled.ts'
import { ensureTopics } from '../../src/cli/wiring.ts'
import { Cluster } from '../../src/client/index.ts'
import { SeededRandom, sleep, systemClock, within } from '../../src/core/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import { Audit, EXPECTATION, LEDGER_KIND, type LedgerEntry } from '../../src/ops/index.ts'
import { startProducer, TRUCK_EVENT_KIND, type TruckBatch, TruckSource } from '../../src/producer/index.ts'
import type { Target, TargetBatch } from '../../src/targets/index.ts'
import { BadNetwork } from '../support/bad-network.ts'

const topics = demoTopics('')
const groupId = 'bad-network'
const requestTimeoutMs = 1500

interface Event {
  readonly id: string
  readonly seq: number
  readonly codigo: number
  readonly truck_id: string
}

/** A target that notes every event as delivered to one service. */
function ledgerTarget(delivered: LedgerEntry[]): Target {
  const note = (event: Event): void => {
    const { producer, number } = parseEventId(event.id)
    const key = event.codigo * 100_000 + Number(event.truck_id.slice(2))
    const rest = { kind: LEDGER_KIND.delivered, detail: 0, timeMs: systemClock.now() }
    delivered.push({ ...rest, producer, event: number, key, keySequence: event.seq })
  }
  return {
    name: 'ledger',
    bodyBytesMax: 6_000_000,
    timeoutMs: 10_000,
    invoke: async (batch: TargetBatch) => {
      const { messages } = JSON.parse(batch.body.toString('utf8')) as { messages: Event[] }
      await sleep(systemClock, 5)
      messages.forEach(note)
      return { kind: 'ok' }
    },
    close: () => Promise.resolve()
  }
}

function note(produced: LedgerEntry[], batch: TruckBatch): void {
  for (let index = 0; index < batch.count; index += 1) {
    const isMalformed = batch.kinds[index] === TRUCK_EVENT_KIND.malformed
    // The target takes everything that is JSON, as one service.
    const detail = isMalformed ? expectationOf(batch.codes[index] ?? 0, 'malformed') : 1
    const sequence = { key: batch.keys[index] ?? 0, keySequence: batch.sequences[index] ?? 0 }
    const event = batch.firstEvent + index
    produced.push({ kind: 1, producer: batch.producer, event, detail, ...sequence, timeMs: batch.timeMs })
  }
}

async function setUp(t: TestContext, seed: number) {
  const random = new SeededRandom(seed)
  const network = await BadNetwork.listen({ random })
  t.after(() => network.close())
  const config = { 'group.initial.rebalance.delay.ms': '0' }
  const broker = await startBroker({ advertisedPort: network.port, config })
  t.after(() => broker.close())
  network.leadTo(broker.port)
  const bootstrapServers = `127.0.0.1:${network.port}`
  const urls = { serviceUrls: ['http://127.0.0.1:1', 'http://127.0.0.1:1'], lambdaEndpoint: 'http://127.0.0.1:1' }
  const pipeline = demoPipeline({ bootstrapServers, topics, groupId, ...urls })
  const connect = async (clientId: string): Promise<Cluster> => {
    const cluster = await Cluster.connect({ bootstrapServers: [bootstrapServers], clientId, requestTimeoutMs })
    t.after(() => cluster.close())
    return cluster
  }
  return { network, pipeline, connect }
}

/** One run: `records` events over a network that harms connections every so often. */
async function run(t: TestContext, { seed, records }: { seed: number; records: number }): Promise<void> {
  const { network, pipeline, connect } = await setUp(t, seed)
  assert.ok(pipeline.producer !== undefined && pipeline.dispatcher !== undefined)
  const control = await connect('control')
  await ensureTopics(control, pipeline)
  const produced: LedgerEntry[] = []
  const delivered: LedgerEntry[] = []
  const options = { config: pipeline.dispatcher, cluster: await connect('dispatcher') }
  const dispatcher = await startDispatcher({ ...options, target: ledgerTarget(delivered) })
  t.after(() => dispatcher.close())
  const producer = await startProducer({ config: pipeline.producer, cluster: await connect('producer') })
  t.after(() => producer.close())
  const rates = { trucks: 50, malformedRatio: 0.001, poisonRatio: 0, rampUpMs: 0, recordsPerSecond: 5000 }
  const source = new TruckSource({
    ...rates,
    seed: seed % 2 ** 32,
    records,
    onProduced: batch => note(produced, batch)
  })
  const harm = systemClock.every(200, () => network.harm(0.3))
  const report = await within(systemClock, 60_000, producer.run(source))
  harm.cancel()
  network.breakAll()
  assert.ok(report !== undefined, `all is settled within a minute: ${JSON.stringify(producer.status())}`)
  assert.equal(report.error, undefined)

  const isCommitted = async (): Promise<boolean> => {
    while ((await uncommittedCount(control, groupId, [topics.heavy, topics.light])) > 0) await sleep(systemClock, 50)
    return true
  }
  const isDone = await within(systemClock, 60_000, isCommitted())
  assert.ok(isDone === true, 'all is committed within a minute')
  const audit = new Audit()
  for (const entry of produced) audit.produced(entry)
  for (const entry of delivered) audit.delivered(entry)
  for (const letter of await readDeadLetters(control, topics.deadLetters)) audit.deadLettered(letter)
  const verdict = audit.report()
  t.diagnostic(`${network.brokenCount} connections broken, ${verdict.duplicates} duplicates`)
  assert.equal(verdict.holds, true, JSON.stringify(verdict))
  assert.equal(verdict.produced, records)
  assert.equal(verdict.deadLettered, produced.filter(entry => (entry.detail & EXPECTATION.malformed) !== 0).length)
  assert.equal(verdict.duplicates, 0, 'a broken connection alone repeats nothing')
}

const runs = Number(process.env['CHAOS_RUNS'] ?? 1)

for (let index = 0; index < runs; index += 1) {
  const seed = Number(process.env['TEST_SEED'] ?? systemClock.now()) + index
  test(`a network that breaks connections loses nothing and repeats nothing (TEST_SEED=${seed})`, async t => {
    await run(t, { seed, records: 15_000 })
  })
}
