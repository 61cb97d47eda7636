import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'

import { Cluster } from '../../../src/client/index.ts'
import { producerConfig } from '../../../src/config/index.ts'
import { sleep, systemClock, systemRandom, VirtualClock } from '../../../src/core/index.ts'
import { startProducer, type StreamSource, streamSource } from '../../../src/producer/index.ts'
import { PacedLine } from '../../../src/producer/rate/paced-line.ts'
import { RateGate } from '../../../src/producer/rate/rate-gate.ts'
import { ShareKeeper, type TopicShareConfig } from '../../../src/producer/rate/share-keeper.ts'
import { silentLogger } from '../../../src/telemetry/index.ts'
import { clusterForTest, uniqueName } from '../../support/cluster.ts'
import { createTopic, stage } from '../kafka.ts'

const SESSION_MS = 800
const PER_MS = 10
const BURST_MS = 100
const PARTITIONS = 12

interface Passed {
  readonly atMs: number
  readonly records: number
}

/** An instance that publishes as fast as its share of the rate allows. */
class Instance {
  readonly cluster: Cluster
  readonly keeper: ShareKeeper
  readonly gate: RateGate
  readonly #stop = new AbortController()
  #pressing: Promise<void> | undefined

  constructor(cluster: Cluster, shared: TopicShareConfig) {
    this.cluster = cluster
    const { rate } = producerConfig({
      route: { topic: 'events' },
      deadLetterTopic: 'dead',
      rate: { recordsPerSecond: 1000 * PER_MS, burstMs: BURST_MS }
    })
    this.gate = new RateGate(rate, systemClock)
    this.keeper = new ShareKeeper({
      cluster,
      config: shared,
      gate: this.gate,
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger
    })
  }

  async start(log: Passed[]): Promise<void> {
    await this.keeper.start()
    this.#pressing = this.#press(log)
  }

  /** Ends without a word to the others. */
  async vanish(): Promise<void> {
    await this.cluster.close()
  }

  async end(): Promise<void> {
    this.#stop.abort()
    await this.#pressing
    await this.keeper.close()
    await this.cluster.close()
  }

  async #press(log: Passed[]): Promise<void> {
    const { paced } = this.gate.limits[0] ?? {}
    assert.ok(paced instanceof PacedLine)
    for (;;) {
      const records = paced.line.sliceRecords(1024)
      if (!(await paced.take({ source: 'a', records, bytes: 0 }, this.#stop.signal))) return
      log.push({ atMs: performance.now(), records })
    }
  }
}

/** The most that passed beyond the rate, in any window. */
function burstUsed(passed: readonly Passed[]): number {
  let best = 0
  let open = 0
  let lastMs = 0
  for (const { atMs, records } of passed.toSorted((one, other) => one.atMs - other.atMs)) {
    open = Math.max(0, open - PER_MS * (atMs - lastMs)) + records
    lastMs = atMs
    best = Math.max(best, open)
  }
  return best
}

async function until(t: TestContext, what: string, isTrue: () => boolean): Promise<number> {
  const startedMs = performance.now()
  while (!isTrue()) {
    assert.ok(performance.now() - startedMs < 10_000, `${what} within ten seconds`)
    await sleep(systemClock, 5)
  }
  const ms = performance.now() - startedMs
  t.diagnostic(`${what}: ${Math.round(ms)} ms`)
  return ms
}

test('instances that come, leave and vanish never exceed the rate together, and use it again soon', async t => {
  const { bootstrapServers } = await clusterForTest(t, { brokerConfig: { 'group.min.session.timeout.ms': '100' } })
  const connect = (): Promise<Cluster> =>
    Cluster.connect({ bootstrapServers: bootstrapServers.split(','), clientId: 'rate-test', requestTimeoutMs: 2000 })
  const topic = uniqueName('rate')
  const admin = await connect()
  await createTopic(admin, { name: topic, numPartitions: PARTITIONS, config: {} })
  await admin.close()
  const shared = { type: 'topic' as const, topic, group: topic, sessionTimeoutMs: SESSION_MS, fallbackShare: 0 }
  const log: Passed[] = []
  const open: Instance[] = []
  t.after(() => Promise.all(open.map(instance => instance.end())))
  const started = async (): Promise<Instance> => {
    const instance = new Instance(await connect(), shared)
    open.push(instance)
    await instance.start(log)
    return instance
  }
  const shares = (...of: Instance[]): number[] => of.map(({ keeper }) => keeper.share)
  const isEven = (...of: Instance[]): boolean => shares(...of).every(share => Math.abs(share - 1 / of.length) < 1e-9)

  const first = await started()
  await until(t, 'the first one has it all', () => isEven(first))
  const [second, third] = await Promise.all([started(), started()])
  await until(t, 'three share', () => isEven(first, second, third))
  const countBefore = log.length
  await sleep(systemClock, 300)
  const passed = log.slice(countBefore).reduce((sum, { records }) => sum + records, 0)
  assert.ok(passed > 0.8 * 300 * PER_MS - 300, `${passed} in 300 ms`)

  await second.end()
  await until(t, 'the one that left is replaced', () => isEven(first, third))

  await third.vanish()
  const ms = await until(t, 'the one that vanished is replaced', () => isEven(first))
  assert.equal(third.keeper.share, 0)
  assert.ok(ms < 3 * SESSION_MS, `${ms}`)

  await first.end()
  const used = burstUsed(log)
  t.diagnostic(`at most ${Math.round(used)} at once, allowed are ${PER_MS * BURST_MS}`)
  assert.ok(used <= PER_MS * BURST_MS + 1, `${used} at once`)
})

test('a share ends with its lease, even if nobody looked in time, and saved tokens end with it', () => {
  const clock = new VirtualClock()
  const paced = new PacedLine({ recordsPerSecond: 1000, burstMs: 1000 }, clock)
  let endsAtMs = 5000
  paced.line.setShare(0.5, 0)
  paced.line.setLease({ endsAtMs: () => endsAtMs, fallbackShare: 0.1 })
  assert.equal(paced.line.recordTokens(4000), 500)
  endsAtMs = 6000
  assert.equal(paced.line.tryTake(200, 0, 5999), true)
  assert.equal(paced.line.share, 0.5)
  // The process was stopped for a minute: its share has long been another one's.
  assert.equal(paced.line.recordTokens(66_000), 100)
  assert.equal(paced.line.share, 0.1)
})

test('who never reaches the coordinator has nothing at first, and the fallback share after a session', () => {
  const clock = new VirtualClock()
  const paced = new PacedLine({ recordsPerSecond: 1000, burstMs: 1000 }, clock)
  paced.line.setLease({ endsAtMs: () => 5000, fallbackShare: 0.25 })
  paced.line.setShare(0, 0)
  assert.equal(paced.line.recordTokens(4999), 0)
  assert.equal(paced.line.recordTokens(5000), 0)
  assert.equal(paced.line.recordTokens(5100), 25)
})

test('producers share the rate of their pipeline file, and one that ends leaves its part at once', async t => {
  const { produce, config, cluster, topics, read } = await stage(t)
  const topic = uniqueName('rate')
  const rate = { recordsPerSecond: 400, burstMs: 100, shared: { type: 'topic' as const, topic, group: topic } }
  const early = startProducer({ config: config({ rate }), cluster, topicWaitMs: 0 })
  await assert.rejects(early, { code: 'ERR_PRODUCER_TOPIC_MISSING' })
  await createTopic(cluster, { name: topic, numPartitions: 4, config: {} })

  const startedMs = performance.now()
  const [one, other] = await Promise.all([produce({ rate }), produce({ rate })])
  const lines = '{"codigo":300,"truck_id":"T"}\n'.repeat(120)
  const source = (): StreamSource => streamSource(Readable.from([Buffer.from(lines)]))
  const first = one.run(source())
  await other.run(source())
  await other.drain()
  await first
  const passedMs = performance.now() - startedMs
  assert.equal((await read(topics.cold)).length, 240)
  assert.ok(passedMs >= (240 / 400) * 1000 - 100, `240 records in ${Math.round(passedMs)} ms`)
})
