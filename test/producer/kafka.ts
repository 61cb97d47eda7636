/** What the end-to-end tests of the producer need of a cluster: topics, a producer, and all records of a topic. */

import type { TestContext } from 'node:test'

import { Cluster, type FetchedChunk, Fetcher } from '../../src/client/index.ts'
import { type ProducerConfig, producerConfig as complete, type ProducerInput } from '../../src/config/index.ts'
import { type Producer, startProducer } from '../../src/producer/index.ts'
import { createTopicsApi, listOffsetsApi, RecordCursor } from '../../src/protocol/index.ts'
import { clusterForTest, type TestClusterOptions, uniqueName } from '../support/cluster.ts'

/** A record as read back. */
export interface ReadRecord {
  readonly partition: number
  readonly offset: bigint
  readonly key: string | null
  readonly value: Buffer
  readonly headers: Readonly<Record<string, string>>
}

/** A cluster with two topics for events and one for dead letters. */
export interface Stage {
  readonly cluster: Cluster
  readonly bootstrapServers: string
  readonly topics: { readonly hot: string; readonly cold: string; readonly dead: string }
  /** A configuration that routes `codigo` 400 to 499 to `hot`, all others to `cold`, keyed by `truck_id`. */
  readonly config: (overrides?: Partial<ProducerInput>) => ProducerConfig
  readonly produce: (overrides?: Partial<ProducerInput>) => Promise<Producer>
  /** All records of a topic, in order within each partition. */
  readonly read: (topic: string) => Promise<ReadRecord[]>
}

/** Partitions of the topic `hot`. */
export const HOT_PARTITIONS = 6

/** What a test may ask of its stage. */
export interface StageOptions extends TestClusterOptions {
  /** Settings of the topics for events. */
  readonly topicConfig?: Readonly<Record<string, string>>
  /** Settings of the dead letter topic. */
  readonly deadConfig?: Readonly<Record<string, string>>
  /** A broker of the test's own. Default: the cluster under test. */
  readonly bootstrapServers?: string
}

/** Sets the stage; everything ends with the test. */
export async function stage(t: TestContext, options: StageOptions = {}): Promise<Stage> {
  const bootstrapServers = options.bootstrapServers ?? (await clusterForTest(t, options)).bootstrapServers
  const cluster = await Cluster.connect({ bootstrapServers: bootstrapServers.split(','), clientId: 'producer-test' })
  t.after(() => cluster.close())
  const topics = { hot: uniqueName('hot'), cold: uniqueName('cold'), dead: uniqueName('dead') }
  await createTopic(cluster, { name: topics.hot, numPartitions: HOT_PARTITIONS, config: options.topicConfig ?? {} })
  await createTopic(cluster, { name: topics.cold, numPartitions: 2, config: options.topicConfig ?? {} })
  await createTopic(cluster, { name: topics.dead, numPartitions: 1, config: options.deadConfig ?? {} })
  const config = (overrides: Partial<ProducerInput> = {}): ProducerConfig => producerConfig(topics, overrides)
  return {
    cluster,
    bootstrapServers,
    topics,
    config,
    produce: async overrides => {
      const producer = await startProducer({ config: config(overrides), cluster })
      t.after(() => producer.close())
      return producer
    },
    read: topic => readAll(cluster, topic)
  }
}

/** The configuration of a stage with these topics. */
export function producerConfig(topics: Stage['topics'], overrides: Partial<ProducerInput> = {}): ProducerConfig {
  return complete({
    route: { field: 'codigo', topics: { [topics.hot]: [{ from: 400, to: 499 }] }, otherwise: topics.cold },
    key: { strategy: 'field', field: 'truck_id' },
    delivery: { lingerMs: 1, batchBytes: 65_536, bufferBytes: 8_388_608, timeoutMs: 30_000 },
    deadLetterTopic: topics.dead,
    ...overrides
  })
}

interface TestTopic {
  readonly name: string
  readonly numPartitions: number
  readonly config: Readonly<Record<string, string>>
}

/** Creates a topic. */
export async function createTopic(cluster: Cluster, { name, numPartitions, config }: TestTopic): Promise<void> {
  const configs = Object.entries(config).map(([key, value]) => ({ name: key, value }))
  const topic = { name, numPartitions, replicationFactor: 1, assignments: [], configs }
  const answer = await cluster.send(createTopicsApi, { topics: [topic], timeoutMs: 30_000 }, { to: 'controller' })
  const failed = answer.topics.find(entry => entry.errorCode !== 0)
  if (failed !== undefined) throw new Error(`${name}: error ${failed.errorCode} ${failed.errorMessage ?? ''}`)
}

async function readAll(cluster: Cluster, topic: string): Promise<ReadRecord[]> {
  const ends = await endOffsets(cluster, topic)
  const open = new Map([...ends].filter(([, end]) => end > 0n))
  const records: ReadRecord[] = []
  if (open.size === 0) return records
  await new Promise<void>((resolve, reject) => {
    const fetcher = new Fetcher({
      cluster,
      maxWaitMs: 50,
      onRecords: chunk => {
        readChunk(chunk, records)
        if (chunk.nextOffset < (open.get(chunk.partition) ?? 0n)) return
        open.delete(chunk.partition)
        if (open.size === 0) void fetcher.close().then(resolve, reject)
      },
      onPartitionError: ({ error, willRetry }) => {
        if (!willRetry) reject(error)
      }
    })
    for (const partition of open.keys()) fetcher.add({ topic, partition, offset: 0n })
    fetcher.start()
  })
  return records
}

const LATEST = -1n

async function endOffsets(cluster: Cluster, topic: string): Promise<Map<number, bigint>> {
  const ends = new Map<number, bigint>()
  for (let partition = 0; partition < (await cluster.partitionCount(topic)); partition += 1) {
    const topics = [{ name: topic, partitions: [{ partitionIndex: partition, timestamp: LATEST }] }]
    const nodeId = await cluster.leaderOf(topic, partition)
    const answer = await cluster.send(listOffsetsApi, { replicaId: -1, isolationLevel: 0, topics }, { to: { nodeId } })
    ends.set(partition, answer.topics[0]?.partitions[0]?.offset ?? 0n)
  }
  return ends
}

function readChunk(chunk: FetchedChunk, records: ReadRecord[]): void {
  const { partition, fromOffset } = chunk
  const cursor = new RecordCursor()
  cursor.reset(chunk.records)
  while (cursor.nextBatch()) {
    while (cursor.nextRecord()) {
      const offset = cursor.offset()
      if (offset < fromOffset) continue
      const headers = cursor.headers().map(({ key, value }): [string, string] => [key, value?.toString() ?? ''])
      records.push({
        partition,
        offset,
        key: cursor.key()?.toString() ?? null,
        value: Buffer.from(cursor.value() ?? Buffer.alloc(0)),
        headers: Object.fromEntries(headers)
      })
    }
  }
}
