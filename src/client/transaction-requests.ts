/** The requests of a transactional producer, shaped by the versions that the coordinators know. */

import {
  addOffsetsToTxnApi,
  addPartitionsToTxnApi,
  type Api,
  endTxnApi,
  initProducerIdApi,
  txnOffsetCommitApi
} from '../protocol/index.ts'
import type { ProducerIdentity } from './append-partition.ts'
import type { SendOptions } from './cluster-options.ts'
import type { Cluster } from './cluster.ts'
import { groupPartitions } from './group-protocol.ts'
import { commitTopics } from './group-requests.ts'
import type { OffsetToCommit } from './group-types.ts'
import { KAFKA } from './kafka-error.ts'
import { partitionKeyOf } from './topic-partition.ts'
import type { TransactionProtocol } from './transaction-state.ts'
import type { GroupMetadata } from './transaction-types.ts'

/** What goes into the requests. */
export interface TransactionRequestsOptions {
  readonly cluster: Cluster
  readonly transactionalId: string
  readonly transactionTimeoutMs: number
  readonly protocolMax: TransactionProtocol
}

/** From here on InitProducerId raises the epoch of a producer that names itself (KIP-360). */
const initBumpVersion = 3
/** Above these versions the requests speak of the second protocol, or are meant for brokers. */
const initVersionMax = 5
const addPartitionsVersionMax = 3
const endVersionMax = { 1: 4, 2: 5 } as const
const offsetCommitVersionMax = { 1: 4, 2: 5 } as const
/** `transaction.version` that stands for the second protocol. */
const featureLevel = 2

/** Talks to the coordinators of one transactional id. */
export class TransactionRequests {
  readonly #options: TransactionRequestsOptions
  readonly #lane: string
  /** Groups whose coordinators were asked. */
  readonly #groups = new Set<string>()

  constructor(options: TransactionRequestsOptions) {
    this.#options = options
    this.#lane = options.cluster.newLane('transaction')
  }

  /** Closes the connections. */
  close(): void {
    this.#options.cluster.closeLane(this.#lane)
  }

  /** The next request looks for the coordinators again. */
  forgetCoordinators(): void {
    const { cluster, transactionalId } = this.#options
    cluster.forgetCoordinator('transaction', transactionalId)
    for (const groupId of this.#groups) cluster.forgetCoordinator('group', groupId)
  }

  /** @param identity - Who this producer is, to have its epoch raised; `undefined` to take the id over. */
  async init(
    identity: ProducerIdentity | undefined
  ): Promise<ProducerIdentity & { errorCode: number; protocol: TransactionProtocol }> {
    const { transactionalId, transactionTimeoutMs, protocolMax } = this.#options
    const connection = await this.#options.cluster.connectionTo(this.#toTransaction())
    const version = connection.versionOf(initProducerIdApi, initVersionMax)
    const message = {
      transactionalId,
      transactionTimeoutMs,
      ...(identity === undefined || version < initBumpVersion ? {} : identity)
    }
    const { errorCode, producerId, producerEpoch } = await connection.send(initProducerIdApi, message, { version })
    const isSecond = protocolMax === 2 && connection.featureLevel('transaction.version') >= featureLevel
    return { errorCode, producerId, producerEpoch, protocol: isSecond ? 2 : 1 }
  }

  /** @param names - `topic/partition`. */
  async addPartitions(identity: ProducerIdentity, names: readonly string[]): Promise<{ errorCode: number }> {
    const partitions = names.map(name => {
      const at = name.lastIndexOf('/')
      return { topic: name.slice(0, at), partition: Number(name.slice(at + 1)) }
    })
    const answer = await this.#send(
      addPartitionsToTxnApi,
      {
        v3AndBelowTransactionalId: this.#options.transactionalId,
        v3AndBelowProducerId: identity.producerId,
        v3AndBelowProducerEpoch: identity.producerEpoch,
        v3AndBelowTopics: groupPartitions(partitions).map(item => ({ name: item.topic, partitions: item.partitions }))
      },
      { ...this.#toTransaction(), versionMax: addPartitionsVersionMax }
    )
    const results = answer.resultsByTopicV3AndBelow.flatMap(topic => topic.resultsByPartition)
    return { errorCode: worstOf(results.map(result => result.partitionErrorCode)) }
  }

  addGroup({ producerId, producerEpoch }: ProducerIdentity, groupId: string): Promise<{ errorCode: number }> {
    const message = { transactionalId: this.#options.transactionalId, producerId, producerEpoch, groupId }
    return this.#send(addOffsetsToTxnApi, message, this.#toTransaction())
  }

  async commitOffsets(
    { producerId, producerEpoch }: ProducerIdentity,
    commit: {
      readonly offsets: readonly OffsetToCommit[]
      readonly group: GroupMetadata
      readonly protocol: TransactionProtocol
    }
  ): Promise<{ errorCode: number }> {
    const { groupId, memberId, generation, groupInstanceId } = commit.group
    this.#groups.add(groupId)
    const byKey = new Map(commit.offsets.map(offset => [partitionKeyOf(offset), offset]))
    const answer = await this.#send(
      txnOffsetCommitApi,
      {
        transactionalId: this.#options.transactionalId,
        groupId,
        producerId,
        producerEpoch,
        generationId: generation,
        memberId,
        groupInstanceId: groupInstanceId ?? null,
        topics: commitTopics(byKey)
      },
      {
        to: { coordinator: 'group', key: groupId },
        lane: this.#lane,
        versionMax: offsetCommitVersionMax[commit.protocol]
      }
    )
    const results = answer.topics.flatMap(topic => topic.partitions)
    return { errorCode: worstOf(results.map(result => result.errorCode)) }
  }

  /** @returns Also the identity to go on with, if the coordinator gives one; else a producer id of -1. */
  end(
    { producerId, producerEpoch }: ProducerIdentity,
    isCommit: boolean,
    protocol: TransactionProtocol
  ): Promise<ProducerIdentity & { errorCode: number }> {
    const message = { transactionalId: this.#options.transactionalId, producerId, producerEpoch, committed: isCommit }
    return this.#send(endTxnApi, message, { ...this.#toTransaction(), versionMax: endVersionMax[protocol] })
  }

  #send<Q, QI, S, SI>(api: Api<Q, QI, S, SI>, message: QI, options: SendOptions): Promise<S> {
    return this.#options.cluster.send(api, message, options)
  }

  #toTransaction(): SendOptions {
    return { to: { coordinator: 'transaction', key: this.#options.transactionalId }, lane: this.#lane }
  }
}

/** One code for all parts of a request: they are retried or given up together. One that was not tried says nothing. */
function worstOf(codes: readonly number[]): number {
  const failed = codes.filter(code => code !== KAFKA.NONE)
  return failed.find(code => code !== KAFKA.OPERATION_NOT_ATTEMPTED) ?? failed[0] ?? KAFKA.NONE
}
