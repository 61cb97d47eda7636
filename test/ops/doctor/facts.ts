/** Facts of a healthy cluster of three brokers with one topic and one group, to be made ill by tests. */

import type { GroupMemberDescription, TopicMetadata } from '../../../src/client/index.ts'
import { dispatcherConfig, kafkaConfig, producerConfig } from '../../../src/config/index.ts'
import { type DoctorFacts, known, unknown } from '../../../src/ops/doctor/facts.ts'
import type { DoctorFinding } from '../../../src/ops/doctor/finding.ts'
import { judgeFacts } from '../../../src/ops/doctor/judge.ts'
import type { ScannedGroup, ScannedPartition, ScannedTopic } from '../../../src/ops/scan/scan-types.ts'

export const NOW_MS = 1_900_000_000_000

/** A topic as metadata has it: leaders and replicas go round. */
export function topicOf(
  topic: string,
  count = 3,
  change: Partial<TopicMetadata['partitions'][number]> = {}
): TopicMetadata {
  const partitions = Array.from({ length: count }, (_, partition) => {
    const replicas = [0, 1, 2].map(step => ((partition + step) % 3) + 1)
    const leaderId = replicas[0] ?? -1
    return { partition, leaderId, leaderEpoch: 0, replicas, inSyncReplicas: replicas, errorCode: 0, ...change }
  })
  return { topic, topicId: topic, isInternal: topic.startsWith('__'), partitions, errorCode: 0 }
}

/** A topic as a scan has it, with so many records in each partition. */
export function scanned(topic: string, ends: readonly number[], change: Partial<ScannedPartition> = {}): ScannedTopic {
  const partitions = ends.map((end, partition) => ({
    topic,
    partition,
    leaderId: 1,
    leaderEpoch: 0,
    replicas: [1, 2, 3],
    inSyncReplicas: [1, 2, 3],
    logStartOffset: 0n,
    highWatermark: BigInt(end),
    lastStableOffset: BigInt(end),
    ...change
  }))
  return { topic, topicId: topic, isInternal: false, partitions }
}

/** A member that owns partitions of `orders`. */
export function member(clientId: string, ...partitions: number[]): GroupMemberDescription {
  const assignment = partitions.map(partition => ({ topic: 'orders', partition }))
  const identity = { memberId: clientId, groupInstanceId: null, clientId, clientHost: '/10.0.0.1' }
  return { ...identity, assignment, subscription: ['orders'] }
}

/** A group that has read `orders` up to 100 everywhere. */
export function group(groupId: string, change: Partial<ScannedGroup> = {}): ScannedGroup {
  return {
    groupId,
    state: 'Stable',
    protocolType: 'consumer',
    assignor: 'range',
    coordinatorId: 1,
    members: [member('a', 0, 1), member('b', 2)],
    offsets: [0, 1, 2].map(partition => ({
      topic: 'orders',
      partition,
      committed: 100n,
      leaderEpoch: 0,
      metadata: ''
    })),
    ...change
  }
}

type Scan = DoctorFacts['scan']

/** A scan. */
export function scanOf(topics: readonly ScannedTopic[], groups: readonly ScannedGroup[] = []): Scan {
  const broker = { nodeId: 1, host: 'b1', port: 9092, rack: null }
  const named = new Map(topics.map(each => [each.topic, each]))
  const times = { takenAtMs: NOW_MS, durationMs: 1, problems: [] }
  return { clusterId: 'c', brokers: [broker], controllerId: 1, ...times, topics: named, groups }
}

/** The pipeline file: what the defaults make of the least that can be said. */
export const PIPELINE: NonNullable<DoctorFacts['pipeline']> = {
  kafka: kafkaConfig({ bootstrapServers: 'b1:9093', tls: true }),
  topics: {},
  producer: producerConfig({
    sources: [{ type: 'stdin' }],
    route: { topic: 'orders' },
    key: { strategy: 'field', field: 'id' },
    deadLetterTopic: 'orders-dlq'
  }),
  dispatcher: dispatcherConfig({
    groupId: 'billing',
    topics: ['orders'],
    deadLetterTopic: 'orders-dlq',
    target: { type: 'http', url: 'http://127.0.0.1:1/' }
  })
}

export const SETTINGS: ReadonlyMap<string, string> = new Map([
  ['cleanup.policy', 'delete'],
  ['max.message.bytes', '1048588'],
  ['message.timestamp.type', 'CreateTime'],
  ['min.insync.replicas', '2'],
  ['retention.ms', '604800000'],
  ['retention.bytes', '-1'],
  ['segment.ms', '86400000'],
  ['segment.bytes', '104857600'],
  ['unclean.leader.election.enable', 'false']
])

/** Settings of `orders`, these changed. */
export function settings(change: Readonly<Record<string, string>>): DoctorFacts['topicConfigs'] {
  return known(new Map([['orders', new Map([...SETTINGS, ...Object.entries(change)])]]))
}

/** Healthy facts, these changed. */
export function factsOf(change: Partial<DoctorFacts> = {}): DoctorFacts {
  const brokers = [1, 2, 3].map(nodeId => ({ nodeId, host: `b${nodeId}`, port: 9092, rack: null }))
  const scan = scanOf([scanned('orders', [100, 100, 100])], [group('billing')])
  return {
    nowMs: NOW_MS,
    bootstrapServers: ['b1:9093'],
    metadata: {
      clusterId: 'c',
      controllerId: 1,
      brokers,
      topics: [topicOf('orders'), topicOf('__consumer_offsets'), topicOf('orders-dlq')]
    },
    scan,
    later: known(scan),
    lag: known({ clusterId: 'c', takenAtMs: NOW_MS, durationMs: 1, groups: [], problems: [] }),
    topicConfigs: settings({}),
    brokerConfigs: known(new Map([[1, new Map([['replica.fetch.max.bytes', '1048588']])]])),
    logDirs: known([]),
    versions: known([1, 2, 3].map(nodeId => ({ nodeId, metadataVersionMax: 27, fetchVersionMax: 18 }))),
    transactions: known([]),
    newest: known([{ topic: 'orders', partition: 0, timestampMs: NOW_MS - 5 }]),
    samples: known([]),
    commits: known([]),
    certificates: known([]),
    profile: known({ profile: 'self', evidence: '' }),
    pipeline: PIPELINE,
    ...change
  }
}

/** What one check finds; nothing if all is right. */
export function findingsOf(id: string, change: Partial<DoctorFacts>): DoctorFinding[] {
  const only = [id]
  return judgeFacts(factsOf(change), { only }).filter(({ severity }) => severity !== 'ok')
}

/** A fact that somebody lacks the right to. */
export const DENIED = unknown('CLUSTER_AUTHORIZATION_FAILED; it needs DESCRIBE on the cluster')
