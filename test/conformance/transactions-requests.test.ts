/** Requests of transactions one by one: what is refused, by which error in which version, and what a retry gets. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  addOffsetsToTxnApi,
  addPartitionsToTxnApi,
  describeProducersApi,
  describeTransactionsApi,
  findCoordinatorApi,
  kafkaErrorName,
  listTransactionsApi,
  produceApi,
  RecordBatchBuilder,
  writeTxnMarkersApi
} from '../../src/protocol/index.ts'
import { connectForTest, createTopic, errorOf } from './support.ts'
import {
  findCoordinator,
  init,
  initOnce,
  PROTOCOLS,
  read,
  retried,
  TransactionalProducer,
  untilRead
} from './transactions-support.ts'

test('InitProducerId checks the id, the timeout and the identity that it is given', async t => {
  const peer = await connectForTest(t)
  const id = peer.cluster.uniqueName('txn')
  await init(peer, id)

  assert.equal(errorOf(await initOnce(peer, '')), 'INVALID_REQUEST')
  assert.equal(errorOf(await initOnce(peer, id, { timeoutMs: 900_001 })), 'INVALID_TRANSACTION_TIMEOUT')
  assert.equal(errorOf(await initOnce(peer, id, { timeoutMs: 0 })), 'INVALID_TRANSACTION_TIMEOUT')
  const half = { producerId: 5n, producerEpoch: -1 }
  assert.equal(errorOf(await initOnce(peer, id, { expected: half })), 'INVALID_REQUEST')
})

test('without a transactional id every InitProducerId gives another id, in every version', async t => {
  const peer = await connectForTest(t)
  const ids = new Set<bigint>()
  for (let version = 0; version <= 5; version++) {
    const answer = await initOnce(peer, null, { version })
    assert.deepEqual([errorOf(answer), answer.producerEpoch], ['NONE', 0])
    ids.add(answer.producerId)
  }
  assert.equal(ids.size, 6)
})

test('a new producer of a transactional id keeps the producer id and raises the epoch, in every version', async t => {
  const peer = await connectForTest(t)
  const id = peer.cluster.uniqueName('txn')
  const first = await init(peer, id)
  assert.equal(first.producerEpoch, 0)
  for (let version = 0; version <= 5; version++) {
    const next = await init(peer, id, { version })
    assert.deepEqual(next, { producerId: first.producerId, producerEpoch: version + 1 })
  }
})

test('a producer that names its identity goes on, a repetition gets the same, anybody else is fenced', async t => {
  const peer = await connectForTest(t)
  const id = peer.cluster.uniqueName('txn')
  const first = await init(peer, id)

  const next = await init(peer, id, { expected: first })
  const repeated = await init(peer, id, { expected: first })
  const wrong = { producerId: first.producerId + 1000n, producerEpoch: 1 }

  assert.equal(next.producerEpoch, 1)
  assert.deepEqual(repeated, next)
  assert.equal(errorOf(await initOnce(peer, id, { expected: wrong })), 'PRODUCER_FENCED')
  assert.equal(errorOf(await initOnce(peer, id, { expected: wrong, version: 3 })), 'INVALID_PRODUCER_EPOCH')
  await init(peer, id)
  assert.equal(errorOf(await initOnce(peer, id, { expected: next })), 'PRODUCER_FENCED')
})

test('before KIP-890 the end of a transaction can be repeated, and never be changed', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const producer = await TransactionalProducer.start(peer, PROTOCOLS.version1)
  assert.equal(errorOf(await producer.endOnce(true)), 'INVALID_TXN_STATE', 'nothing was begun')

  await producer.send({ topic }, 'one')
  await producer.end(true)
  const repeated = await retried(() => producer.endOnce(true), errorOf)
  const changed = await retried(() => producer.endOnce(false), errorOf)

  assert.equal(errorOf(repeated), 'NONE')
  assert.equal(errorOf(changed), 'INVALID_TXN_STATE')
  const { producerId, producerEpoch } = producer.identity
  const newer = { producerId, producerEpoch: producerEpoch + 1 }
  assert.equal(errorOf(await producer.endOnce(true, { identity: newer })), 'PRODUCER_FENCED')
  assert.equal(errorOf(await producer.endOnce(true, { identity: newer, version: 1 })), 'INVALID_PRODUCER_EPOCH')
  const unknown = { producerId: producerId + 1000n, producerEpoch }
  assert.equal(errorOf(await producer.endOnce(true, { identity: unknown })), 'INVALID_PRODUCER_ID_MAPPING')
})

test('with KIP-890 the epoch tells a repetition from the end of the next transaction', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const producer = await TransactionalProducer.start(peer, PROTOCOLS.version2)
  const empty = producer.identity
  assert.equal(errorOf(await producer.endOnce(true)), 'INVALID_TXN_STATE', 'nothing to commit')
  await producer.end(false)
  assert.equal(producer.identity.producerEpoch, empty.producerEpoch + 1, 'nothing to abort is aborted')

  const before = producer.identity
  await producer.send({ topic }, 'one')
  await producer.end(true)
  const repeated = await retried(() => producer.endOnce(true, { identity: before }), errorOf)
  const changed = await retried(() => producer.endOnce(false, { identity: before }), errorOf)
  const next = await retried(() => producer.endOnce(true), errorOf)

  assert.equal(producer.identity.producerEpoch, before.producerEpoch + 1)
  const { errorCode, producerId, producerEpoch } = repeated
  assert.deepEqual({ errorCode, producerId, producerEpoch }, { errorCode: 0, ...producer.identity })
  assert.equal(errorOf(changed), 'INVALID_TXN_STATE')
  assert.equal(errorOf(next), 'INVALID_TXN_STATE')
  assert.equal(errorOf(await producer.endOnce(true, { identity: empty })), 'PRODUCER_FENCED')
  await untilRead(peer, topic, { values: ['one'] })
})

test('every version of EndTxn ends a transaction', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const values: string[] = []
  for (let version = 0; version <= 5; version++) {
    const protocol = version < 5 ? PROTOCOLS.version1 : PROTOCOLS.version2
    const producer = await TransactionalProducer.start(peer, protocol)
    await producer.send({ topic }, `version ${version}`)
    assert.equal(errorOf(await producer.endOnce(true, { version })), 'NONE')
    values.push(`version ${version}`)
  }
  await untilRead(peer, topic, { values })
})

test('a batch for a partition that was not added is refused as its version knows', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const producer = await TransactionalProducer.start(peer, PROTOCOLS.version1)

  assert.equal(errorOf(await producer.sendOnce({ topic }, 'v10', { version: 10 })), 'INVALID_TXN_STATE')
  assert.equal(errorOf(await producer.sendOnce({ topic }, 'v11', { version: 11 })), 'TRANSACTION_ABORTABLE')
  assert.deepEqual((await read(peer, topic, { isCommitted: false })).values, [])
})

test('with KIP-890 a producer without records in the partition begins at sequence 0', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const producer = await TransactionalProducer.start(peer, PROTOCOLS.version2)
  const answer = await producer.sendOnce({ topic }, 'gap', { sequence: 3 })
  assert.equal(errorOf(answer), 'OUT_OF_ORDER_SEQUENCE_NUMBER')
})

test('transactional batches need a transactional id that their coordinator knows', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const producer = await TransactionalProducer.start(peer, PROTOCOLS.version2)
  const produceAs = async (transactionalId: string | null, stamp: object): Promise<string> => {
    const builder = new RecordBatchBuilder({})
    builder.tryAppend(Date.now(), null, Buffer.from('value'))
    const records = builder.build({ ...producer.identity, baseSequence: 0, ...stamp })
    const topicData = [{ name: topic.name, partitionData: [{ index: 0, records }] }]
    const message = { transactionalId, acks: -1, timeoutMs: 10_000, topicData }
    const response = await peer.connection.request(produceApi, { version: 12, message })
    return errorOf(response.responses[0]?.partitionResponses[0])
  }

  assert.equal(await produceAs(null, { isTransactional: true }), 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED')
  const unknown = peer.cluster.uniqueName('unknown')
  assert.equal(await produceAs(unknown, { isTransactional: true }), 'INVALID_PRODUCER_ID_MAPPING')
  await producer.send({ topic }, 'open')
  const plain = { baseSequence: 1, isTransactional: false }
  assert.equal(await produceAs(producer.transactionalId, plain), 'INVALID_TXN_STATE')
})

test('AddPartitionsToTxn adds all of its partitions or none', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const producer = await TransactionalProducer.start(peer, PROTOCOLS.version1)
  const missing = peer.cluster.uniqueName('missing')
  const add = async (names: readonly string[], identity = producer.identity): Promise<string[]> => {
    const message = {
      v3AndBelowTransactionalId: producer.transactionalId,
      v3AndBelowProducerId: identity.producerId,
      v3AndBelowProducerEpoch: identity.producerEpoch,
      v3AndBelowTopics: names.map(name => ({ name, partitions: [0] }))
    }
    const answer = await peer.connection.request(addPartitionsToTxnApi, { version: 3, message })
    return names.map(name => {
      const result = answer.resultsByTopicV3AndBelow.find(each => each.name === name)?.resultsByPartition[0]
      return kafkaErrorName(result?.partitionErrorCode ?? -99)
    })
  }

  assert.deepEqual(await add([topic.name, missing]), ['OPERATION_NOT_ATTEMPTED', 'UNKNOWN_TOPIC_OR_PARTITION'])
  assert.deepEqual(await add([topic.name, '__transaction_state']), [
    'OPERATION_NOT_ATTEMPTED',
    'TOPIC_AUTHORIZATION_FAILED'
  ])
  assert.equal(errorOf(await producer.endOnce(true)), 'INVALID_TXN_STATE', 'no transaction was begun')
  const { producerId, producerEpoch } = producer.identity
  assert.deepEqual(await add([topic.name], { producerId: producerId + 1000n, producerEpoch }), [
    'INVALID_PRODUCER_ID_MAPPING'
  ])
  assert.deepEqual(await add([topic.name], { producerId, producerEpoch: producerEpoch + 1 }), ['PRODUCER_FENCED'])
  assert.deepEqual(await add([topic.name]), ['NONE'])
  assert.deepEqual(await add([topic.name]), ['NONE'])
  for (let version = 0; version <= 3; version++) assert.equal(await producer.add({ topic }, { version }), 'NONE')
})

test('brokers verify and add the partitions of several transactions at once', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer, { partitions: 2 })
  const first = await TransactionalProducer.start(peer, PROTOCOLS.version1)
  const second = await TransactionalProducer.start(peer, PROTOCOLS.version1)
  assert.equal(await first.add({ topic }), 'NONE')
  const ask = async (version: number, verifyOnly: boolean): Promise<string[][]> => {
    const transactions = [first, second].map(({ transactionalId, identity }) => ({
      transactionalId,
      ...identity,
      verifyOnly,
      topics: [{ name: topic.name, partitions: [0, 1] }]
    }))
    const answer = await peer.connection.request(addPartitionsToTxnApi, { version, message: { transactions } })
    return [first, second].map(({ transactionalId }) =>
      (answer.resultsByTransaction.find(each => each.transactionalId === transactionalId)?.topicResults ?? []).flatMap(
        each =>
          each.resultsByPartition
            .toSorted((left, right) => left.partitionIndex - right.partitionIndex)
            .map(result => kafkaErrorName(result.partitionErrorCode))
      )
    )
  }

  const verified = await ask(4, true)
  const added = await ask(5, false)
  const again = await ask(5, true)

  assert.deepEqual(verified, [
    ['NONE', 'TRANSACTION_ABORTABLE'],
    ['TRANSACTION_ABORTABLE', 'TRANSACTION_ABORTABLE']
  ])
  const none = [
    ['NONE', 'NONE'],
    ['NONE', 'NONE']
  ]
  assert.deepEqual([added, again], [none, none])
})

test('AddOffsetsToTxn adds the partition of a group, in every version', async t => {
  const peer = await connectForTest(t)
  const producer = await TransactionalProducer.start(peer, PROTOCOLS.version1)
  for (let version = 0; version <= 4; version++) {
    const message = { transactionalId: producer.transactionalId, ...producer.identity, groupId: `group-${version}` }
    const add = () => peer.connection.request(addOffsetsToTxnApi, { version, message })
    assert.equal(errorOf(await retried(add, errorOf)), 'NONE')
  }
  const old = { ...producer.identity, producerEpoch: producer.identity.producerEpoch + 1, groupId: 'group' }
  for (const [version, error] of [
    [1, 'INVALID_PRODUCER_EPOCH'],
    [2, 'PRODUCER_FENCED']
  ] as const) {
    const message = { transactionalId: producer.transactionalId, ...old }
    assert.equal(errorOf(await peer.connection.request(addOffsetsToTxnApi, { version, message })), error)
  }
})

test('what is open is described: ids, their partitions, and the producers of a partition', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer, { partitions: 3 })
  const producer = await TransactionalProducer.start(peer, PROTOCOLS.version2, { timeoutMs: 45_000 })
  await producer.send({ topic, partition: 2 }, 'one')
  const transactionalIds = [producer.transactionalId, peer.cluster.uniqueName('unknown')]

  const described = await peer.connection.request(describeTransactionsApi, {
    version: 0,
    message: { transactionalIds }
  })
  const topics = [{ name: topic.name, partitionIndexes: [0, 2, 7] }]
  const producers = await peer.connection.request(describeProducersApi, { version: 0, message: { topics } })

  const [known, unknown] = described.transactionStates
  assert.equal(errorOf(known), 'NONE')
  assert.equal(known?.transactionState, 'Ongoing')
  assert.equal(known?.transactionTimeoutMs, 45_000)
  assert.ok(Math.abs(Date.now() - Number(known?.transactionStartTimeMs)) < 60_000)
  assert.deepEqual([known?.producerId, known?.producerEpoch], Object.values(producer.identity))
  assert.deepEqual(known?.topics, [{ topic: topic.name, partitions: [2] }])
  assert.equal(errorOf(unknown), 'TRANSACTIONAL_ID_NOT_FOUND')
  const partitions = producers.topics[0]?.partitions.toSorted((a, b) => a.partitionIndex - b.partitionIndex) ?? []
  assert.deepEqual(partitions.map(errorOf), ['NONE', 'NONE', 'UNKNOWN_TOPIC_OR_PARTITION'])
  assert.deepEqual(partitions[0]?.activeProducers, [])
  const [active] = partitions[1]?.activeProducers ?? []
  assert.deepEqual(
    [active?.producerId, active?.producerEpoch, active?.lastSequence],
    [...Object.values(producer.identity), 0]
  )
  assert.deepEqual([active?.currentTxnStartOffset, active?.coordinatorEpoch], [0n, -1])
})

test('ids are listed by state, producer id, age and pattern', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const prefix = peer.cluster.uniqueName('listed')
  const open = await TransactionalProducer.start(peer, PROTOCOLS.version2, { transactionalId: `${prefix}-open` })
  await TransactionalProducer.start(peer, PROTOCOLS.version2, { transactionalId: `${prefix}-empty` })
  await open.send({ topic }, 'one')
  const list = async (version: number, message: object): Promise<string[]> => {
    const answer = await peer.connection.request(listTransactionsApi, { version, message })
    assert.equal(errorOf(answer), 'NONE')
    const own = answer.transactionStates.filter(each => each.transactionalId.startsWith(prefix))
    return own.map(each => `${each.transactionalId.slice(prefix.length)} ${each.transactionState}`).toSorted()
  }

  assert.deepEqual(await list(0, {}), ['-empty Empty', '-open Ongoing'])
  assert.deepEqual(await list(0, { stateFilters: ['Ongoing'] }), ['-open Ongoing'])
  assert.deepEqual(await list(0, { producerIdFilters: [open.identity.producerId] }), ['-open Ongoing'])
  assert.deepEqual(await list(1, { stateFilters: ['Ongoing'], durationFilter: 3_600_000n }), [])
  assert.deepEqual(await list(2, { transactionalIdPattern: '.*-em.*' }), ['-empty Empty'])
  assert.deepEqual(await list(2, { transactionalIdPattern: '-em' }), [])
  const unknown = { stateFilters: ['Ongoing', 'Sleeping'] }
  const answer = await peer.connection.request(listTransactionsApi, { version: 0, message: unknown })
  assert.deepEqual(answer.unknownStateFilters, ['Sleeping'])
  const bad = await peer.connection.request(listTransactionsApi, {
    version: 2,
    message: { transactionalIdPattern: '(' }
  })
  assert.equal(errorOf(bad), 'INVALID_REGULAR_EXPRESSION')
})

test('an administrator ends a hanging transaction with a marker', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const producer = await TransactionalProducer.start(peer, PROTOCOLS.version1)
  await producer.send({ topic }, 'hanging')
  const write = async (version: number, marker: object): Promise<string[]> => {
    const topics = [{ name: topic.name, partitionIndexes: [0, 5] }]
    const markers = [{ ...producer.identity, transactionResult: false, topics, coordinatorEpoch: 0, ...marker }]
    const answer = await peer.connection.request(writeTxnMarkersApi, { version, message: { markers } })
    const partitions = answer.markers[0]?.topics[0]?.partitions ?? []
    return partitions.toSorted((left, right) => left.partitionIndex - right.partitionIndex).map(errorOf)
  }

  assert.deepEqual(await write(1, {}), ['NONE', 'UNKNOWN_TOPIC_OR_PARTITION'])

  const seen = await untilRead(peer, topic, { values: [] })
  assert.equal(seen.lastStableOffset, 2n)
  const newer = { producerEpoch: producer.identity.producerEpoch + 1 }
  assert.deepEqual(await write(2, newer), ['NONE', 'UNKNOWN_TOPIC_OR_PARTITION'])
  assert.deepEqual(await write(1, {}), ['INVALID_PRODUCER_EPOCH', 'UNKNOWN_TOPIC_OR_PARTITION'])
})

test('the coordinator of a transactional id is found in every version', async t => {
  const peer = await connectForTest(t)
  await findCoordinator(peer, peer.cluster.uniqueName('txn'))
  for (let version = 1; version <= 6; version++) {
    const message = version >= 4 ? { keyType: 1, coordinatorKeys: ['a', 'b'] } : { keyType: 1, key: 'a' }
    const answer = await peer.connection.request(findCoordinatorApi, { version, message })
    const found = version >= 4 ? answer.coordinators : [answer]
    assert.deepEqual(
      found.map(each => [errorOf(each), each.port]),
      found.map(() => ['NONE', Number(peer.cluster.bootstrapServers.split(':')[1])])
    )
    assert.equal(found.length, version >= 4 ? 2 : 1)
  }
})
