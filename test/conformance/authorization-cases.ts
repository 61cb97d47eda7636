/**
 * Every API that ACLs guard, with the rights it needs and the error that the
 * lack of each gives. Source: Kafka's documentation, "Operations and Resources
 * on Protocols"; the conformance test holds it to both brokers.
 */

import {
  type Api,
  addOffsetsToTxnApi,
  addPartitionsToTxnApi,
  alterClientQuotasApi,
  alterConfigsApi,
  alterPartitionReassignmentsApi,
  alterReplicaLogDirsApi,
  alterUserScramCredentialsApi,
  consumerGroupDescribeApi,
  consumerGroupHeartbeatApi,
  createAclsApi,
  createPartitionsApi,
  createTopicsApi,
  deleteAclsApi,
  deleteGroupsApi,
  deleteRecordsApi,
  deleteTopicsApi,
  describeAclsApi,
  describeClientQuotasApi,
  describeConfigsApi,
  describeGroupsApi,
  describeLogDirsApi,
  describeProducersApi,
  describeQuorumApi,
  describeTopicPartitionsApi,
  describeTransactionsApi,
  describeUserScramCredentialsApi,
  electLeadersApi,
  endTxnApi,
  fetchApi,
  findCoordinatorApi,
  heartbeatApi,
  incrementalAlterConfigsApi,
  initProducerIdApi,
  joinGroupApi,
  leaveGroupApi,
  listConfigResourcesApi,
  listOffsetsApi,
  listPartitionReassignmentsApi,
  metadataApi,
  offsetCommitApi,
  offsetDeleteApi,
  offsetFetchApi,
  offsetForLeaderEpochApi,
  produceApi,
  RecordBatchBuilder,
  syncGroupApi,
  txnOffsetCommitApi,
  updateFeaturesApi,
  writeTxnMarkersApi,
  ZERO_UUID
} from '../../src/protocol/index.ts'
import { batchOf } from './support.ts'

/** Kafka's `ResourceType` numbers. */
export const RESOURCES = { topic: 2, group: 3, cluster: 4, transactionalId: 5 } as const

/** Kafka's `AclOperation` numbers. */
export const OPERATIONS = {
  read: 3,
  write: 4,
  create: 5,
  delete: 6,
  alter: 7,
  describe: 8,
  clusterAction: 9,
  describeConfigs: 10,
  alterConfigs: 11,
  idempotentWrite: 12
} as const

/** A right that a request needs, and the error without it. */
export interface Right {
  readonly operation: keyof typeof OPERATIONS
  readonly type: keyof typeof RESOURCES
  readonly name: string
  readonly error: string
}

/** What a request is about. */
export interface Names {
  /** A topic with one partition. */
  readonly topic: string
  readonly topicId: string
  /** A topic that does not exist. */
  readonly newTopic: string
  /** A topic that is created and deleted. */
  readonly doomedTopic: string
  readonly group: string
  readonly transactionalId: string
}

/** One request that needs rights. */
export interface AuthorizationCase {
  readonly title: string
  readonly apiKey: number
  readonly rights: readonly Right[]
  /** What an administrator does before each try. */
  readonly prepare?: (admin: Send) => Promise<unknown>
  /** Sends the request. */
  readonly send: (request: Send) => Promise<unknown>
}

/** Sends a request of an API. */
export type Send = <QI, S>(api: Api<unknown, QI, S, never>, version: number, message: QI) => Promise<S>

type Definition<QI> = readonly [title: string, version: number, rights: readonly Right[], message: QI]

function caseOf<QI, S>(
  api: Api<unknown, QI, S, never>,
  [title, version, rights, message]: Definition<QI>
): AuthorizationCase {
  const send = (request: Send): Promise<S> => request(api, version, message)
  return { title: `${api.name} ${version}${title === '' ? '' : `, ${title}`}`, apiKey: api.key, rights, send }
}

/** All cases. */
export function authorizationCases(names: Names): AuthorizationCase[] {
  return [
    ...recordCases(names),
    ...topicCases(names),
    ...groupCases(names),
    ...transactionCases(names),
    ...clusterCases(names)
  ]
}

const onTopic = (operation: Right['operation'], name: string): Right => ({
  operation,
  type: 'topic',
  name,
  error: 'TOPIC_AUTHORIZATION_FAILED'
})
const onGroup = (operation: Right['operation'], name: string): Right => ({
  operation,
  type: 'group',
  name,
  error: 'GROUP_AUTHORIZATION_FAILED'
})
const onTransaction = (operation: Right['operation'], name: string): Right => ({
  operation,
  type: 'transactionalId',
  name,
  error: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED'
})
const onCluster = (operation: Right['operation'], error = 'CLUSTER_AUTHORIZATION_FAILED'): Right => ({
  operation,
  type: 'cluster',
  name: 'kafka-cluster',
  error
})

function recordCases({ topic, topicId }: Names): AuthorizationCase[] {
  const read = [onTopic('read', topic)]
  const write = [onTopic('write', topic)]
  const describe = [onTopic('describe', topic)]
  const data = (): { index: number; records: Buffer }[] => [{ index: 0, records: batchOf(['v']) }]
  const fetch = { maxWaitMs: 0, minBytes: 0, maxBytes: 1000, sessionEpoch: -1 }
  const wanted = [{ partition: 0, fetchOffset: 0n, partitionMaxBytes: 1000 }]
  const offsets = [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -1n }] }]
  const epochs = [{ topic, partitions: [{ partition: 0, currentLeaderEpoch: -1, leaderEpoch: 0 }] }]
  return [
    caseOf(produceApi, [
      '',
      9,
      write,
      { acks: 1, timeoutMs: 1000, topicData: [{ name: topic, partitionData: data() }] }
    ]),
    caseOf(produceApi, [
      'by id',
      13,
      write,
      { acks: 1, timeoutMs: 1000, topicData: [{ topicId, partitionData: data() }] }
    ]),
    caseOf(fetchApi, ['', 12, read, { ...fetch, topics: [{ topic, partitions: wanted }] }]),
    caseOf(fetchApi, ['by id', 16, read, { ...fetch, topics: [{ topicId, partitions: wanted }] }]),
    caseOf(listOffsetsApi, ['', 7, describe, { replicaId: -1, topics: offsets }]),
    caseOf(offsetForLeaderEpochApi, ['', 4, describe, { replicaId: -1, topics: epochs }]),
    caseOf(deleteRecordsApi, [
      '',
      2,
      [onTopic('delete', topic)],
      { topics: [{ name: topic, partitions: [{ partitionIndex: 0, offset: 0n }] }], timeoutMs: 1000 }
    ]),
    caseOf(describeProducersApi, ['', 0, read, { topics: [{ name: topic, partitionIndexes: [0] }] }])
  ]
}

function topicCases(names: Names): AuthorizationCase[] {
  const { topic, topicId, newTopic } = names
  const describe = [onTopic('describe', topic)]
  const created = {
    topics: [{ name: newTopic, numPartitions: 1, replicationFactor: 1 }],
    timeoutMs: 1000,
    validateOnly: true
  }
  const configs = [{ name: 'retention.ms', value: '1000', configOperation: 0 }]
  const resource = { resourceType: 2, resourceName: topic }
  const alterConfigs = [onTopic('alterConfigs', topic)]
  return [
    caseOf(metadataApi, ['', 12, describe, { topics: [{ name: topic }], allowAutoTopicCreation: false }]),
    caseOf(metadataApi, ['by id', 12, describe, { topics: [{ name: null, topicId }], allowAutoTopicCreation: false }]),
    caseOf(describeTopicPartitionsApi, ['', 0, describe, { topics: [{ name: topic }] }]),
    caseOf(createTopicsApi, ['this topic', 7, [onTopic('create', newTopic)], created]),
    caseOf(createTopicsApi, ['any topic', 7, [onCluster('create', 'TOPIC_AUTHORIZATION_FAILED')], created]),
    ...deletions(names),
    caseOf(createPartitionsApi, [
      '',
      3,
      [onTopic('alter', topic)],
      { topics: [{ name: topic, count: 2, assignments: null }], timeoutMs: 1000, validateOnly: true }
    ]),
    caseOf(describeConfigsApi, [
      'topic',
      4,
      [onTopic('describeConfigs', topic)],
      { resources: [{ ...resource, configurationKeys: null }] }
    ]),
    caseOf(alterConfigsApi, ['topic', 2, alterConfigs, { resources: [{ ...resource, configs }], validateOnly: true }]),
    caseOf(incrementalAlterConfigsApi, [
      'topic',
      1,
      alterConfigs,
      { resources: [{ ...resource, configs }], validateOnly: true }
    ])
  ]
}

/** Whoever may delete may also describe, so that only a topic that exists is refused: it is there before each try. */
function deletions({ doomedTopic: name }: Names): AuthorizationCase[] {
  const prepare = (admin: Send): Promise<unknown> =>
    admin(createTopicsApi, 7, { topics: [{ name, numPartitions: 1, replicationFactor: 1 }], timeoutMs: 10_000 })
  const any = [onCluster('delete', 'TOPIC_AUTHORIZATION_FAILED')]
  const byName = { topics: [{ name, topicId: ZERO_UUID }], timeoutMs: 1000 }
  return [
    caseOf(deleteTopicsApi, ['', 5, [onTopic('delete', name)], { topicNames: [name], timeoutMs: 1000 }]),
    caseOf(deleteTopicsApi, ['any topic', 6, any, byName])
  ].map(each => ({ ...each, prepare }))
}

function groupCases({ topic, group }: Names): AuthorizationCase[] {
  const read = [onGroup('read', group)]
  const member = { groupId: group, memberId: 'nobody', generationId: 1 }
  const committed = [{ name: topic, partitions: [{ partitionIndex: 0, committedOffset: 0n, committedMetadata: '' }] }]
  const commit = { groupId: group, memberId: '', generationIdOrMemberEpoch: -1, topics: committed }
  const fetchRights = [onGroup('describe', group), onTopic('describe', topic)]
  const wanted = [{ name: topic, partitionIndexes: [0] }]
  const protocols = [{ name: 'range', metadata: Buffer.alloc(0) }]
  const join = {
    groupId: group,
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    protocolType: 'consumer',
    protocols
  }
  const heartbeat = {
    groupId: group,
    memberId: 'AAAAAAAAAAAAAAAAAAAAAQ',
    memberEpoch: 7,
    rebalanceTimeoutMs: -1,
    subscribedTopicNames: [topic],
    topicPartitions: null
  }
  const named = [{ name: topic, partitions: [{ partitionIndex: 0 }] }]
  return [
    caseOf(offsetCommitApi, ['', 8, [...read, onTopic('read', topic)], commit]),
    caseOf(offsetFetchApi, ['', 7, fetchRights, { groupId: group, topics: wanted }]),
    caseOf(offsetFetchApi, ['several groups', 8, fetchRights, { groups: [{ groupId: group, topics: wanted }] }]),
    caseOf(findCoordinatorApi, ['group', 3, [onGroup('describe', group)], { key: group, keyType: 0 }]),
    caseOf(findCoordinatorApi, ['groups', 4, [onGroup('describe', group)], { coordinatorKeys: [group], keyType: 0 }]),
    caseOf(joinGroupApi, ['', 5, read, join]),
    caseOf(heartbeatApi, ['', 4, read, member]),
    caseOf(leaveGroupApi, ['', 4, read, { groupId: group, members: [{ memberId: 'nobody', groupInstanceId: null }] }]),
    caseOf(syncGroupApi, ['', 4, read, member]),
    caseOf(describeGroupsApi, ['', 5, [onGroup('describe', group)], { groups: [group] }]),
    caseOf(deleteGroupsApi, ['', 2, [onGroup('delete', `${group}-none`)], { groupsNames: [`${group}-none`] }]),
    caseOf(offsetDeleteApi, [
      '',
      0,
      [onGroup('delete', group), onTopic('read', topic)],
      { groupId: group, topics: named }
    ]),
    caseOf(describeConfigsApi, [
      'group',
      4,
      [onGroup('describeConfigs', group)],
      { resources: [{ resourceType: 32, resourceName: group, configurationKeys: null }] }
    ]),
    caseOf(consumerGroupHeartbeatApi, ['', 1, [...read, onTopic('describe', topic)], heartbeat]),
    caseOf(consumerGroupDescribeApi, ['', 0, [onGroup('describe', group)], { groupIds: [group] }])
  ]
}

function transactionCases({ topic, group, transactionalId }: Names): AuthorizationCase[] {
  const write = onTransaction('write', transactionalId)
  const describe = onTransaction('describe', transactionalId)
  const producer = { transactionalId, producerId: 12_345_678n, producerEpoch: 0 }
  const offsets = [{ name: topic, partitions: [{ partitionIndex: 0, committedOffset: 0n, committedMetadata: '' }] }]
  const commit = { ...producer, groupId: group, generationId: -1, memberId: '', topics: offsets }
  const partitions = [{ name: topic, partitions: [0] }]
  const markers = [
    {
      producerId: 12_345_678n,
      producerEpoch: 0,
      transactionResult: false,
      topics: [{ name: topic, partitionIndexes: [0] }]
    }
  ]
  const any = { transactionalId: null, transactionTimeoutMs: 1000 }
  return [
    caseOf(findCoordinatorApi, ['transaction', 4, [describe], { coordinatorKeys: [transactionalId], keyType: 1 }]),
    caseOf(initProducerIdApi, ['some topic', 4, [onTopicFor(topic)], any]),
    caseOf(initProducerIdApi, ['idempotent', 4, [onCluster('idempotentWrite')], any]),
    caseOf(initProducerIdApi, ['transactional', 4, [write], { transactionalId, transactionTimeoutMs: 1000 }]),
    caseOf(addPartitionsToTxnApi, [
      '',
      3,
      [write, onTopic('write', topic)],
      {
        v3AndBelowTransactionalId: transactionalId,
        v3AndBelowProducerId: producer.producerId,
        v3AndBelowProducerEpoch: 0,
        v3AndBelowTopics: partitions
      }
    ]),
    caseOf(addOffsetsToTxnApi, ['', 3, [write, onGroup('read', group)], { ...producer, groupId: group }]),
    caseOf(endTxnApi, ['', 3, [write], { ...producer, committed: false }]),
    caseOf(txnOffsetCommitApi, ['', 3, [write, onGroup('read', group), onTopic('read', topic)], commit]),
    caseOf(writeTxnMarkersApi, ['', 1, [onCluster('clusterAction')], { markers }]),
    caseOf(writeTxnMarkersApi, ['by an administrator', 1, [onCluster('alter')], { markers }]),
    caseOf(describeTransactionsApi, ['', 0, [describe], { transactionalIds: [transactionalId] }]),
    caseOf(produceApi, [
      'transactional',
      9,
      [write, onTopic('write', topic)],
      { transactionalId, acks: -1, timeoutMs: 1000, topicData: [{ name: topic, partitionData: [inTransaction()] }] }
    ])
  ]
}

/** A batch of a transaction that nobody has begun. */
function inTransaction(): { index: number; records: Buffer } {
  const builder = new RecordBatchBuilder({})
  builder.tryAppend(Date.now(), null, Buffer.from('v'))
  const producer = { producerId: 12_345_678n, producerEpoch: 0, baseSequence: 0 }
  return { index: 0, records: builder.build({ ...producer, isTransactional: true }) }
}

/** The right to write some topic is the right to be an idempotent producer; its lack is the cluster's error. */
function onTopicFor(topic: string): Right {
  return { ...onTopic('write', topic), error: 'CLUSTER_AUTHORIZATION_FAILED' }
}

function clusterCases(names: Names): AuthorizationCase[] {
  const describe = [onCluster('describe')]
  const alter = [onCluster('alter')]
  const describeConfigs = [onCluster('describeConfigs')]
  const alterConfigs = [onCluster('alterConfigs')]
  return [
    ...aclCases(names),
    ...brokerCases(),
    caseOf(alterReplicaLogDirsApi, [
      '',
      2,
      alter,
      { dirs: [{ path: '/none', topics: [{ name: names.topic, partitions: [0] }] }] }
    ]),
    caseOf(describeLogDirsApi, ['', 4, describe, { topics: [] }]),
    caseOf(electLeadersApi, [
      '',
      2,
      alter,
      { electionType: 0, topicPartitions: [{ topic: names.topic, partitions: [0] }], timeoutMs: 1000 }
    ]),
    caseOf(alterPartitionReassignmentsApi, [
      '',
      0,
      alter,
      { topics: [{ name: names.topic, partitions: [{ partitionIndex: 0, replicas: null }] }], timeoutMs: 1000 }
    ]),
    caseOf(listPartitionReassignmentsApi, ['', 0, describe, { topics: null, timeoutMs: 1000 }]),
    caseOf(describeClientQuotasApi, ['', 1, describeConfigs, { components: [], strict: false }]),
    caseOf(alterClientQuotasApi, [
      '',
      1,
      alterConfigs,
      {
        entries: [
          {
            entity: [{ entityType: 'user', entityName: 'nobody' }],
            ops: [{ key: 'producer_byte_rate', value: 1000, remove: false }]
          }
        ],
        validateOnly: true
      }
    ]),
    // Apache Kafka answers nothing at all to whoever may not ask for all users (null), so the request names one.
    caseOf(describeUserScramCredentialsApi, ['', 0, describe, { users: [{ name: 'nobody' }] }]),
    caseOf(alterUserScramCredentialsApi, [
      '',
      0,
      alter,
      { deletions: [{ name: 'nobody', mechanism: 1 }], upsertions: [] }
    ]),
    caseOf(describeQuorumApi, [
      '',
      1,
      describe,
      { topics: [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }] }
    ]),
    caseOf(updateFeaturesApi, [
      '',
      1,
      alter,
      {
        timeoutMs: 1000,
        featureUpdates: [{ feature: 'nothing.version', maxVersionLevel: 1, upgradeType: 1 }],
        validateOnly: true
      }
    ]),
    caseOf(listConfigResourcesApi, ['', 1, describeConfigs, { resourceTypes: [4] }])
  ]
}

function brokerCases(): AuthorizationCase[] {
  const describeConfigs = [onCluster('describeConfigs')]
  const alterConfigs = [onCluster('alterConfigs')]
  const broker = { resourceType: 4, resourceName: '1' }
  const resources = [{ ...broker, configs: [{ name: 'log.cleaner.threads', value: '1', configOperation: 0 }] }]
  return [
    caseOf(describeConfigsApi, ['broker', 4, describeConfigs, { resources: [{ ...broker, configurationKeys: null }] }]),
    caseOf(alterConfigsApi, ['broker', 2, alterConfigs, { resources, validateOnly: true }]),
    caseOf(incrementalAlterConfigsApi, ['broker', 1, alterConfigs, { resources, validateOnly: true }])
  ]
}

function aclCases({ newTopic }: Names): AuthorizationCase[] {
  const filter = {
    resourceTypeFilter: 2,
    resourceNameFilter: newTopic,
    patternTypeFilter: 3,
    principalFilter: 'User:nobody',
    hostFilter: null,
    operation: 1,
    permissionType: 1
  }
  const creation = {
    resourceType: 2,
    resourceName: newTopic,
    principal: 'User:nobody',
    host: '*',
    operation: 3,
    permissionType: 3
  }
  return [
    caseOf(describeAclsApi, ['', 3, [onCluster('describe')], filter]),
    caseOf(createAclsApi, ['', 3, [onCluster('alter')], { creations: [creation] }]),
    caseOf(deleteAclsApi, ['', 3, [onCluster('alter')], { filters: [filter] }])
  ]
}
