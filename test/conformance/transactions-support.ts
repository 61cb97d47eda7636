/** A transactional producer for conformance tests that sends each request in the version that a test says. */

import assert from 'node:assert/strict'
import {
  addPartitionsToTxnApi,
  endTxnApi,
  type EndTxnResponse,
  fetchApi,
  type FetchResponsePartitionData,
  findCoordinatorApi,
  initProducerIdApi,
  type InitProducerIdResponse,
  isControl,
  listOffsetsApi,
  produceApi,
  type ProduceResponsePartitionProduceResponse,
  RecordBatchBuilder,
  RecordCursor
} from '../../src/protocol/index.ts'
import { errorOf, type Peer, type Topic } from './support.ts'

/** Answers that a client asks again for: a coordinator that comes up, or a transaction that is being ended. */
const RETRIED = new Set([
  'CONCURRENT_TRANSACTIONS',
  'COORDINATOR_NOT_AVAILABLE',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'NOT_COORDINATOR'
])
const retryTimeoutMs = 15_000

/** The two transaction protocols, as the versions of the requests that tell them apart. */
export const PROTOCOLS = {
  /** KIP-98: partitions are added by request, the epoch stays. */
  version1: { produce: 11, endTxn: 4, txnOffsetCommit: 4 },
  /** KIP-890: producing adds the partition, every end raises the epoch. */
  version2: { produce: 12, endTxn: 5, txnOffsetCommit: 5 }
} as const

/** A transaction protocol. */
export type Protocol = (typeof PROTOCOLS)[keyof typeof PROTOCOLS]

/** A partition that a test writes to; partition 0 unless it says otherwise. */
export interface Target {
  readonly topic: Topic
  readonly partition?: number
}

/** Who a producer is. */
export interface Identity {
  readonly producerId: bigint
  readonly producerEpoch: number
}

/** Repeats a request until its answer is none of those that pass. */
export async function retried<T>(ask: () => Promise<T>, error: (answer: T) => string): Promise<T> {
  const deadline = performance.now() + retryTimeoutMs
  for (;;) {
    const answer = await ask()
    if (!RETRIED.has(error(answer)) || performance.now() > deadline) return answer
  }
}

/** A transactional id, known to its coordinator. */
export async function findCoordinator({ connection }: Peer, transactionalId: string): Promise<void> {
  const message = { keyType: 1, coordinatorKeys: [transactionalId] }
  const found = await retried(
    () => connection.request(findCoordinatorApi, { version: 4, message }),
    answer => errorOf(answer.coordinators[0])
  )
  assert.equal(errorOf(found.coordinators[0]), 'NONE')
}

/** InitProducerId once. */
export function initOnce(
  { connection }: Peer,
  transactionalId: string | null,
  options: { version?: number; timeoutMs?: number; expected?: Identity } = {}
): Promise<InitProducerIdResponse> {
  const message = { transactionalId, transactionTimeoutMs: options.timeoutMs ?? 60_000, ...options.expected }
  return connection.request(initProducerIdApi, { version: options.version ?? 5, message })
}

/** InitProducerId until the open transaction of the former owner is over. */
export async function init(
  peer: Peer,
  transactionalId: string,
  options: { version?: number; timeoutMs?: number; expected?: Identity } = {}
): Promise<Identity> {
  await findCoordinator(peer, transactionalId)
  const answer = await retried(() => initOnce(peer, transactionalId, options), errorOf)
  assert.equal(errorOf(answer), 'NONE')
  return { producerId: answer.producerId, producerEpoch: answer.producerEpoch }
}

/** A producer in the middle of a test. */
export class TransactionalProducer {
  readonly peer: Peer
  readonly transactionalId: string
  readonly protocol: Protocol
  identity: Identity
  readonly #sequences = new Map<string, number>()

  private constructor(owner: { peer: Peer; transactionalId: string; protocol: Protocol; identity: Identity }) {
    this.peer = owner.peer
    this.transactionalId = owner.transactionalId
    this.protocol = owner.protocol
    this.identity = owner.identity
  }

  /** Takes over a transactional id. */
  static async start(
    peer: Peer,
    protocol: Protocol,
    options: { transactionalId?: string; timeoutMs?: number } = {}
  ): Promise<TransactionalProducer> {
    const transactionalId = options.transactionalId ?? peer.cluster.uniqueName('txn')
    const identity = await init(peer, transactionalId, options)
    return new TransactionalProducer({ peer, transactionalId, protocol, identity })
  }

  /** The same producer after its broker was started again. */
  static resume(peer: Peer, before: TransactionalProducer): TransactionalProducer {
    const { transactionalId, protocol, identity } = before
    const producer = new TransactionalProducer({ peer, transactionalId, protocol, identity })
    for (const [name, sequence] of before.#sequences) producer.#sequences.set(name, sequence)
    return producer
  }

  /** AddPartitionsToTxn, as clients of the first protocol send it. */
  async add({ topic, partition = 0 }: Target, options: { version?: number } = {}): Promise<string> {
    const message = {
      v3AndBelowTransactionalId: this.transactionalId,
      v3AndBelowProducerId: this.identity.producerId,
      v3AndBelowProducerEpoch: this.identity.producerEpoch,
      v3AndBelowTopics: [{ name: topic.name, partitions: [partition] }]
    }
    const errorOfIt = (answer: Awaited<ReturnType<typeof ask>>): string => {
      const result = answer.resultsByTopicV3AndBelow[0]?.resultsByPartition[0]
      return errorOf(result && { errorCode: result.partitionErrorCode })
    }
    const ask = () => this.peer.connection.request(addPartitionsToTxnApi, { version: options.version ?? 3, message })
    return errorOfIt(await retried(ask, errorOfIt))
  }

  /** Produces one value; with the first protocol its partition is added before. */
  async send(target: Target, value: string): Promise<void> {
    if (this.protocol === PROTOCOLS.version1) assert.equal(await this.add(target), 'NONE')
    const answer = await retried(() => this.sendOnce(target, value), errorOf)
    assert.equal(errorOf(answer), 'NONE', value)
    const name = nameOf(target)
    this.#sequences.set(name, (this.#sequences.get(name) ?? 0) + 1)
  }

  /** Produces one value and answers whatever comes. */
  async sendOnce(
    target: Target,
    value: string,
    options: { version?: number; sequence?: number } = {}
  ): Promise<ProduceResponsePartitionProduceResponse> {
    const { topic, partition = 0 } = target
    const baseSequence = options.sequence ?? this.#sequences.get(nameOf(target)) ?? 0
    const builder = new RecordBatchBuilder({})
    builder.tryAppend(Date.now(), null, Buffer.from(value))
    const records = builder.build({ ...this.identity, baseSequence, isTransactional: true })
    const version = options.version ?? this.protocol.produce
    const response = await this.peer.connection.request(produceApi, {
      version,
      message: {
        transactionalId: this.transactionalId,
        acks: -1,
        timeoutMs: 10_000,
        topicData: [{ name: topic.name, partitionData: [{ index: partition, records }] }]
      }
    })
    const answer = response.responses[0]?.partitionResponses[0]
    assert.ok(answer !== undefined, 'no partition in the response')
    return answer
  }

  /** EndTxn, and with the second protocol the new identity. */
  async end(isCommit: boolean): Promise<void> {
    const answer = await retried(() => this.endOnce(isCommit), errorOf)
    assert.equal(errorOf(answer), 'NONE')
    if (this.protocol === PROTOCOLS.version1) return
    this.identity = { producerId: answer.producerId, producerEpoch: answer.producerEpoch }
    this.#sequences.clear()
  }

  /** EndTxn once, with any identity. */
  endOnce(isCommit: boolean, options: { version?: number; identity?: Identity } = {}): Promise<EndTxnResponse> {
    const { producerId, producerEpoch } = options.identity ?? this.identity
    const message = { transactionalId: this.transactionalId, producerId, producerEpoch, committed: isCommit }
    return this.peer.connection.request(endTxnApi, { version: options.version ?? this.protocol.endTxn, message })
  }
}

function nameOf({ topic, partition = 0 }: Target): string {
  return `${topic.name}/${partition}`
}

/** What a fetch sees of a partition. */
export interface Seen {
  readonly values: string[]
  readonly lastStableOffset: bigint
  readonly highWatermark: bigint
}

/** Everything in a partition, as a consumer shows it: with `isCommitted`, no aborted and no open records. */
export async function read(
  { connection }: Peer,
  topic: Topic,
  { partition = 0, isCommitted }: { partition?: number; isCommitted: boolean }
): Promise<Seen> {
  const response = await connection.request(fetchApi, {
    version: 12,
    message: {
      maxWaitMs: 0,
      minBytes: 0,
      maxBytes: 10_000_000,
      isolationLevel: isCommitted ? 1 : 0,
      topics: [{ topic: topic.name, partitions: [{ partition, fetchOffset: 0n, partitionMaxBytes: 10_000_000 }] }]
    }
  })
  const data = response.responses[0]?.partitions[0]
  assert.ok(data !== undefined)
  assert.equal(errorOf(data), 'NONE')
  const { lastStableOffset, highWatermark } = data
  return { values: shown(data, isCommitted), lastStableOffset, highWatermark }
}

/** What a consumer keeps of a fetched partition. Source: the rules of KIP-98 for consumers. */
function shown(data: FetchResponsePartitionData, isCommitted: boolean): string[] {
  const aborted = isCommitted ? [...(data.abortedTransactions ?? [])] : []
  const abortedIds = new Set<bigint>()
  const cursor = new RecordCursor()
  const values: string[] = []
  cursor.reset(data.records ?? Buffer.alloc(0))
  while (cursor.nextBatch()) {
    const { producerId, attributes, baseOffset, lastOffsetDelta } = cursor.header
    const lastOffset = baseOffset + BigInt(lastOffsetDelta)
    for (const { producerId: id } of aborted.filter(({ firstOffset }) => firstOffset <= lastOffset)) abortedIds.add(id)
    if (isControl(attributes)) {
      const isAbort = cursor.nextRecord() && cursor.key()?.readInt16BE(2) === 0
      if (isAbort) {
        abortedIds.delete(producerId)
        const index = aborted.findIndex(each => each.producerId === producerId)
        if (index >= 0) aborted.splice(index, 1)
      }
      continue
    }
    if (abortedIds.has(producerId)) continue
    while (cursor.nextRecord()) values.push(cursor.value()?.toString() ?? '')
  }
  return values
}

/** Waits until a committed reader sees exactly the values: markers follow the answer to EndTxn. */
export async function untilRead(
  peer: Peer,
  topic: Topic,
  { partition = 0, values }: { partition?: number; values: readonly string[] }
): Promise<Seen> {
  const deadline = performance.now() + retryTimeoutMs
  for (;;) {
    const seen = await read(peer, topic, { partition, isCommitted: true })
    const isSettled = seen.lastStableOffset === seen.highWatermark
    if ((isSettled && String(seen.values) === String(values)) || performance.now() > deadline) {
      assert.deepEqual(seen.values, values)
      return seen
    }
  }
}

/** The last stable offset by ListOffsets. */
export async function lastStableOffset({ connection }: Peer, topic: Topic): Promise<bigint | undefined> {
  const message = {
    replicaId: -1,
    isolationLevel: 1,
    topics: [{ name: topic.name, partitions: [{ partitionIndex: 0, timestamp: -1n }] }]
  }
  const listed = await connection.request(listOffsetsApi, { version: 7, message })
  return listed.topics[0]?.partitions[0]?.offset
}
