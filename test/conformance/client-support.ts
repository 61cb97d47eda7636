/** What the client's conformance tests share: a cluster client, topics, members and readers that end with the test. */

import type { TestContext } from 'node:test'
import {
  Admin,
  Appender,
  type AppenderOptions,
  type AppendRecord,
  type AssignedPartition,
  Cluster,
  type DeliveredBatch,
  type DeliveryListener,
  type FetchedChunk,
  Fetcher,
  type FetcherOptions,
  type FetchPartitionError,
  GroupMember,
  type GroupMemberOptions,
  type TopicPartition
} from '../../src/client/index.ts'
import type { PipelineError } from '../../src/core/index.ts'
import { RecordCursor } from '../../src/protocol/index.ts'
import { clusterForTest, type TestCluster } from '../support/cluster.ts'

/** A cluster and a client of it. */
export interface ClientPeer {
  readonly cluster: Cluster
  readonly admin: Admin
  readonly server: TestCluster
  /** Creates a topic with a new name. */
  readonly topic: (partitionCount: number, configs?: Readonly<Record<string, string>>) => Promise<string>
  /** Another client of the same cluster. */
  readonly another: () => Promise<Cluster>
}

/** Connects a client for the length of one test. */
export async function clientForTest(
  t: TestContext,
  options: { readonly requestTimeoutMs?: number } = {}
): Promise<ClientPeer> {
  const server = await clusterForTest(t)
  const another = async (): Promise<Cluster> => {
    const cluster = await Cluster.connect({
      bootstrapServers: server.bootstrapServers.split(','),
      clientId: 'conformance',
      ...options
    })
    t.after(() => cluster.close())
    return cluster
  }
  const cluster = await another()
  const admin = new Admin(cluster)
  const topic = async (partitionCount: number, configs: Readonly<Record<string, string>> = {}): Promise<string> => {
    const name = server.uniqueName('client')
    const [result] = await admin.createTopics([{ topic: name, partitionCount, replicationFactor: 1, configs }])
    if (result?.errorCode !== 0) throw new Error(`creating ${name}: ${result?.errorName}`)
    return name
  }
  return { cluster, admin, server, topic, another }
}

/** Texts in the order of their characters. */
export function inOrder(texts: readonly string[]): string[] {
  return texts.toSorted((left, right) => (left < right ? -1 : Number(left > right)))
}

/** Waits for conditions that events make true: looks again at every `changed`. */
export class Watch {
  #waits: (() => void)[] = []

  changed(): void {
    for (const look of this.#waits) look()
  }

  /** Resolves as soon as the condition holds. The test's own time limit ends a wait in vain. */
  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve()
    return new Promise(resolve => {
      const look = (): void => {
        if (!condition()) return
        this.#waits = this.#waits.filter(other => other !== look)
        resolve()
      }
      this.#waits.push(look)
    })
  }
}

/** An appender whose verdicts are kept. */
export class TestAppender implements DeliveryListener {
  readonly appender: Appender
  readonly batches: DeliveredBatch[] = []
  readonly failures: { error: PipelineError; records: AppendRecord[] }[] = []

  constructor(t: TestContext, cluster: Cluster, options: Partial<AppenderOptions> = {}) {
    this.appender = new Appender({ cluster, ...options })
    t.after(() => this.appender.close(0))
  }

  delivered(batch: DeliveredBatch): void {
    this.batches.push(batch)
  }

  failed(error: PipelineError, records: AppendRecord[]): void {
    this.failures.push({ error, records })
  }

  get deliveredCount(): number {
    return this.batches.reduce((sum, batch) => sum + batch.recordCount, 0)
  }

  /** Appends records, waiting for room, and flushes. */
  async append(...records: readonly AppendRecord[]): Promise<void> {
    for (const record of records) while (!this.appender.append(record, this)) await this.appender.room()
    await this.appender.flush()
  }
}

/** A record as it was read back. */
export interface ReadRecord {
  readonly partition: number
  readonly offset: bigint
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly { readonly key: string; readonly value: string | null }[]
}

/** A fetcher whose chunks are kept and decoded. */
export class TestReader {
  readonly fetcher: Fetcher
  readonly chunks: FetchedChunk[] = []
  readonly records: ReadRecord[] = []
  readonly errors: FetchPartitionError[] = []
  readonly watch = new Watch()
  /** Called for every chunk, before it is kept. */
  onChunk: (chunk: FetchedChunk) => void = () => undefined

  constructor(t: TestContext, cluster: Cluster, options: Partial<FetcherOptions> = {}) {
    this.fetcher = new Fetcher({
      cluster,
      onRecords: chunk => this.#take(chunk),
      onPartitionError: failure => {
        this.errors.push(failure)
        this.watch.changed()
      },
      ...options
    })
    t.after(() => this.fetcher.close())
    this.fetcher.start()
  }

  #take(chunk: FetchedChunk): void {
    this.onChunk(chunk)
    this.chunks.push(chunk)
    const cursor = new RecordCursor()
    cursor.reset(chunk.records)
    while (cursor.nextBatch()) {
      while (cursor.nextRecord()) {
        if (cursor.offset() < chunk.fromOffset) continue
        this.records.push({
          partition: chunk.partition,
          offset: cursor.offset(),
          key: cursor.key()?.toString() ?? null,
          value: cursor.value()?.toString() ?? null,
          headers: cursor.headers().map(({ key, value }) => ({ key, value: value?.toString() ?? null }))
        })
      }
    }
    this.watch.changed()
  }

  /** Records of a partition in the order they were handed out. */
  of(partition: number): ReadRecord[] {
    return this.records.filter(record => record.partition === partition)
  }
}

/** A group member whose calls are kept. */
export class TestMember {
  readonly member: GroupMember
  /** Every call of the listener, such as `assigned 0,1`. */
  readonly calls: string[] = []
  readonly held = new Map<number, AssignedPartition>()
  readonly failures: PipelineError[] = []
  readonly watch: Watch
  /** Runs within `revoked`. */
  onRevoked: (partitions: readonly TopicPartition[]) => Promise<void> = () => Promise.resolve()
  /** Runs at the end of `assigned`. */
  onAssigned: (partitions: readonly AssignedPartition[]) => void = () => undefined

  constructor(t: TestContext, options: Omit<GroupMemberOptions, 'listener'>, watch: Watch = new Watch()) {
    this.watch = watch
    this.member = new GroupMember({
      groupProtocol: 'classic',
      // Only the classic protocol knows it: it would decide what `auto` does.
      ...(options.groupProtocol === 'auto' ? {} : { sessionTimeoutMs: 10_000 }),
      heartbeatIntervalMs: 100,
      rebalanceTimeoutMs: 20_000,
      topicCheckIntervalMs: 200,
      ...options,
      listener: {
        assigned: partitions => {
          for (const partition of partitions) this.held.set(partition.partition, partition)
          this.onAssigned(partitions)
          this.#note('assigned', partitions)
        },
        revoked: async partitions => {
          this.#note('revoking', partitions)
          await this.onRevoked(partitions)
          for (const { partition } of partitions) this.held.delete(partition)
          this.#note('revoked', partitions)
        },
        lost: partitions => {
          for (const { partition } of partitions) this.held.delete(partition)
          this.#note('lost', partitions)
        },
        failed: error => {
          this.failures.push(error)
          this.#note('failed', [])
        }
      }
    })
    t.after(() => this.member.close())
    this.member.start()
  }

  #note(call: string, partitions: readonly TopicPartition[]): void {
    const numbers = partitions.map(({ partition }) => partition).sort((left, right) => left - right)
    this.calls.push(`${call} ${numbers.join(',')}`.trim())
    this.watch.changed()
  }
}
