/** Offsets that are stored in a transaction: they count with its commit, and fence like the group does. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  addOffsetsToTxnApi,
  findCoordinatorApi,
  joinGroupApi,
  leaveGroupApi,
  offsetCommitApi,
  offsetFetchApi,
  syncGroupApi,
  txnOffsetCommitApi
} from '../../src/protocol/index.ts'
import { connectForTest, createTopic, errorOf, type Peer, type Topic } from './support.ts'
import { PROTOCOLS, retried, TransactionalProducer } from './transactions-support.ts'

const retryTimeoutMs = 15_000

interface Member {
  readonly memberId: string
  readonly generationId: number
}

/** A group whose coordinator answers. */
async function newGroup({ cluster, connection }: Peer): Promise<string> {
  const groupId = cluster.uniqueName('group')
  const message = { keyType: 0, coordinatorKeys: [groupId] }
  const find = () => connection.request(findCoordinatorApi, { version: 4, message })
  await retried(find, answer => errorOf(answer.coordinators[0]))
  // The coordinator may be known before it has loaded its partition.
  const fetch = () => connection.request(offsetFetchApi, { version: 8, message: { groups: [{ groupId, topics: [] }] } })
  await retried(fetch, answer => errorOf(answer.groups[0]))
  return groupId
}

/** Stores offset `offset` of partition 0 in the producer's transaction; with the first protocol the group is added. */
async function commitOffset(
  producer: TransactionalProducer,
  { topic, groupId, offset, member }: { topic: Topic; groupId: string; offset: bigint; member?: Member },
  options: { version?: number } = {}
): Promise<string> {
  const { transactionalId, identity, protocol, peer } = producer
  if (protocol === PROTOCOLS.version1) {
    const message = { transactionalId, ...identity, groupId }
    const add = () => peer.connection.request(addOffsetsToTxnApi, { version: 3, message })
    assert.equal(errorOf(await retried(add, errorOf)), 'NONE')
  }
  return commitOnce(producer, { topic, groupId, offset, member }, options)
}

async function commitOnce(
  { transactionalId, identity, protocol, peer }: TransactionalProducer,
  { topic, groupId, offset, member }: { topic: Topic; groupId: string; offset: bigint; member?: Member | undefined },
  options: { version?: number } = {}
): Promise<string> {
  const partitions = [{ partitionIndex: 0, committedOffset: offset, committedMetadata: 'kept' }]
  const message = { transactionalId, groupId, ...identity, ...member, topics: [{ name: topic.name, partitions }] }
  const version = options.version ?? protocol.txnOffsetCommit
  const commit = () => peer.connection.request(txnOffsetCommitApi, { version, message })
  const answer = await retried(commit, each => errorOf(each.topics[0]?.partitions[0]))
  return errorOf(answer.topics[0]?.partitions[0])
}

/** The committed offset of partition 0, or the error in its place. */
async function fetchOffset(
  { connection }: Peer,
  { topic, groupId, requireStable = false }: { topic: Topic; groupId: string; requireStable?: boolean }
): Promise<string> {
  const topics = [{ name: topic.name, partitionIndexes: [0] }]
  const message = { groups: [{ groupId, topics }], requireStable }
  const answer = await connection.request(offsetFetchApi, { version: 8, message })
  const partition = answer.groups[0]?.topics[0]?.partitions[0]
  if (errorOf(partition) !== 'NONE') return errorOf(partition)
  return `${partition?.committedOffset} ${partition?.metadata}`
}

/** Waits until a reader that requires stable offsets sees one: markers follow the answer to EndTxn. */
async function untilFetched(peer: Peer, where: { topic: Topic; groupId: string }, expected: string): Promise<void> {
  const deadline = performance.now() + retryTimeoutMs
  let seen = ''
  while (seen !== expected && performance.now() < deadline) {
    seen = await fetchOffset(peer, { ...where, requireStable: true })
  }
  assert.equal(seen, expected)
}

async function commitPlainly(peer: Peer, where: { topic: Topic; groupId: string; offset: bigint }): Promise<void> {
  const { topic, groupId, offset } = where
  const partitions = [{ partitionIndex: 0, committedOffset: offset, committedMetadata: 'plain' }]
  const message = { groupId, generationIdOrMemberEpoch: -1, topics: [{ name: topic.name, partitions }] }
  const answer = await peer.connection.request(offsetCommitApi, { version: 8, message })
  assert.equal(errorOf(answer.topics[0]?.partitions[0]), 'NONE')
}

/** One member that is in charge of its group. */
async function join({ connection }: Peer, groupId: string): Promise<Member> {
  const protocols = [{ name: 'range', metadata: Buffer.alloc(0) }]
  const asked = { groupId, sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000, protocolType: 'consumer', protocols }
  const first = await connection.request(joinGroupApi, { version: 5, message: { ...asked, memberId: '' } })
  const { memberId } = first
  const joined = await connection.request(joinGroupApi, { version: 5, message: { ...asked, memberId } })
  assert.equal(errorOf(joined), 'NONE')
  const generationId = joined.generationId
  const assignments = [{ memberId, assignment: Buffer.alloc(0) }]
  const message = { groupId, generationId, memberId, assignments }
  assert.equal(errorOf(await connection.request(syncGroupApi, { version: 3, message })), 'NONE')
  return { memberId, generationId }
}

for (const [name, protocol] of Object.entries(PROTOCOLS)) {
  test(`${name}: an offset of a transaction is unstable while it is open, and counts when it is committed`, async t => {
    const peer = await connectForTest(t)
    const topic = await createTopic(peer)
    const groupId = await newGroup(peer)
    const where = { topic, groupId }
    const producer = await TransactionalProducer.start(peer, protocol)

    assert.equal(await commitOffset(producer, { ...where, offset: 5n }), 'NONE')

    assert.equal(await fetchOffset(peer, where), '-1 ')
    assert.equal(await fetchOffset(peer, { ...where, requireStable: true }), 'UNSTABLE_OFFSET_COMMIT')
    await producer.end(true)
    await untilFetched(peer, where, '5 kept')
  })

  test(`${name}: the offset of an aborted transaction is forgotten`, async t => {
    const peer = await connectForTest(t)
    const topic = await createTopic(peer)
    const groupId = await newGroup(peer)
    const where = { topic, groupId }
    const producer = await TransactionalProducer.start(peer, protocol)
    await commitPlainly(peer, { ...where, offset: 3n })

    assert.equal(await commitOffset(producer, { ...where, offset: 5n }), 'NONE')
    assert.equal(await fetchOffset(peer, where), '3 plain')
    await producer.end(false)

    await untilFetched(peer, where, '3 plain')
  })

  test(`${name}: an offset that was committed after it in the log stays when a transaction is committed`, async t => {
    const peer = await connectForTest(t)
    const topic = await createTopic(peer)
    const groupId = await newGroup(peer)
    const where = { topic, groupId }
    const producer = await TransactionalProducer.start(peer, protocol)

    assert.equal(await commitOffset(producer, { ...where, offset: 5n }), 'NONE')
    await commitPlainly(peer, { ...where, offset: 9n })
    assert.equal(await fetchOffset(peer, { ...where, requireStable: true }), 'UNSTABLE_OFFSET_COMMIT')
    await producer.end(true)

    await untilFetched(peer, where, '9 plain')
  })

  test(`${name}: a consumer that is no longer in its group stores no offsets`, async t => {
    const peer = await connectForTest(t)
    const topic = await createTopic(peer)
    const groupId = await newGroup(peer)
    const producer = await TransactionalProducer.start(peer, protocol)
    const member = await join(peer, groupId)
    const where = { topic, groupId, offset: 5n }
    const later = { ...member, generationId: member.generationId + 1 }
    const stranger = { ...member, memberId: 'stranger' }

    assert.equal(await commitOffset(producer, { ...where, member: later }), 'ILLEGAL_GENERATION')
    assert.equal(await commitOffset(producer, { ...where, member: stranger }), 'UNKNOWN_MEMBER_ID')
    assert.equal(await commitOffset(producer, where), 'NONE', 'who names no member is not fenced')
    assert.equal(await commitOffset(producer, { ...where, member }), 'NONE')
    const message = { groupId, members: [{ memberId: member.memberId }] }
    assert.equal(errorOf(await peer.connection.request(leaveGroupApi, { version: 3, message })), 'NONE')
    assert.equal(await commitOffset(producer, { ...where, member }), 'UNKNOWN_MEMBER_ID')
    await producer.end(false)
  })
}

test('every version of TxnOffsetCommit stores an offset', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const groupId = await newGroup(peer)
  for (let version = 0; version <= 5; version++) {
    const protocol = version < 5 ? PROTOCOLS.version1 : PROTOCOLS.version2
    const producer = await TransactionalProducer.start(peer, protocol)
    const where = { topic, groupId }
    assert.equal(await commitOffset(producer, { ...where, offset: BigInt(version) }, { version }), 'NONE')
    await producer.end(true)
    await untilFetched(peer, where, `${version} kept`)
  }
})

test('before KIP-890 the group must have been added to the transaction', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const groupId = await newGroup(peer)
  const producer = await TransactionalProducer.start(peer, PROTOCOLS.version1)
  const where = { topic, groupId, offset: 1n }
  assert.equal(await commitOnce(producer, where, { version: 3 }), 'INVALID_TXN_STATE')
  assert.equal(await commitOnce(producer, where, { version: 4 }), 'TRANSACTION_ABORTABLE')
})

test('a fenced producer stores no offsets, and an unknown group needs no member', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const groupId = await newGroup(peer)
  const old = await TransactionalProducer.start(peer, PROTOCOLS.version2)
  const { transactionalId } = old
  await TransactionalProducer.start(peer, PROTOCOLS.version2, { transactionalId })
  const where = { topic, groupId, offset: 1n }

  assert.equal(await commitOffset(old, where), 'INVALID_PRODUCER_EPOCH')
  const producer = await TransactionalProducer.start(peer, PROTOCOLS.version2, { transactionalId })
  const member = { memberId: 'nobody', generationId: 1 }
  assert.equal(await commitOffset(producer, { ...where, member }), 'ILLEGAL_GENERATION')
  assert.equal(await commitOffset(producer, { ...where, groupId: '' }), 'INVALID_GROUP_ID')
  const missing = { name: peer.cluster.uniqueName('missing'), id: '' }
  assert.equal(await commitOffset(producer, { ...where, topic: missing }), 'UNKNOWN_TOPIC_OR_PARTITION')
})
