/**
 * A fleet of dispatcher processes under load, with the audit watching: it grows by the scaler's decision, is rolled one
 * instance at a time, and shrinks again; nothing is lost, no key is out of order, and no planned stop repeats a record.
 */

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { LocalFleet } from '../../src/cli/operations/local-fleet.ts'
import { serveFleet } from '../../src/cli/operations/fleet-socket.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { dispatcherConfig, kafkaConfig } from '../../src/config/index.ts'
import { sleep, systemClock } from '../../src/core/index.ts'
import { type Dispatcher, startDispatcher } from '../../src/dispatcher/index.ts'
import {
  Audit,
  DEFAULT_ROLLOUT_POLICY,
  DEFAULT_SCALE_POLICY,
  LEDGER_KIND,
  type LedgerEntry,
  newRollout,
  readRollout,
  type FleetActuator,
  type FleetInstance,
  type FleetSize,
  RolloutSight,
  runRollout,
  type ScaleDecision,
  Scaler,
  SocketFleet
} from '../../src/ops/index.ts'
import { createTarget } from '../../src/targets/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'
import { clusterForTest } from '../support/cluster.ts'
import { temporaryFolder } from '../support/comporta.ts'
import { until } from './dispatch-support.ts'

const partitionCount = 6
const keyCount = 200
/** One batch of at most 20 takes this long: a dispatcher with one slot does 600 records a second at most. */
const sinkDelayMs = 30

/** Records that keep coming, a sink that takes its time, and what both know. */
class Load {
  readonly topic: string
  readonly deadLetterTopic: string
  readonly url: string
  readonly #appender: Appender
  readonly #produced: LedgerEntry[] = []
  readonly #delivered: LedgerEntry[] = []
  readonly #sequences = new Map<number, number>()
  #made = 0
  perSecond = 900
  #isOn = true
  #done: Promise<void> = Promise.resolve()

  private constructor(names: { topic: string; deadLetterTopic: string }, url: string, cluster: Cluster) {
    this.topic = names.topic
    this.deadLetterTopic = names.deadLetterTopic
    this.url = url
    this.#appender = new Appender({ cluster, lingerMs: 5 })
  }

  static async start(t: TestContext, cluster: Cluster, uniqueName: (prefix: string) => string): Promise<Load> {
    const names = { topic: uniqueName('scale'), deadLetterTopic: uniqueName('dead') }
    await new Admin(cluster).createTopics([
      { topic: names.topic, partitionCount },
      { topic: names.deadLetterTopic, partitionCount: 1 }
    ])
    let load: Load | undefined
    const sink = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        load?.take(Buffer.concat(chunks))
        void sleep(systemClock, sinkDelayMs).then(() => response.end())
      })
    })
    await new Promise<void>(resolve => sink.listen(0, '127.0.0.1', resolve))
    t.after(() => {
      sink.closeAllConnections()
      sink.close()
    })
    const { port } = sink.address() as AddressInfo
    load = new Load(names, `http://127.0.0.1:${port}/`, cluster)
    return load
  }

  run(): void {
    this.#done = this.#produce()
  }

  take(body: Buffer): void {
    const { messages } = JSON.parse(body.toString()) as { messages: Omit<LedgerEntry, 'kind' | 'timeMs'>[] }
    for (const message of messages) {
      this.#delivered.push({ ...message, kind: LEDGER_KIND.delivered, detail: 0, timeMs: systemClock.now() })
    }
  }

  get deliveredCount(): number {
    return this.#delivered.length
  }

  /** Ends the load, waits until all of it is delivered, and asks the audit. */
  async verdict(): Promise<ReturnType<Audit['report']>> {
    this.#isOn = false
    await this.#done
    await until(() => this.#delivered.length >= this.#produced.length, 'everything is delivered')
    const audit = new Audit()
    for (const entry of this.#produced) audit.produced(entry)
    for (const entry of this.#delivered) audit.delivered(entry)
    return audit.report()
  }

  async #produce(): Promise<void> {
    let due = 0
    let before = systemClock.monotonicMs()
    while (this.#isOn) {
      const now = systemClock.monotonicMs()
      due += ((now - before) / 1000) * this.perSecond
      before = now
      for (; this.#made < due; this.#made += 1) this.#append(this.#made)
      await sleep(systemClock, 10)
      await this.#appender.room()
    }
    await this.#appender.close()
  }

  #append(event: number): void {
    const key = event % keyCount
    const keySequence = this.#sequences.get(key) ?? 0
    this.#sequences.set(key, keySequence + 1)
    const place = { producer: 0, event, key, keySequence }
    const entry = { ...place, kind: LEDGER_KIND.produced, detail: 1, timeMs: systemClock.now() }
    const record = { topic: this.topic, key: Buffer.from(`k${key}`), value: Buffer.from(JSON.stringify(place)) }
    const listener = { delivered: () => void this.#produced.push(entry), failed: () => undefined }
    assert.ok(this.#appender.append(record, listener), 'a load this small never fills the appender')
  }
}

/** Dispatchers of this process: a fleet to the scaler and to a rollout, without the time that a process takes. */
class DispatcherFleet implements FleetActuator {
  readonly name = 'in-process'
  readonly isComplete = true
  readonly #start: () => Promise<Dispatcher>
  readonly #running: { readonly id: string; readonly incarnation: string; readonly dispatcher: Dispatcher }[] = []
  #started = 0

  constructor(start: () => Promise<Dispatcher>) {
    this.#start = start
  }

  size(): Promise<FleetSize> {
    const { length } = this.#running
    return Promise.resolve({ wanted: length, running: length, min: undefined, max: undefined })
  }

  instances(): Promise<readonly FleetInstance[]> {
    return Promise.resolve(
      this.#running.map(({ id, incarnation }) => ({ id, incarnation, state: 'running', health: 'up' }))
    )
  }

  async resize(count: number): Promise<void> {
    while (this.#running.length > count) await drainWhole(this.#running.pop()?.dispatcher)
    while (this.#running.length < count) await this.#add(this.#running.length)
  }

  async restart(instance: string): Promise<void> {
    const index = this.#running.findIndex(({ id }) => id === instance)
    await drainWhole(this.#running[index]?.dispatcher)
    await this.#add(index)
  }

  async close(): Promise<void> {
    await this.resize(0)
  }

  async #add(index: number): Promise<void> {
    const dispatcher = await this.#start()
    this.#started += 1
    this.#running[index] = { id: `dispatcher-${index + 1}`, incarnation: `${this.#started}`, dispatcher }
  }
}

async function drainWhole(dispatcher: Dispatcher | undefined): Promise<void> {
  const drained = await dispatcher?.drain(10_000)
  assert.equal(drained?.isComplete, true)
  await dispatcher?.close()
}

/** Real processes with `OPS_SCALE=long`, dispatchers of this process otherwise. */
function fleetOf(
  t: TestContext,
  { cluster, bootstrapServers }: { readonly cluster: Cluster; readonly bootstrapServers: string },
  options: Parameters<typeof dispatcherConfig>[0]
): TestFleet {
  const dispatcher = dispatcherConfig(options)
  if (process.env['OPS_SCALE'] === 'long') {
    return new LocalFleet({
      dispatcher: () => ({ kafka: kafkaConfig({ bootstrapServers }), dispatcher }),
      drainMs: 10_000,
      logger: silentLogger,
      logLevel: 'silent',
      logDir: temporaryFolder(t)
    })
  }
  return new DispatcherFleet(async () => {
    const target = await createTarget(dispatcher.target, { cluster })
    t.after(() => target.close())
    return await startDispatcher({ config: dispatcher, cluster, target })
  })
}

type TestFleet = FleetActuator & { readonly isComplete: boolean; close(): Promise<void> }

interface Stage {
  readonly cluster: Cluster
  readonly load: Load
  readonly group: string
  readonly folder: string
  readonly fleet: TestFleet
}

async function setStage(t: TestContext): Promise<Stage> {
  const given = await clusterForTest(t)
  const { bootstrapServers } = given
  const cluster = await Cluster.connect({ bootstrapServers: bootstrapServers.split(',') })
  t.after(() => cluster.close())
  const load = await Load.start(t, cluster, prefix => given.uniqueName(prefix))
  const group = given.uniqueName('group')
  const config: Parameters<typeof dispatcherConfig>[0] = {
    groupId: group,
    topics: [load.topic],
    groupProtocol: 'classic',
    heartbeatIntervalMs: 200,
    batch: { recordsMax: 20, ageMs: 20 },
    concurrency: 1,
    target: { type: 'http', url: load.url },
    deadLetterTopic: load.deadLetterTopic
  }
  const fleet = fleetOf(t, { cluster, bootstrapServers }, config)
  t.after(() => fleet.close())
  return { cluster, load, group, folder: temporaryFolder(t), fleet }
}

/** Lets the scaler decide and act until the fleet has another size. */
function scalerOf({ cluster, group, fleet, folder }: Stage): (isThere: (wanted: number) => boolean) => Promise<void> {
  const scaler = new Scaler({
    cluster,
    group,
    fleet,
    clock: systemClock,
    periodSeconds: 0.2,
    stateFile: join(folder, 'scale.json'),
    apply: async ({ to = 1 }) => await fleet.resize(to),
    policy: {
      ...DEFAULT_SCALE_POLICY,
      instancesMax: 3,
      targetLagSeconds: 0.3,
      drainSeconds: 2,
      measureSeconds: 0.4,
      upCooldownSeconds: 0.2,
      downCooldownSeconds: 0.2,
      stabilizationSeconds: 0.4,
      stepUpRatio: 3,
      stormRebalances: 100
    }
  })
  return async isThere => {
    const end = new AbortController()
    const deadlineMs = systemClock.monotonicMs() + 40_000
    let last: ScaleDecision | undefined
    await scaler.run(({ decision }) => {
      last = decision
      if (isThere(decision.to ?? 0) || systemClock.monotonicMs() > deadlineMs) end.abort()
    }, end.signal)
    assert.ok(isThere((await fleet.size()).wanted), JSON.stringify(last))
  }
}

/** As `comporta rollout` does it: over the socket. */
async function roll(t: TestContext, { cluster, group, load, folder, fleet }: Stage): Promise<void> {
  const socket = join(folder, 'fleet.sock')
  t.after(await serveFleet(fleet, socket))
  const remote = new SocketFleet(socket)
  const sight = new RolloutSight({
    cluster,
    clock: systemClock,
    group,
    fleet: remote,
    deadLetterTopic: load.deadLetterTopic
  })
  const isComplete = async (): Promise<boolean> => {
    const { groupState, members = [] } = await sight.look()
    return groupState === 'Stable' && members.length === 3
  }
  await until(isComplete, 'three members')
  const incarnations = async (): Promise<(string | undefined)[]> =>
    (await remote.instances()).map(({ incarnation }) => incarnation)
  const before = await incarnations()
  const downAtOnce: number[] = []
  const ended = await runRollout(
    {
      fleet: remote,
      policy: { ...DEFAULT_ROLLOUT_POLICY, maxLagSeconds: 5, settleSeconds: 0.2, stepTimeoutSeconds: 40 },
      pollSeconds: 0.1,
      clock: systemClock,
      stateFile: join(folder, 'rollout.json'),
      observe: async signal => {
        const seen = await sight.look(signal)
        downAtOnce.push((seen.instances ?? []).filter(({ state }) => state !== 'running').length)
        return seen
      }
    },
    newRollout(remote.name, await sight.look())
  )
  assert.equal(ended.phase, 'done', ended.haltReason)
  assert.deepEqual(ended.done, ['dispatcher-1', 'dispatcher-2', 'dispatcher-3'])
  assert.ok(Math.max(...downAtOnce) <= 1)
  const fresh = await incarnations()
  assert.ok(
    fresh.every(each => !before.includes(each)),
    'each is another one now'
  )
  assert.equal((await readRollout(join(folder, 'rollout.json')))?.phase, 'done')
}

test('a fleet grows, is rolled and shrinks under load: nothing lost, in order, nothing twice', async t => {
  const stage = await setStage(t)
  const { load, fleet } = stage
  await fleet.resize(1)
  load.run()
  await until(() => load.deliveredCount > 100, 'the first instance delivers')
  const scaleUntil = scalerOf(stage)
  await scaleUntil(wanted => wanted >= 2)
  await fleet.resize(3)
  load.perSecond = 300
  await roll(t, stage)
  load.perSecond = 50
  await scaleUntil(wanted => wanted === 1)
  const verdict = await load.verdict()
  assert.ok(verdict.holds, JSON.stringify(verdict))
  assert.equal(verdict.duplicates, 0, 'no planned stop repeats a record')
  assert.ok(verdict.produced > 500, `${verdict.produced}`)
  await fleet.close()
  assert.ok(fleet.isComplete)
})
