/**
 * Partitions are grown, and a topic is migrated, while producers write and the audit watches; on whatever cluster.
 *
 * One load for all cases: two producers share the keys, and each event of a key is sent after the one before it was
 * acknowledged, by the other producer: as a device does that talks to an ingest behind a load balancer.
 */

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as tick } from 'node:timers/promises'

import { Appender, type AppendRecord, Cluster } from '../../src/client/index.ts'
import type { Dispatcher } from '../../src/dispatcher/index.ts'
import { Audit, type AuditReport, LEDGER_KIND, type LedgerEntry } from '../../src/ops/index.ts'
import { planTopicPartitions } from '../../src/ops/partitions/collect-plan.ts'
import { planGrowth } from '../../src/ops/partitions/grow.ts'
import { planMigration } from '../../src/ops/partitions/migrate.ts'
import { MigrationFile } from '../../src/ops/partitions/migration-file.ts'
import { undoMigration } from '../../src/ops/partitions/undo-migration.ts'
import { ModuleTarget } from '../../src/targets/index.ts'
import { Bench, until } from './dispatch-support.ts'

const KEYS = 12
const PRODUCERS = 2
const SERVICE = { index: 0, bit: 1 }

/** Keys that are written in turn by two producers, and what is known of each event. */
class KeyedLoad {
  readonly #clusters: Cluster[] = []
  readonly #appenders: Appender[] = []
  /** Topic that each producer writes to: changed by a restart. */
  readonly #topics: string[] = []
  readonly #entries: LedgerEntry[] = []
  readonly #delivered: LedgerEntry[] = []
  #isOver = false
  #restarting: Promise<void>[] = []
  #loops: Promise<void>[] = []
  #events = 0
  #gate: PromiseWithResolvers<void> | undefined
  #waiting = 0

  static async start(t: TestContext, bench: Bench): Promise<KeyedLoad> {
    const load = new KeyedLoad()
    t.after(() => load.stop())
    for (let producer = 0; producer < PRODUCERS; producer += 1) {
      const bootstrapServers = bench.given.bootstrapServers.split(',')
      const cluster = await Cluster.connect({ bootstrapServers, metadataMaxAgeMs: 200 })
      t.after(() => cluster.close())
      load.#clusters.push(cluster)
      load.#topics.push(bench.topic)
      load.#appenders.push(new Appender({ cluster, lingerMs: 1 }))
      load.#restarting.push(Promise.resolve())
    }
    load.#loops = Array.from({ length: KEYS }, (_, key) => load.#writeKey(key))
    return load
  }

  get eventCount(): number {
    return this.#events
  }

  /** Restarts one producer with another topic, as a rolling restart does: it drains first. */
  async switchTo(topic: string, producer: number): Promise<void> {
    const before = this.#appenders[producer]
    const cluster = this.#clusters[producer]
    if (before === undefined || cluster === undefined) throw new Error('no such producer')
    const restarted = before.close().then(() => {
      this.#topics[producer] = topic
      this.#appenders[producer] = new Appender({ cluster, lingerMs: 1 })
    })
    this.#restarting[producer] = restarted
    await restarted
  }

  /** What a service got. */
  take(values: readonly { readonly key: number; readonly n: number; readonly event: number }[]): void {
    for (const { key, n, event } of values)
      this.#delivered.push(entryOf(LEDGER_KIND.delivered, { key, n, event, detail: SERVICE.index }))
  }

  get deliveredCount(): number {
    return this.#delivered.length
  }

  /** Stops writing until `resume`; resolves when all that was written is acknowledged. */
  async pause(): Promise<void> {
    const gate = Promise.withResolvers<void>()
    this.#gate = gate
    await until(() => this.#waiting === KEYS, 'all keys wait')
  }

  resume(): void {
    this.#gate?.resolve()
    this.#gate = undefined
  }

  async stop(): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    this.resume()
    await Promise.all(this.#loops)
    await Promise.all(this.#appenders.map(appender => appender.close(1000)))
  }

  /** The verdict. All events are of one producer for the audit: a key has one order, whoever wrote it. */
  audit(): AuditReport {
    const audit = new Audit()
    for (const entry of this.#entries) audit.produced(entry)
    for (const entry of this.#delivered) audit.delivered(entry)
    return audit.report()
  }

  async #writeKey(key: number): Promise<void> {
    for (let n = 0; !this.#isOver; n += 1) {
      if (this.#gate !== undefined) {
        this.#waiting += 1
        await this.#gate.promise
        this.#waiting -= 1
      }
      const event = this.#events
      this.#events += 1
      const producer = n % PRODUCERS
      const isWritten = await this.#write(producer, { key, n, event })
      if (!isWritten) return
      this.#entries.push(entryOf(LEDGER_KIND.produced, { key, n, event, detail: SERVICE.bit }))
      await tick(2)
    }
  }

  /** Resolves with the acknowledgement. */
  async #write(producer: number, body: { key: number; n: number; event: number }): Promise<boolean> {
    const value = Buffer.from(JSON.stringify(body))
    for (;;) {
      await this.#restarting[producer]
      const record: AppendRecord = { topic: this.#topics[producer] ?? '', key: Buffer.from(`k${body.key}`), value }
      const verdict = Promise.withResolvers<boolean>()
      const listener = { delivered: () => verdict.resolve(true), failed: () => verdict.resolve(false) }
      try {
        if (this.#appenders[producer]?.append(record, listener) === true) return await verdict.promise
        await this.#appenders[producer]?.room()
      } catch {
        // Closed for its restart: the next one takes it.
        await tick(1)
      }
    }
  }
}

function entryOf(
  kind: number,
  { key, n, event, detail }: Record<'key' | 'n' | 'event' | 'detail', number>
): LedgerEntry {
  return { kind, producer: 0, detail, event, key, keySequence: n, timeMs: 0 }
}

/** A target that takes a while, so that something is always unread. */
function slowTarget(load: () => KeyedLoad, delayMs: number): ModuleTarget {
  return new ModuleTarget({
    name: 'audited',
    timeoutMs: 10_000,
    handler: async given => {
      // The payload is the dispatcher's own format, with the values that the load wrote.
      const { messages } = given as { messages: { key: number; n: number; event: number }[] }
      await tick(delayMs)
      load().take(messages)
    }
  })
}

async function stateFile(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-migrate-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'state.json')
}

test('a migration under load keeps the order of every key, killed and resumed at each of its steps', async t => {
  const bench = await Bench.open(t, 2)
  const target = `${bench.topic}-v2`
  const load = await KeyedLoad.start(t, bench)
  const config = { topics: [bench.topic, target], topicCheckIntervalMs: 100, concurrency: 8 }
  const takes = slowTarget(() => load, 15)
  const dispatchers = [await bench.dispatch(takes, config), await bench.dispatch(takes, config)]
  await until(() => load.deliveredCount > 50, 'records flow')

  const file = await stateFile(t)
  const request = {
    cluster: bench.cluster,
    topic: bench.topic,
    target,
    partitions: 6,
    stateFile: file,
    quietMs: 300,
    intervalMs: 30
  }
  const phases: string[] = []
  let isSwitched = false
  let runCount = 0
  // Ends in each phase once, and begins anew from the disk: as a process that is killed between any two steps.
  for (let runs = 0; runs < 20; runs += 1) {
    const kill = new AbortController()
    const change = await planMigration(request)
    assert.deepEqual(change.plan.blockers, [])
    const result = await change.apply({
      signal: kill.signal,
      onProgress: text => {
        const phase = text.split(':')[0] ?? ''
        if (phases.at(-1) !== phase) {
          phases.push(phase)
          kill.abort()
        }
        if (isSwitched) return
        isSwitched = true
        // One after the other, with traffic in between.
        void load
          .switchTo(target, 0)
          .then(() => tick(100))
          .then(() => load.switchTo(target, 1))
      }
    })
    if (!result.isComplete) continue
    assert.deepEqual(result.failures, [])
    assert.equal((result.details as { isOrderProven: boolean }).isOrderProven, true)
    runCount = runs + 1
    break
  }
  assert.equal(runCount, 5, 'ended in each phase but the last')
  assert.deepEqual(phases, ['switching', 'draining', 'creating', 'settling', 'done'])
  const { topics } = await bench.admin.describeTopics([target])
  assert.equal(topics[0]?.partitions.length, 6)
  const before = load.deliveredCount
  await until(() => load.deliveredCount > before + 50, 'the new topic is read')
  await load.stop()
  await until(() => load.audit().lost.count === 0, 'all is delivered')
  const report = load.audit()
  assert.deepEqual(report.outOfOrder, { count: 0, examples: [] })
  assert.equal(report.duplicates, 0)
  assert.equal(report.holds, true)
  await Promise.all(dispatchers.map(dispatcher => dispatcher.drain()))
})

test('the same load on a topic that simply grows loses its order: the audit can fail', async t => {
  const bench = await Bench.open(t, 2)
  const load = await KeyedLoad.start(t, bench)
  // Slow enough for records to wait in their old partition.
  const hold = new ModuleTarget({
    name: 'audited',
    timeoutMs: 10_000,
    handler: async given => {
      const payload = given as { partition: number; messages: { key: number; n: number; event: number }[] }
      await tick(payload.partition < 2 ? 200 : 1)
      load.take(payload.messages)
    }
  })
  const dispatcher = await bench.dispatch(hold, { topicCheckIntervalMs: 100, concurrency: 8 })
  await until(() => load.deliveredCount > 20, 'records flow')
  const [grown] = await bench.admin.createPartitions([{ topic: bench.topic, partitionCount: 6 }])
  assert.equal(grown?.errorName, 'NONE')
  await until(() => load.audit().outOfOrder.count > 0, 'a key arrives out of order')
  await load.stop()
  await dispatcher.close()
})

test('an undo before the new topic holds records deletes it, and refuses afterwards', async t => {
  const bench = await Bench.open(t, 1)
  const target = `${bench.topic}-v2`
  const snapshot = { topic: bench.topic, target, partitions: 2, stateFile: await stateFile(t) }
  await bench.append([{ key: 'a', value: '{}' }])
  const change = await planMigration({
    cluster: bench.cluster,
    ...snapshot,
    quietMs: 50,
    intervalMs: 20,
    timeoutMs: 400,
    areProducersSwitched: true
  })
  assert.deepEqual(change.snapshot, snapshot)
  // Nothing is ever written to it: it waits in the phase "settling".
  const result = await change.apply({})
  assert.equal(result.isComplete, false)
  assert.equal((await new MigrationFile(snapshot.stateFile).read())?.phase, 'settling')
  const undo = await undoMigration(snapshot, { cluster: bench.cluster }, 50)
  assert.deepEqual(undo.plan.blockers, [])
  await bench.append([{ key: 'a', value: '{}' }], target)
  const refused = await undoMigration(snapshot, { cluster: bench.cluster })
  assert.match(refused.plan.blockers[0] ?? '', /holds 1 records/)
  const [failure] = (await undo.apply({})).failures
  assert.match(failure ?? '', /1 records came/)
  await assert.rejects(undoMigration({ topic: 1 }, { cluster: bench.cluster }), { code: 'ERR_OPS_UNDO_DAMAGED' })
})

test('the playbook of a growth under load: plan, alter, settle; new partitions are read from their start', async t => {
  const bench = await Bench.open(t, 2)
  let load: KeyedLoad | undefined
  const takes = slowTarget(() => load ?? assert.fail('nothing was written yet'), 5)
  const config = { topicCheckIntervalMs: 100, concurrency: 8, autoOffsetReset: 'latest' as const }
  const dispatchers = [await bench.dispatch(takes, config), await bench.dispatch(takes, config)]
  // With `latest`, what is written before the first commit is nobody's.
  const hasBegun = async (partition: number): Promise<boolean> => (await bench.committed(partition)) === 0n
  await until(async () => (await hasBegun(0)) && (await hasBegun(1)), 'the group has begun at the end')
  load = await KeyedLoad.start(t, bench)
  const written = load
  await until(() => written.deliveredCount > 50, 'records flow')
  const request = { cluster: bench.cluster, topic: bench.topic, observeMs: 100, quietMs: 200, intervalMs: 30 }

  const refused = await planGrowth({ ...request, didMoreConsumersHelp: true })
  assert.equal(refused.plan.blockers.length, 2)
  assert.match(refused.plan.blockers[0] ?? '', /^the need is not confirmed/)
  assert.match(refused.plan.blockers[1] ?? '', /--drain-first keeps it.*--accept-order-break/)
  assert.equal(refused.movement.theoreticalShare, 0.5)
  assert.equal(refused.movement.sampledKeys, KEYS)
  const moving = refused.movement.movedKeys

  const accepted = { ...request, forceNeed: 'a test', isOrderBreakAccepted: true }
  const change = await planGrowth(accepted)
  assert.deepEqual(change.plan.blockers, [])
  assert.equal(change.plan.undo.kind, 'impossible')
  // Ended between two steps, it goes on with the count that it finds.
  const kill = new AbortController()
  const onProgress = (text: string): void => (text.endsWith('has 3 partitions') ? kill.abort() : undefined)
  const stepped = await planGrowth({ ...accepted, stepMax: 1 })
  assert.ok(stepped.plan.warnings.some(text => text.startsWith('it grows in 2 steps (3, 4)')))
  const killed = await stepped.apply({ signal: kill.signal, onProgress })
  assert.deepEqual([killed.isComplete, killed.summary], [false, `${bench.topic} has 3 partitions.`])
  const result = await (await planGrowth({ ...accepted, to: 4 })).apply({})
  assert.deepEqual(result.failures, [])
  assert.equal(result.isComplete, true)
  const { topics } = await bench.admin.describeTopics([bench.topic])
  assert.equal(topics[0]?.partitions.length, 4)

  // Again, as after a kill: it finds its work done and only watches.
  const again = await planGrowth({ ...accepted, to: 4 })
  assert.match(again.plan.summary, /has 4 partitions already/)
  assert.equal((await again.apply({})).isComplete, true)

  await written.stop()
  await until(() => written.audit().lost.count === 0, 'all is delivered, new partitions from offset 0 on')
  const report = written.audit()
  assert.equal(report.duplicates, 0)
  const ends = await Promise.all([2, 3].map(partition => bench.end(partition)))
  assert.equal(
    moving > 0,
    ends.some(end => end > 0n)
  )
  await Promise.all(dispatchers.map(dispatcher => dispatcher.drain()))
})

test(
  'drained first, a growth keeps the order of every key; with producers at work it waits, and gives up in ' + 'time',
  async t => {
    const bench = await Bench.open(t, 2)
    const load = await KeyedLoad.start(t, bench)
    const takes = slowTarget(() => load, 5)
    const dispatcher = await bench.dispatch(takes, { topicCheckIntervalMs: 100, concurrency: 8 })
    await until(() => load.deliveredCount > 20, 'records flow')
    const request = {
      cluster: bench.cluster,
      topic: bench.topic,
      observeMs: 10,
      quietMs: 200,
      intervalMs: 50,
      forceNeed: 'a test',
      isDrainedFirst: true
    }
    const busy = await (await planGrowth({ ...request, drainMaxMs: 300 })).apply({})
    assert.equal(busy.isComplete, false)
    assert.match(busy.failures[0] ?? '', /not drained in time: producers still write/)
    const { topics } = await bench.admin.describeTopics([bench.topic])
    assert.equal(topics[0]?.partitions.length, 2)

    await load.pause()
    const done = await (await planGrowth(request)).apply({})
    assert.deepEqual(done.failures, [])
    load.resume()
    const before = load.deliveredCount
    await until(() => load.deliveredCount > before + 50, 'records flow again')
    await load.stop()
    await until(() => load.audit().lost.count === 0, 'all is delivered')
    assert.equal(load.audit().holds, true)
    await dispatcher.drain()
  }
)

test('offset 0 of new partitions is committed for a group that nobody is in', async t => {
  const bench = await Bench.open(t, 1)
  await bench.append([{ key: 'a', value: '{}' }])
  const partition = { topic: bench.topic, partition: 0 }
  await bench.admin.alterGroupOffsets(bench.groupId, [{ ...partition, offset: 1n }])
  const request = { cluster: bench.cluster, topic: bench.topic, observeMs: 0, quietMs: 0, intervalMs: 20, to: 3 }
  const change = await planGrowth({ ...request, isPreCommitted: true, forceNeed: 'a test', isOrderBreakAccepted: true })
  const result = await change.apply({})
  assert.deepEqual(result.failures, [])
  assert.deepEqual(await Promise.all([0, 1, 2].map(each => bench.committed(each))), [1n, 0n, 0n])
  const fewer = await planGrowth({ ...request, to: 2, forceNeed: 'a test', isOrderBreakAccepted: true })
  assert.match(fewer.plan.blockers[0] ?? '', /cannot become fewer/)
  await assert.rejects(planGrowth({ ...request, topic: bench.given.uniqueName('none') }), { code: 'ERR_OPS_NOT_FOUND' })
})

test('the plan of a topic: what comes, what leaves, its keys, its reader', async t => {
  const bench = await Bench.open(t, 4)
  const inputs = Array.from({ length: 400 }, (_, index) => ({
    key: index % 4 === 0 ? 'hot' : `k${index}`,
    value: '{}'
  }))
  await bench.append(inputs)
  const { plan, movement, facts, groupId } = await planTopicPartitions({
    cluster: bench.cluster,
    topic: bench.topic,
    observeMs: 0,
    peakIn: 900,
    perPartitionOut: 150,
    growth: 1,
    to: 8
  })
  // 900 / 150; nobody reads, so there is no backlog to count.
  assert.equal(plan.needed, 6)
  assert.equal(plan.recommended, 4)
  assert.equal(facts.hotKey, 'hot')
  assert.equal(facts.hotKeyShare, 0.25)
  // A quarter of 900 is more than one partition gives.
  assert.equal(plan.verdict, 'willNotHelp')
  assert.equal(groupId, undefined)
  assert.equal(movement.sampledRecords, 400)
  assert.equal(movement.foreignKeys, 0)
  assert.equal(movement.movedBetweenOld, 0)
})

test('a long lag: producers go on at once, groups read the new topic when they have drained the old one', async t => {
  const bench = await Bench.open(t, 2)
  const target = `${bench.topic}-v2`
  const load = await KeyedLoad.start(t, bench)
  const takes = slowTarget(() => load, 12)
  const old = await bench.dispatch(takes, { concurrency: 1 })
  await until(() => load.deliveredCount > 20, 'records flow')
  let next: Promise<Dispatcher> | undefined
  let isSwitched = false
  const said: string[] = []
  const change = await planMigration({
    cluster: bench.cluster,
    topic: bench.topic,
    target,
    partitions: 4,
    hold: 'consumers',
    stateFile: await stateFile(t),
    quietMs: 200,
    intervalMs: 30
  })
  const result = await change.apply({
    onProgress: text => {
      said.push(text)
      if (!isSwitched) void Promise.all([load.switchTo(target, 0), load.switchTo(target, 1)])
      isSwitched = true
      // What the command asks for: the group is restarted with the new topic.
      if (text.startsWith('opening'))
        next ??= old.drain().then(() => bench.dispatch(takes, { topics: [bench.topic, target], concurrency: 8 }))
    }
  })
  assert.deepEqual(result.failures, [], said.join('\n'))
  const phases = said.map(text => text.split(':')[0])
  assert.deepEqual([...new Set(phases)], ['switching', 'creating', 'draining', 'opening', 'settling', 'done'])
  await load.stop()
  await until(() => load.audit().lost.count === 0, 'all is delivered')
  assert.equal(load.audit().holds, true)
  await (await next)?.drain()
})

test('a record that waits in a retry topic keeps the new topic closed: it and its key come first', async t => {
  const bench = await Bench.open(t, 2)
  const target = `${bench.topic}-v2`
  const taken: string[] = []
  let isRefused = true
  const takes = new ModuleTarget({
    name: 'refuses once',
    timeoutMs: 10_000,
    handler: given => {
      const { messages, offsets } = given as { messages: { n: number }[]; offsets: number[] }
      if (isRefused && messages.some(({ n }) => n === 1)) {
        isRefused = false
        return { failures: offsets.map(offset => ({ offset, action: 'retry', reason: 'not yet' })) }
      }
      taken.push(...messages.map(({ n }) => `n${n}`))
      return undefined
    }
  })
  const { retry } = bench.config()
  const dispatcher = await bench.dispatch(takes, {
    topics: [bench.topic, target],
    topicCheckIntervalMs: 100,
    order: 'key',
    retry: { ...retry, attemptsMax: 1, initialMs: 1, maxMs: 5, delays: [400] }
  })
  await bench.append([{ key: 'a', value: '{"n":1}' }])
  const said: string[] = []
  let appended: Promise<void> | undefined
  const change = await planMigration({
    cluster: bench.cluster,
    topic: bench.topic,
    target,
    partitions: 4,
    stateFile: await stateFile(t),
    quietMs: 100,
    intervalMs: 20,
    areProducersSwitched: true,
    groups: [bench.groupId]
  })
  const result = await change.apply({
    onProgress: text => {
      said.push(text)
      if (text.startsWith('settling')) appended ??= bench.append([{ key: 'a', value: '{"n":2}' }], target)
    }
  })
  await appended
  assert.deepEqual(result.failures, [], said.join('\n'))
  assert.ok(
    said.some(text => text.includes('1 records in retry topics')),
    said.join('\n')
  )
  await until(() => taken.length === 2, 'both are delivered')
  assert.deepEqual(taken, ['n1', 'n2'])
  await dispatcher.drain()
})
