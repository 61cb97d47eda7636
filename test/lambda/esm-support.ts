/** A topic, a function that notes its events, and a mapping between them. */

import type { TestContext } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { Admin, Appender, type AppendRecord, Cluster } from '../../src/client/index.ts'
import {
  type EventSourceMapping,
  type MappingRunOptions,
  startEventSourceMapping
} from '../../src/lambda/esm/event-source-mapping.ts'
import type { TestCluster } from '../support/cluster.ts'

/** A record of an event. */
export interface EventRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key?: string
  readonly value?: string
}

/** What a handler of a test gets. */
export interface TestEvent {
  readonly eventSource: string
  readonly eventSourceArn?: string
  readonly bootstrapServers: string
  readonly records: Readonly<Record<string, readonly EventRecord[]>>
}

/** A cluster with one topic. */
export class EsmWorld {
  readonly cluster: Cluster
  readonly topic: string
  readonly admin: Admin
  readonly #t: TestContext
  readonly #appender: Appender

  constructor(t: TestContext, cluster: Cluster, topic: string) {
    this.cluster = cluster
    this.topic = topic
    this.admin = new Admin(cluster)
    this.#t = t
    this.#appender = new Appender({ cluster, lingerMs: 0 })
    t.after(() => this.#appender.close())
  }

  /** Appends values to partitions, in the order given; resolves when they are in the log. */
  async append(...records: readonly (Partial<AppendRecord> & { readonly text?: string })[]): Promise<void> {
    for (const { text, ...record } of records) {
      const value = record.value ?? (text === undefined ? null : Buffer.from(text))
      this.#appender.append({ topic: this.topic, key: null, partition: 0, ...record, value }, SILENT)
    }
    await this.#appender.flush()
  }

  /** Starts a mapping that ends with the test. */
  async map(options: Partial<MappingRunOptions> & { readonly functionName: string }): Promise<EventSourceMapping> {
    const mapping = await startEventSourceMapping({
      cluster: this.cluster,
      topic: this.topic,
      batchingWindowMs: 0,
      backoff: { initialMs: 1, maxMs: 5 },
      ...options
    })
    this.#t.after(() => mapping.close())
    return mapping
  }

  /** Offset that a group has committed for a partition, -1 if none. */
  async committed(groupId: string, partition = 0): Promise<number> {
    const [found] = await this.admin.fetchGroupOffsets(groupId, [{ topic: this.topic, partition }])
    return Number(found?.offset ?? -1n)
  }
}

const SILENT = {
  delivered: (): void => undefined,
  failed: (error: Error): void => {
    throw error
  }
}

/** A world on the cluster under test. */
export async function esmWorld(t: TestContext, server: TestCluster, partitionCount = 1): Promise<EsmWorld> {
  const cluster = await Cluster.connect({ bootstrapServers: server.bootstrapServers.split(',') })
  t.after(() => cluster.close())
  const topic = server.uniqueName('esm')
  const world = new EsmWorld(t, cluster, topic)
  await world.admin.createTopics([{ topic, partitionCount, replicationFactor: 1 }])
  return world
}

/** Waits until a mapping has committed what there is. */
export async function untilDone(mapping: EventSourceMapping, offsets: Readonly<Record<number, number>>): Promise<void> {
  await until(() => {
    const { partitions } = mapping.status()
    return Object.entries(offsets).every(
      ([partition, offset]) => partitions.find(each => each.partition === Number(partition))?.committed === offset
    )
  })
}

/** Waits for a condition of the outside world, turn by turn. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn()
}
