/** What several conformance tests need: a topic, a batch, a produce request. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import {
  createTopicsApi,
  kafkaErrorName,
  listOffsetsApi,
  produceApi,
  type ProduceResponsePartitionProduceResponse,
  RecordBatchBuilder
} from '../../src/protocol/index.ts'
import { clusterForTest, type TestCluster } from '../support/cluster.ts'
import { RawConnection } from '../support/raw-connection.ts'

const leaderTimeoutMs = 15_000

/** A cluster and a connection to it. */
export interface Peer {
  readonly cluster: TestCluster
  readonly connection: RawConnection
}

/** A topic as the broker knows it. */
export interface Topic {
  readonly name: string
  readonly id: string
}

/** The cluster under test, connected. */
export async function connectForTest(t: TestContext): Promise<Peer> {
  const cluster = await clusterForTest(t)
  return { cluster, connection: await RawConnection.open(t, cluster) }
}

/** Creates a topic and waits until its partitions have leaders. */
export async function createTopic(
  peer: Peer,
  options: { partitions?: number; configs?: [string, string][] } = {}
): Promise<Topic> {
  const name = peer.cluster.uniqueName('conformance')
  const configs = (options.configs ?? []).map(([key, value]) => ({ name: key, value }))
  const numPartitions = options.partitions ?? 1
  const created = await peer.connection.request(createTopicsApi, {
    version: 7,
    message: { topics: [{ name, numPartitions, replicationFactor: 1, configs }], timeoutMs: 10_000 }
  })
  const [topic] = created.topics
  assert.equal(errorOf(topic), 'NONE')
  await untilLed(peer, { name, partitions: numPartitions })
  return { name, id: topic?.topicId ?? '' }
}

/** Metadata names a leader before that broker has opened the log, so this asks the logs themselves. */
async function untilLed({ connection }: Peer, topic: { name: string; partitions: number }): Promise<void> {
  const partitions = Array.from({ length: topic.partitions }, (_, partitionIndex) => ({
    partitionIndex,
    timestamp: -1n
  }))
  const message = { replicaId: -1, topics: [{ name: topic.name, partitions }] }
  const deadline = performance.now() + leaderTimeoutMs
  while (performance.now() < deadline) {
    const listed = await connection.request(listOffsetsApi, { version: 7, message })
    if (listed.topics[0]?.partitions.every(partition => errorOf(partition) === 'NONE') === true) return
  }
  assert.fail(`${topic.name} got no leaders within ${leaderTimeoutMs} ms`)
}

/** The name of the error in a part of a response. */
export function errorOf(part: { readonly errorCode: number } | undefined): string {
  return part === undefined ? 'nothing answered' : kafkaErrorName(part.errorCode)
}

/** A batch of text values, with the key of each where keys are given. */
export function batchOf(values: readonly string[], options: { key?: string; timestampMs?: number } = {}): Buffer {
  const builder = new RecordBatchBuilder({})
  const key = options.key === undefined ? null : Buffer.from(options.key)
  for (const value of values) builder.tryAppend(options.timestampMs ?? Date.now(), key, Buffer.from(value))
  return builder.build({})
}

/** Sends one batch to partition 0 of a topic with acks of all replicas. */
export async function produce(
  { connection }: Peer,
  topic: string,
  records: Buffer
): Promise<ProduceResponsePartitionProduceResponse> {
  const response = await connection.request(produceApi, {
    version: 9,
    message: {
      acks: -1,
      timeoutMs: 10_000,
      topicData: [{ name: topic, partitionData: [{ index: 0, records }] }]
    }
  })
  const partition = response.responses[0]?.partitionResponses[0]
  assert.ok(partition !== undefined, 'no partition in the response')
  return partition
}
