/** ACLs over the protocol: what is accepted and refused, what filters find, and what callers without rights see. */

import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import {
  createAclsApi,
  type CreateAclsRequestAclCreationInput,
  deleteAclsApi,
  describeAclsApi,
  type DescribeAclsRequestInput,
  describeClusterApi,
  describeGroupsApi,
  describeTopicPartitionsApi,
  describeTransactionsApi,
  createTopicsApi,
  deleteTopicsApi,
  initProducerIdApi,
  listGroupsApi,
  listTransactionsApi,
  metadataApi,
  offsetCommitApi,
  offsetFetchApi,
  ZERO_UUID
} from '../../src/protocol/index.ts'
import type { Right } from './authorization-cases.ts'
import { SecuredCluster } from './secured-cluster.ts'
import { createTopic, errorOf, type Topic } from './support.ts'

const LITERAL = 3
const PREFIXED = 4
const MATCH = 2
const ANY = 1
const NOT_ASKED = -2147483648

let secured: SecuredCluster
before(async () => {
  secured = await SecuredCluster.start()
})
after(() => secured.close())
afterEach(() => secured.revokeAll())

function newTopic(): Promise<Topic> {
  return createTopic({ cluster: secured, connection: secured.admin })
}

function onTopic(operation: Right['operation'], name: string): Right {
  return { operation, type: 'topic', name, error: '' }
}

/** An ACL that nobody is hit by: topic, literal, User:nobody, from anywhere, to read, allowed. */
function creation(change: CreateAclsRequestAclCreationInput): CreateAclsRequestAclCreationInput {
  const about = { resourceType: 2, resourceName: 'none', resourcePatternType: LITERAL }
  return { ...about, principal: 'User:nobody', host: '*', operation: 3, permissionType: 3, ...change }
}

async function create(...creations: CreateAclsRequestAclCreationInput[]): Promise<string[]> {
  const { results } = await secured.asAdmin(createAclsApi, 3, { creations })
  return results.map(errorOf)
}

async function described(change: DescribeAclsRequestInput): Promise<string[]> {
  const { resources, errorCode } = await secured.asAdmin(describeAclsApi, 3, {
    resourceTypeFilter: ANY,
    resourceNameFilter: null,
    patternTypeFilter: ANY,
    principalFilter: null,
    hostFilter: null,
    operation: ANY,
    permissionType: ANY,
    ...change
  })
  assert.equal(errorOf({ errorCode }), 'NONE')
  const lines = resources.flatMap(({ resourceType, resourceName, patternType, acls }) =>
    acls.map(acl =>
      [resourceType, resourceName, patternType, acl.principal, acl.host, acl.operation, acl.permissionType].join(' ')
    )
  )
  return lines.toSorted()
}

/** Apache Kafka shows a new ACL a moment after it was made. */
async function untilDescribed(change: DescribeAclsRequestInput, expected: readonly string[]): Promise<void> {
  const deadline = performance.now() + 10_000
  for (;;) {
    const got = await described(change)
    if (JSON.stringify(got) === JSON.stringify(expected) || performance.now() > deadline || secured.isEmbedded) {
      assert.deepEqual(got, expected)
      return
    }
  }
}

test('ACLs are found by the very pattern, by any, and by what applies to a name', async () => {
  const name = secured.uniqueName('orders')
  const principal = `User:${name}`
  const prefix = name.slice(0, -3)
  await create(
    creation({ resourceName: name, principal }),
    creation({ resourceName: '*', principal, operation: 4 }),
    creation({ resourceName: prefix, resourcePatternType: PREFIXED, principal, host: '10.0.0.1', permissionType: 2 }),
    creation({ resourceName: name, principal }) // once more: it is there once
  )
  const literal = `2 ${name} 3 ${principal} * 3 3`
  const wildcard = `2 * 3 ${principal} * 4 3`
  const prefixed = `2 ${prefix} 4 ${principal} 10.0.0.1 3 2`
  const mine = { principalFilter: principal }

  await untilDescribed(mine, [wildcard, prefixed, literal].toSorted())
  await untilDescribed({ ...mine, resourceNameFilter: name, patternTypeFilter: LITERAL }, [literal])
  await untilDescribed({ ...mine, resourceNameFilter: name, patternTypeFilter: ANY }, [literal])
  const match = { ...mine, resourceNameFilter: name, patternTypeFilter: MATCH }
  await untilDescribed(match, [wildcard, prefixed, literal].toSorted())
  await untilDescribed({ ...mine, patternTypeFilter: PREFIXED }, [prefixed])
  await untilDescribed({ ...mine, hostFilter: '10.0.0.1' }, [prefixed])
  await untilDescribed({ ...mine, permissionType: 2 }, [prefixed])
  await untilDescribed({ ...mine, operation: 4 }, [wildcard])
  await untilDescribed({ ...mine, resourceTypeFilter: 3 }, [])
})

test('deleting answers what each filter removed', async () => {
  const name = secured.uniqueName('orders')
  const principal = `User:${name}`
  await create(creation({ resourceName: name, principal }), creation({ resourceName: name, principal, operation: 4 }))
  const filter = {
    resourceTypeFilter: 2,
    resourceNameFilter: name,
    patternTypeFilter: LITERAL,
    principalFilter: principal,
    hostFilter: '*',
    operation: 4,
    permissionType: ANY
  }
  await untilDescribed({ principalFilter: principal }, [
    `2 ${name} 3 ${principal} * 3 3`,
    `2 ${name} 3 ${principal} * 4 3`
  ])

  const filters = [
    filter,
    { ...filter, operation: 5 },
    { ...filter, resourceTypeFilter: 99 },
    { ...filter, operation: 99 }
  ]
  const { filterResults } = await secured.asAdmin(deleteAclsApi, 3, { filters })

  const answers = filterResults.map(each => [errorOf(each), each.matchingAcls.map(acl => acl.operation)])
  assert.deepEqual(answers, [
    ['NONE', [4]],
    ['NONE', []],
    ['INVALID_REQUEST', []],
    ['INVALID_REQUEST', []]
  ])
  await untilDescribed({ principalFilter: principal }, [`2 ${name} 3 ${principal} * 3 3`])
})

test('an ACL that cannot be is refused, those beside it are made', async () => {
  const name = secured.uniqueName('orders')
  const principal = `User:${name}`
  const errors = await create(
    creation({ resourceType: 4, resourceName: 'my-cluster' }),
    creation({ resourceName: '' }),
    creation({ resourceType: 99 }),
    creation({ resourcePatternType: 99 }),
    creation({ operation: 99 }),
    creation({ permissionType: 99 }),
    creation({ resourceName: name, principal })
  )

  assert.deepEqual(errors, [...Array.from({ length: 6 }, () => 'INVALID_REQUEST'), 'NONE'])
  await untilDescribed({ principalFilter: principal }, [`2 ${name} 3 ${principal} * 3 3`])
})

test('a principal without a type is refused', async () => {
  assert.deepEqual(await create(creation({ principal: 'alice' })), ['INVALID_REQUEST'])
})

test('an ACL for any kind of something is an error of the server', async () => {
  for (const change of [
    { resourceType: ANY },
    { resourcePatternType: MATCH },
    { operation: ANY },
    { permissionType: ANY }
  ])
    assert.deepEqual(await create(creation(change), creation({})), ['UNKNOWN_SERVER_ERROR', 'UNKNOWN_SERVER_ERROR'])
})

test('a list of all topics or groups has what the caller may describe', async () => {
  const [seen, hidden] = [await newTopic(), await newTopic()]
  const group = secured.uniqueName('group')
  const commit = {
    groupId: group,
    topics: [seen, hidden].map(({ name }) => ({ name, partitions: [{ partitionIndex: 0, committedOffset: 1n }] }))
  }
  await secured.until(
    () => secured.asAdmin(offsetCommitApi, 8, commit),
    errors => errors.every(error => error === 'NONE')
  )
  const topicNames = async (): Promise<(string | null)[]> => {
    const { topics } = await secured.asClient(metadataApi, 12, { topics: null })
    return topics.map(({ name }) => name)
  }
  const groupNames = async (): Promise<string[]> => {
    const { groups } = await secured.asClient(listGroupsApi, 4, {})
    return groups.map(({ groupId }) => groupId)
  }
  assert.deepEqual(await topicNames(), [])
  assert.deepEqual(await groupNames(), [])

  await secured.allow([
    onTopic('describe', seen.name),
    { operation: 'describe', type: 'group', name: group, error: '' }
  ])
  await secured.until(
    () => secured.asClient(describeGroupsApi, 5, { groups: [group] }),
    errors => errors.every(error => error === 'NONE')
  )

  assert.deepEqual(await topicNames(), [seen.name])
  const paged = await secured.asClient(describeTopicPartitionsApi, 0, { topics: [] })
  assert.deepEqual(
    paged.topics.map(({ name }) => name),
    [seen.name]
  )
  assert.deepEqual(await groupNames(), [group])
  const fetched = await secured.asClient(offsetFetchApi, 8, { groups: [{ groupId: group, topics: null }] })
  assert.deepEqual(
    fetched.groups[0]?.topics.map(({ name }) => name),
    [seen.name]
  )
})

test('what the caller may do to cluster, topic and group is told when asked for', async () => {
  const topic = await newTopic()
  const group = secured.uniqueName('group')
  const ask = { topics: [{ name: topic.name }], includeTopicAuthorizedOperations: true, allowAutoTopicCreation: false }
  const commit = { groupId: group, topics: [{ name: topic.name, partitions: [{ partitionIndex: 0 }] }] }
  await secured.asAdmin(offsetCommitApi, 8, commit)
  const nothing = await secured.asClient(describeClusterApi, 0, { includeClusterAuthorizedOperations: true })
  assert.equal(nothing.clusterAuthorizedOperations, 0)
  await secured.allow([
    onTopic('read', topic.name),
    onTopic('alterConfigs', topic.name),
    { operation: 'read', type: 'group', name: group, error: '' },
    { operation: 'describe', type: 'cluster', name: 'kafka-cluster', error: '' },
    { operation: 'create', type: 'cluster', name: 'kafka-cluster', error: '' }
  ])
  await secured.until(
    () => secured.asClient(metadataApi, 10, ask),
    errors => errors.every(error => error === 'NONE')
  )

  const metadata = await secured.asClient(metadataApi, 10, { ...ask, includeClusterAuthorizedOperations: true })
  const cluster = await secured.asClient(describeClusterApi, 0, { includeClusterAuthorizedOperations: true })
  const groups = await secured.asClient(describeGroupsApi, 5, { groups: [group], includeAuthorizedOperations: true })

  // Bits are Kafka's operation numbers: READ 3, CREATE 5, DESCRIBE 8, DESCRIBE_CONFIGS 10, ALTER_CONFIGS 11.
  const bits = (...operations: number[]): number => operations.reduce((mask, each) => mask | (1 << each), 0)
  assert.equal(metadata.topics[0]?.topicAuthorizedOperations, bits(3, 8, 10, 11))
  assert.equal(metadata.clusterAuthorizedOperations, bits(5, 8))
  assert.equal(cluster.clusterAuthorizedOperations, bits(5, 8))
  assert.equal(groups.groups[0]?.authorizedOperations, bits(3, 8))
  const unasked = await secured.asClient(metadataApi, 10, { topics: [{ name: topic.name }] })
  assert.equal(unasked.topics[0]?.topicAuthorizedOperations, NOT_ASKED)
})

test('whether a topic exists is not told to whoever may not describe it', async () => {
  const { name, id } = await newTopic()
  const ask = [{ name }, { name: secured.uniqueName('absent') }]
  const metadata = await secured.asClient(metadataApi, 12, { topics: ask, allowAutoTopicCreation: true })
  assert.deepEqual(
    metadata.topics.map(topic => [errorOf(topic), topic.topicId]),
    ask.map(() => ['TOPIC_AUTHORIZATION_FAILED', ZERO_UUID])
  )
  const { responses } = await secured.asClient(deleteTopicsApi, 6, {
    topics: [{ name: null, topicId: id }],
    timeoutMs: 1000
  })
  assert.deepEqual(
    responses.map(topic => [errorOf(topic), topic.name, topic.topicId]),
    [['TOPIC_AUTHORIZATION_FAILED', null, id]]
  )
})

test('a topic is created by asking for it only by whoever may create it', async () => {
  const name = secured.uniqueName('asked')
  const ask = { topics: [{ name }], allowAutoTopicCreation: true }
  await secured.allow([onTopic('describe', name)])
  const refused = await secured.until(
    () => secured.asClient(metadataApi, 12, { ...ask, allowAutoTopicCreation: false }),
    errors => errors.includes('UNKNOWN_TOPIC_OR_PARTITION')
  )
  assert.ok(refused.includes('UNKNOWN_TOPIC_OR_PARTITION'))
  const { topics } = await secured.asClient(metadataApi, 12, ask)
  assert.equal(errorOf(topics[0]), 'TOPIC_AUTHORIZATION_FAILED')

  await secured.allow([onTopic('create', name)])
  const created = await secured.until(
    () => secured.asClient(metadataApi, 12, ask),
    errors => errors.every(error => error === 'NONE')
  )
  assert.ok(!created.includes('TOPIC_AUTHORIZATION_FAILED'))
})

test('whoever may create a topic but not see its settings is not told them', async () => {
  const name = secured.uniqueName('created')
  const message = { topics: [{ name, numPartitions: 3, replicationFactor: 1 }], timeoutMs: 10_000, validateOnly: true }
  await secured.allow([onTopic('create', name)])
  await secured.until(
    () => secured.asClient(createTopicsApi, 7, message),
    errors => errors.every(error => error === 'NONE')
  )
  const { topics } = await secured.asClient(createTopicsApi, 7, message)
  const [topic] = topics
  assert.equal(errorOf(topic), 'NONE')
  assert.equal(errorOf({ errorCode: topic?.topicConfigErrorCode ?? 0 }), 'TOPIC_AUTHORIZATION_FAILED')
  assert.deepEqual([topic?.numPartitions, topic?.replicationFactor, topic?.configs], [-1, -1, []])
})

test('a wildcard DENY closes the right to be an idempotent producer that single ALLOWs open', async () => {
  const ask = { transactionalId: null, transactionTimeoutMs: 1000 }
  await secured.allow([onTopic('write', 'one-of-many')])
  const open = await secured.until(
    () => secured.asClient(initProducerIdApi, 4, ask),
    errors => errors.every(error => error === 'NONE')
  )
  assert.deepEqual(open, ['NONE'])
  await secured.deny([onTopic('write', '*')])
  const closed = await secured.until(
    () => secured.asClient(initProducerIdApi, 4, ask),
    errors => errors.every(error => error !== 'NONE')
  )
  assert.deepEqual(closed, ['CLUSTER_AUTHORIZATION_FAILED'])
})

test('a list of all transactions has what the caller may describe', async () => {
  const [seen, hidden] = [secured.uniqueName('seen'), secured.uniqueName('hidden')]
  for (const transactionalId of [seen, hidden]) {
    await secured.until(
      () => secured.asAdmin(initProducerIdApi, 4, { transactionalId, transactionTimeoutMs: 60_000 }),
      errors => errors.every(error => error === 'NONE')
    )
  }
  const listed = async (): Promise<string[]> => {
    const { transactionStates } = await secured.asClient(listTransactionsApi, 0, {})
    return transactionStates.map(({ transactionalId }) => transactionalId)
  }
  assert.deepEqual(await listed(), [])

  await secured.allow([{ operation: 'describe', type: 'transactionalId', name: seen, error: '' }])
  await secured.until(
    () => secured.asClient(describeTransactionsApi, 0, { transactionalIds: [seen] }),
    errors => errors.every(error => error === 'NONE')
  )

  assert.deepEqual(await listed(), [seen])
})
