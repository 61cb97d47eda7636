/**
 * A topic on an embedded broker, real dispatchers on it, each with a connection of its own, and one ledger of what all
 * their targets took: the ground on which losses of other programs are recreated.
 */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'

import { type Broker, startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import type { DispatcherConfig } from '../../src/config/index.ts'
import { type Dispatcher, startDispatcher } from '../../src/dispatcher/index.ts'
import { ModuleTarget } from '../../src/targets/index.ts'
import { type Payload, until } from '../conformance/dispatch-support.ts'
import { dispatcherConfig } from '../dispatcher/support.ts'
import { CutNetwork } from '../support/cut-network.ts'

const topic = 'field'
const groupId = 'g'
/** Protocol of the members, where a test does not say; `ACCEPTANCE_PROTOCOL=consumer` runs all with the other one. */
const protocol = process.env['ACCEPTANCE_PROTOCOL'] === 'consumer' ? 'consumer' : 'classic'

/** A record that a target took. */
export interface Delivery {
  readonly member: string
  readonly partition: number
  readonly offset: number
}

/** A dispatcher and what its target was asked. */
export interface Member {
  readonly name: string
  readonly dispatcher: Dispatcher
  /** Partition and offsets of every call. */
  readonly calls: { readonly partition: number; readonly offsets: readonly number[] }[]
}

/** How a member starts. */
export interface MemberOptions {
  /** Answers a call, before its records count as taken; what it names or throws counts as not taken. */
  readonly judge?: (payload: Payload) => unknown
  readonly config?: Partial<DispatcherConfig>
}

interface FieldParts {
  readonly closers: (() => Promise<void>)[]
  readonly control: Cluster
  readonly network: CutNetwork
  readonly broker: Broker
}

/** Broker, topic, members, ledger. */
export class Field {
  readonly deliveries: Delivery[] = []
  readonly admin: Admin
  readonly network: CutNetwork
  readonly broker: Broker
  readonly #closers: (() => Promise<void>)[]
  readonly #control: Cluster

  private constructor(parts: FieldParts) {
    this.#closers = parts.closers
    this.#control = parts.control
    this.network = parts.network
    this.broker = parts.broker
    this.admin = new Admin(parts.control)
  }

  static async open(t: TestContext, partitionCount: number): Promise<Field> {
    // What was opened last is closed first: a dispatcher whose broker is gone waits before it gives up.
    const closers: (() => Promise<void>)[] = []
    t.after(async () => {
      for (const close of closers.toReversed()) await close()
    })
    const network = await CutNetwork.listen()
    closers.push(() => network.close())
    const config = {
      'group.initial.rebalance.delay.ms': '0',
      'group.min.session.timeout.ms': '500',
      'group.consumer.min.session.timeout.ms': '500',
      'group.consumer.session.timeout.ms': '1500',
      'group.consumer.min.heartbeat.interval.ms': '50',
      'group.consumer.heartbeat.interval.ms': '100'
    }
    const broker = await startBroker({ advertisedPort: network.port, config })
    closers.push(() => broker.close())
    network.leadTo(broker.port)
    const control = await Cluster.connect({ bootstrapServers: [`127.0.0.1:${network.port}`], clientId: 'control' })
    closers.push(() => control.close())
    const field = new Field({ closers, control, network, broker })
    await field.admin.createTopics([
      { topic, partitionCount },
      { topic: `${topic}-dead`, partitionCount: 1 }
    ])
    return field
  }

  /** Starts a member; its connections can be cut by its name. */
  async start(name: string, { judge = () => undefined, config = {} }: MemberOptions = {}): Promise<Member> {
    const bootstrapServers = [`127.0.0.1:${this.network.port}`]
    const cluster = await Cluster.connect({ bootstrapServers, clientId: name, requestTimeoutMs: 2000 })
    const calls: Member['calls'] = []
    const handler = async (given: unknown): Promise<unknown> => {
      const payload = given as Payload
      const { partition, offsets } = payload
      calls.push({ partition, offsets })
      const reply = await judge(payload)
      const named = new Set(failedOffsets(reply))
      for (const offset of offsets) if (!named.has(offset)) this.deliveries.push({ member: name, partition, offset })
      return reply
    }
    const dispatcher = await startDispatcher({
      cluster,
      config: { ...dispatcherConfig({ topic, groupId }), groupProtocol: protocol, ...config },
      target: new ModuleTarget({ name, handler, timeoutMs: 60_000 })
    })
    this.#closers.push(async () => {
      await dispatcher.close()
      await cluster.close()
    })
    return { name, dispatcher, calls }
  }

  /** Appends records with keys `k0` to `k19`, which spread over all partitions. */
  async append(count: number): Promise<void> {
    const appender = new Appender({ cluster: this.#control, lingerMs: 1 })
    const listener = { delivered: () => undefined, failed: (error: unknown) => assert.fail(String(error)) }
    for (let index = 0; index < count; index += 1) {
      appender.append({ topic, key: Buffer.from(`k${index % 20}`), value: Buffer.from(`{"n":${index}}`) }, listener)
    }
    await appender.flush()
    await appender.close()
  }

  /** Adds partitions. */
  async grow(partitionCount: number): Promise<void> {
    await this.admin.createPartitions([{ topic, partitionCount }])
    await this.#control.refreshMetadata()
  }

  /** What the group has committed, by partition; -1 where nothing is. */
  async committed(): Promise<number[]> {
    const count = await this.#partitionCount()
    const partitions = Array.from({ length: count }, (_, partition) => ({ topic, partition }))
    const found = await this.admin.fetchGroupOffsets(groupId, partitions)
    return partitions.map(({ partition }) => Number(found.find(each => each.partition === partition)?.offset ?? -1n))
  }

  /** Where the partitions end. */
  async ends(): Promise<number[]> {
    const count = await this.#partitionCount()
    const questions = Array.from({ length: count }, (_, partition) => ({ topic, partition, at: 'latest' as const }))
    return (await this.admin.listOffsets(questions)).map(({ offset }) => Number(offset))
  }

  /** Waits until each partition is committed to its end. */
  async untilDrained(): Promise<void> {
    await until(async () => {
      const [ends, committed] = await Promise.all([this.ends(), this.committed()])
      return ends.every((end, partition) => end === 0 || committed[partition] === end)
    }, 'everything is committed')
  }

  /** Waits until the members have all partitions between them, each at least one. */
  async untilShared(members: readonly Member[], partitionCount: number): Promise<void> {
    const counts = (): number[] => members.map(({ dispatcher }) => dispatcher.status().partitions.length)
    await until(
      () => counts().every(count => count > 0) && counts().reduce((sum, count) => sum + count, 0) === partitionCount,
      'the partitions are shared out'
    )
  }

  /** Partitions of a member now. */
  partitionsOf({ dispatcher }: Member): number[] {
    return dispatcher.status().partitions.map(({ partition }) => partition)
  }

  /** Asserts that each record was taken, in the order of its partition, and as often as allowed. */
  assertWhole(ends: readonly number[], repeatsMax = 0): void {
    const next = ends.map(() => 0)
    const seen = new Set<string>()
    for (const { partition, offset } of this.deliveries) {
      const name = `${partition}@${offset}`
      if (seen.has(name)) continue
      seen.add(name)
      assert.equal(offset, next[partition], `first deliveries of partition ${partition} come in order`)
      next[partition] = offset + 1
    }
    assert.deepEqual(next, ends, 'nothing is missing')
    const repeats = this.deliveries.length - seen.size
    assert.ok(repeats <= repeatsMax, `${repeats} records came again, ${repeatsMax} may`)
  }

  async #partitionCount(): Promise<number> {
    const { topics } = await this.#control.metadata([topic])
    return topics[0]?.partitions.length ?? 0
  }
}

function failedOffsets(reply: unknown): number[] {
  if (typeof reply !== 'object' || reply === null || !('failures' in reply)) return []
  return (reply.failures as { offset: number }[]).map(({ offset }) => offset)
}
