/** A topic with records, a dispatcher on it and a target that keeps a ledger: for tests of delivery on any cluster. */

import type { TestContext } from 'node:test'
import { setTimeout as tick } from 'node:timers/promises'

import { Admin, Appender, type AppendRecord, Cluster } from '../../src/client/index.ts'
import { dispatcherConfig, type DispatcherConfig } from '../../src/config/index.ts'
import { type Dispatcher, startDispatcher } from '../../src/dispatcher/index.ts'
import { ModuleTarget, type Target } from '../../src/targets/index.ts'
import { clusterForTest, type TestCluster } from '../support/cluster.ts'

/** What the target of a test gets. */
export interface Payload {
  readonly topic: string
  readonly partition: number
  readonly messages: readonly unknown[]
  readonly offsets: readonly number[]
  readonly keys: readonly (string | null)[]
}

/** A record to append; strings are UTF-8. */
export interface Input {
  readonly key?: string
  readonly value: string
  readonly headers?: AppendRecord['headers']
}

/** A dead letter as it lies in its topic. */
export interface DeadLetter {
  readonly key: string | undefined
  readonly value: string | undefined
  readonly headers: Readonly<Record<string, string>>
}

/** Waits for a condition of the outside world. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const endMs = performance.now() + 60_000
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not within a minute: ${what}`)
    await tick(5)
  }
}

/** A topic of a test and what works on it. */
export class Bench {
  readonly given: TestCluster
  readonly cluster: Cluster
  readonly admin: Admin
  readonly topic: string
  readonly deadLetterTopic: string
  readonly groupId: string
  readonly #t: TestContext

  private constructor(t: TestContext, given: TestCluster, cluster: Cluster) {
    this.#t = t
    this.given = given
    this.cluster = cluster
    this.admin = new Admin(cluster)
    this.topic = given.uniqueName('dispatch')
    this.deadLetterTopic = given.uniqueName('dead')
    this.groupId = given.uniqueName('group')
  }

  static async open(t: TestContext, partitionCount = 1): Promise<Bench> {
    const given = await clusterForTest(t)
    const cluster = await Cluster.connect({ bootstrapServers: given.bootstrapServers.split(',') })
    t.after(() => cluster.close())
    const bench = new Bench(t, given, cluster)
    await bench.admin.createTopics([
      { topic: bench.topic, partitionCount },
      { topic: bench.deadLetterTopic, partitionCount: 1 }
    ])
    return bench
  }

  /** Appends records and waits until all are acknowledged. */
  async append(inputs: readonly Input[], topic = this.topic): Promise<void> {
    const appender = new Appender({ cluster: this.cluster, lingerMs: 1 })
    const failures: unknown[] = []
    const listener = { delivered: () => undefined, failed: (error: unknown) => void failures.push(error) }
    for (const { key, value, headers } of inputs) {
      const record = { topic, key: key === undefined ? null : Buffer.from(key), value: Buffer.from(value) }
      const whole = headers === undefined ? record : { ...record, headers }
      while (!appender.append(whole, listener)) await appender.room()
    }
    await appender.flush()
    await appender.close()
    if (failures.length > 0) throw new Error('records were not appended', { cause: failures[0] })
  }

  /** Configuration of a dispatcher on the topic, quick to retry. */
  config(options: Partial<DispatcherConfig> = {}): DispatcherConfig {
    const config = dispatcherConfig({
      groupId: this.groupId,
      topics: [this.topic],
      assignors: ['cooperative-sticky', 'range'],
      sessionTimeoutMs: 10_000,
      heartbeatIntervalMs: 300,
      rebalanceTimeoutMs: 30_000,
      batch: { recordsMax: 10, bytesMax: 1_000_000, ageMs: 20 },
      payload: { format: 'json', include: ['offsets', 'timestamps', 'keys'] },
      target: { type: 'module', file: 'unused', timeoutMs: 10_000 },
      retry: { attemptsMax: 3, initialMs: 10, maxMs: 50 },
      concurrency: 4,
      bufferBytes: 16_777_216,
      breaker: { failuresMax: 5, openMs: 100 },
      deadLetterTopic: this.deadLetterTopic,
      drainMs: 10_000
    })
    return { ...config, ...options }
  }

  /** Starts a dispatcher that ends with the test. */
  async dispatch(target: Target, options: Partial<DispatcherConfig> = {}): Promise<Dispatcher> {
    const dispatcher = await startDispatcher({ config: this.config(options), cluster: this.cluster, target })
    this.#t.after(() => dispatcher.close())
    return dispatcher
  }

  /** The offset that the group has committed, as the broker tells it. */
  async committed(partition = 0, topic = this.topic): Promise<bigint> {
    const [found] = await this.admin.fetchGroupOffsets(this.groupId, [{ topic, partition }])
    return found?.offset ?? -1n
  }

  /** How many records a partition has. */
  async end(partition = 0, topic = this.topic): Promise<bigint> {
    const [found] = await this.admin.listOffsets([{ topic, partition, at: 'latest' }])
    return found?.offset ?? -1n
  }

  /** Waits until the group has committed the end of every partition. */
  async untilDrained(
    partitionCount = 1,
    { topic, partition: first } = { topic: this.topic, partition: 0 }
  ): Promise<void> {
    for (let partition = first; partition < first + partitionCount; partition += 1) {
      const isDrained = async (): Promise<boolean> => {
        const end = await this.end(partition, topic)
        return end === 0n || (await this.committed(partition, topic)) === end
      }
      await until(isDrained, `the end of partition ${partition} is committed`)
    }
  }

  /** The first dead letters, read by a dispatcher of their own. */
  async deadLetters(count: number, topic = this.deadLetterTopic): Promise<DeadLetter[]> {
    const letters: DeadLetter[] = []
    const target = new ModuleTarget({
      name: 'letters',
      handler: payload => {
        const { records } = payload as { records: Record<string, readonly EsmRecord[]> }
        for (const record of Object.values(records).flat()) letters.push(readEsm(record))
      }
    })
    const dispatcher = await this.dispatch(target, {
      groupId: `${this.groupId}-letters`,
      topics: [topic],
      deadLetterTopic: `${this.deadLetterTopic}-again`,
      payload: { format: 'esm', include: [] }
    })
    await until(() => letters.length >= count, `${count} dead letters`)
    await dispatcher.drain()
    return letters
  }
}

interface EsmRecord {
  readonly key?: string
  readonly value?: string
  readonly headers: readonly Readonly<Record<string, readonly number[]>>[]
}

function readEsm({ key, value, headers }: EsmRecord): DeadLetter {
  const text = (base64: string | undefined): string | undefined =>
    base64 === undefined ? undefined : Buffer.from(base64, 'base64').toString()
  const entries = headers.flatMap(header =>
    Object.entries(header).map(([name, bytes]) => [name, Buffer.from(bytes).toString()] as const)
  )
  return { key: text(key), value: text(value), headers: Object.fromEntries(entries) }
}

/** A target that keeps what it took, in order. */
export class LedgerTarget extends ModuleTarget {
  /** `partition@offset` of every delivered record, in order. */
  readonly delivered: string[]
  /** Offsets of every call, delivered or not. */
  readonly calls: (readonly number[])[]

  /** @param judge - Says what becomes of a call; what it throws or replies goes to the dispatcher. */
  constructor(judge: (payload: Payload) => unknown = () => undefined) {
    const delivered: string[] = []
    const calls: (readonly number[])[] = []
    super({
      name: 'ledger',
      timeoutMs: 10_000,
      handler: async given => {
        const payload = given as Payload
        calls.push(payload.offsets)
        const reply = await judge(payload)
        const failed = new Set(failedOffsets(reply))
        for (const offset of payload.offsets) if (!failed.has(offset)) delivered.push(`${payload.partition}@${offset}`)
        return reply
      }
    })
    this.delivered = delivered
    this.calls = calls
  }

  /** Deliveries beyond the first of each record. */
  get duplicateCount(): number {
    return this.delivered.length - new Set(this.delivered).size
  }
}

function failedOffsets(reply: unknown): number[] {
  if (typeof reply !== 'object' || reply === null || !('failures' in reply)) return []
  return (reply.failures as { offset: number }[]).map(({ offset }) => offset)
}

/** Values `{"n":from}`, `{"n":from+1}`, … */
export function numbered(count: number, from = 0): Input[] {
  return Array.from({ length: count }, (_, index) => ({
    key: `k${index % 7}`,
    value: JSON.stringify({ n: from + index })
  }))
}
