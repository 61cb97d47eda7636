/**
 * The verdict can be no: the same runner over a real broker and a real dispatcher, once as it should be, and once with
 * a dispatcher that commits what was not delivered.
 */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { type Broker, startBroker } from '../../../src/broker/index.ts'
import { uncommittedCount } from '../../../src/cli/demo/settled.ts'
import { Admin, Appender, Cluster } from '../../../src/client/index.ts'
import { dispatcherConfig } from '../../../src/config/index.ts'
import { sleep, systemClock, type Timer } from '../../../src/core/index.ts'
import { type Dispatcher, startDispatcher } from '../../../src/dispatcher/index.ts'
import { auditLedgers, ledgerFiles } from '../../../src/ops/audit/audit-ledgers.ts'
import { LEDGER_KIND, LedgerWriter } from '../../../src/ops/audit/ledger.ts'
import type { ChaosExperiment } from '../../../src/ops/chaos/experiment.ts'
import type { ChaosLedgers, ChaosSample } from '../../../src/ops/chaos/observation.ts'
import { type ChaosWorld, runExperiment } from '../../../src/ops/chaos/run-experiment.ts'
import type { Target } from '../../../src/targets/index.ts'
import { temporaryFolder } from '../../support/comporta.ts'

const topic = 'events'
const groupId = 'sabotage'
const partitions = 2

const experiment: ChaosExperiment = {
  name: 'commits-early',
  summary: 'For a moment.',
  hypothesis: 'Nothing is lost.',
  needs: {},
  harm: [
    { do: 'faults', faults: { failureRatio: 1 } },
    { do: 'wait', ms: 200 },
    { do: 'faults', faults: { failureRatio: 0 } }
  ],
  abort: { lagSecondsMax: 60, strayDeadLettersMax: 0 },
  recoverWithinMs: 10_000,
  duplicatesMax: 0
}

interface Parts {
  readonly broker: Broker
  readonly cluster: Cluster
  readonly dispatcher: Dispatcher
  readonly appender: Appender
}

/** A producer, a broker, a dispatcher and a service in this process. */
class SmallWorld implements ChaosWorld {
  readonly #dir: string
  readonly #isSabotaged: boolean
  readonly #produced: LedgerWriter
  readonly #delivered: LedgerWriter
  #parts: Parts | undefined
  #load: Timer | undefined
  #made = 0
  #taken = 0
  #isHarmed = false

  constructor(dir: string, isSabotaged: boolean) {
    this.#dir = dir
    this.#isSabotaged = isSabotaged
    this.#produced = new LedgerWriter(join(dir, 'produced.ledger'))
    this.#delivered = new LedgerWriter(join(dir, 'delivered.ledger'))
  }

  async start(): Promise<void> {
    const broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
    const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers], clientId: 'small' })
    const named = { partitionCount: partitions, replicationFactor: 1 }
    await new Admin(cluster).createTopics([
      { topic, ...named },
      { topic: 'dead', ...named }
    ])
    const target = { type: 'http', url: 'http://127.0.0.1:1' } as const
    const batch = { recordsMax: 20, ageMs: 5 }
    const config = dispatcherConfig({ groupId, topics: [topic], batch, target, deadLetterTopic: 'dead' })
    const dispatcher = await startDispatcher({ config, cluster, target: this.#target() })
    this.#parts = { broker, cluster, dispatcher, appender: new Appender({ cluster }) }
  }

  startLoad(ratePerSecond: number): Promise<void> {
    this.#load = systemClock.every(10, () => {
      for (let left = ratePerSecond / 100; left > 0; left -= 1) this.#make()
      this.#produced.flush()
    })
    return Promise.resolve()
  }

  async look(): Promise<Omit<ChaosSample, 'atMs'>> {
    const { dispatcher, cluster } = this.#running()
    const assigned = dispatcher.status().partitions.length
    const left = await uncommittedCount(cluster, groupId, [topic])
    return {
      produced: this.#made,
      delivered: this.#taken,
      offsets: new Map([['all', { committed: this.#made - left, end: this.#made, logStart: 0 }]]),
      assigned,
      partitionCount: partitions,
      rebalances: 0,
      strayDeadLetters: 0,
      ended: []
    }
  }

  apply(): Promise<undefined> {
    this.#isHarmed = !this.#isHarmed
    return Promise.resolve(undefined)
  }

  restore(): Promise<void> {
    this.#isHarmed = false
    return Promise.resolve()
  }

  async settle(): Promise<ChaosLedgers> {
    const { appender, cluster } = this.#running()
    this.#load?.cancel()
    await appender.flush()
    while ((await uncommittedCount(cluster, groupId, [topic])) > 0) await sleep(systemClock, 10)
    this.#delivered.flush()
    const audit = auditLedgers(ledgerFiles([this.#dir]))
    return { audit, handedOver: audit.handedOver, movedOutOfOrder: 0 }
  }

  async close(): Promise<void> {
    this.#load?.cancel()
    await this.#parts?.dispatcher.close()
    await this.#parts?.appender.close()
    await this.#parts?.cluster.close()
    await this.#parts?.broker.close()
    this.#produced.close()
    this.#delivered.close()
  }

  #running(): Parts {
    assert.ok(this.#parts !== undefined)
    return this.#parts
  }

  #make(): void {
    const event = this.#made
    const key = event % 7
    const entry = { kind: LEDGER_KIND.produced, producer: 0, event, detail: 1, key, keySequence: event }
    this.#produced.append({ ...entry, timeMs: systemClock.now() })
    const record = { topic, key: Buffer.from(String(key)), value: Buffer.from(JSON.stringify({ event, key })) }
    const listener = { delivered: () => undefined, failed: () => undefined }
    if (this.#running().appender.append(record, listener)) this.#made += 1
  }

  #target(): Target {
    return {
      name: 'service',
      bodyBytesMax: 1_000_000,
      timeoutMs: 1000,
      invoke: async batch => {
        // Harmed, the service is slow; a sabotaged dispatcher does not wait for it and goes on as if it had answered.
        if (this.#isHarmed && this.#isSabotaged) return { kind: 'ok' }
        if (this.#isHarmed) await sleep(systemClock, 30)
        const body = Buffer.concat([batch.body].flat()).toString('utf8')
        const { messages } = JSON.parse(body) as { messages: { event: number; key: number }[] }
        for (const { event, key } of messages) {
          const entry = { kind: LEDGER_KIND.delivered, producer: 0, event, detail: 0, key, keySequence: event }
          this.#delivered.append({ ...entry, timeMs: systemClock.now() })
        }
        this.#taken += messages.length
        return { kind: 'ok' }
      },
      close: () => Promise.resolve()
    }
  }
}

async function verdictOf(t: TestContext, isSabotaged: boolean) {
  const world = new SmallWorld(temporaryFolder(t), isSabotaged)
  const signal = new AbortController().signal
  return await runExperiment(experiment, {
    world,
    clock: systemClock,
    signal,
    ratePerSecond: 500,
    steadyMs: 200,
    tickMs: 40
  })
}

test('a service that is slow for a moment: the hypothesis holds', async t => {
  const report = await verdictOf(t, false)

  assert.equal(report.verdict, 'holds', report.reasons.join('; '))
  assert.ok((report.audit?.produced ?? 0) > 100)
})

test('a dispatcher that commits what was not delivered: the verdict is no, and says how much is lost', async t => {
  const report = await verdictOf(t, true)

  assert.equal(report.verdict, 'refuted')
  assert.match(report.reasons.join(), /^\d+ events lost, for example 0-\d+/)
  assert.ok((report.audit?.lost.count ?? 0) > 10)
})
