/**
 * What is inside a broker, as plain values: for the assertions of a test and for
 * a look at a broker that misbehaves. A snapshot of one moment; nothing is read
 * from disk for it.
 */

import type { BrokerState } from '../handlers/broker-state.ts'
import type { GroupView } from '../groups/index.ts'
import type { PartitionLog } from '../log/index.ts'
import {
  type AclBinding,
  operationName,
  patternTypeName,
  permissionName,
  resourceTypeName
} from '../security/acls/index.ts'
import type { QuotaEntity } from '../security/quotas/index.ts'
import type { TransactionMetadata } from '../transactions/index.ts'

/** One partition. */
export interface PartitionDescription {
  readonly partition: number
  /** First offset that can be read. */
  readonly logStartOffset: bigint
  /** First offset of an open transaction, else the high watermark. */
  readonly lastStableOffset: bigint
  /** Offset after the last record. */
  readonly highWatermark: bigint
  readonly leaderEpoch: number
  readonly sizeBytes: number
  readonly segmentCount: number
  /** Idempotent producers that are known in this partition. */
  readonly producerCount: number
  /** Producers with an open transaction in this partition. */
  readonly openTransactionCount: number
  /** Whether its disk failed: it takes no records until the broker starts again. */
  readonly isOffline: boolean
}

/** One topic. */
export interface TopicDescription {
  readonly name: string
  readonly topicId: string
  /** Settings of its own. */
  readonly configs: Readonly<Record<string, string>>
  readonly partitions: readonly PartitionDescription[]
}

/** One group. */
export interface GroupDescription {
  readonly groupId: string
  /** Which protocol its members speak: that of classic groups, or that of KIP-848. */
  readonly type: 'classic' | 'consumer'
  /** Kafka's name of the state, such as `Stable`. */
  readonly state: string
  readonly memberIds: readonly string[]
  /** Committed offsets: the next record to read, by topic and partition. */
  readonly offsets: readonly {
    readonly topic: string
    readonly partition: number
    readonly offset: bigint
    readonly metadata: string
  }[]
}

/** One transactional id. */
export interface TransactionDescription {
  readonly transactionalId: string
  /** Kafka's name of the state, such as `Ongoing`. */
  readonly state: string
  readonly producerId: bigint
  readonly producerEpoch: number
  /** `topic-partition` of the transaction. */
  readonly partitions: readonly string[]
}

/** One ACL, in Kafka's words. */
export interface AclDescription {
  /** Such as `TOPIC`. */
  readonly resourceType: string
  readonly resourceName: string
  /** `LITERAL` or `PREFIXED`. */
  readonly patternType: string
  /** Such as `User:alice`. */
  readonly principal: string
  readonly host: string
  /** Such as `READ`. */
  readonly operation: string
  /** `ALLOW` or `DENY`. */
  readonly permission: string
}

/** Quotas of one entity; a name of `null` is the default. */
export interface QuotaDescription {
  readonly entity: QuotaEntity
  /** Values by Kafka's names, such as `producer_byte_rate`. */
  readonly values: Readonly<Record<string, number>>
}

/** Everything. */
export interface BrokerDescription {
  readonly nodeId: number
  readonly clusterId: string
  /** All topics by name, internal ones included. */
  readonly topics: readonly TopicDescription[]
  readonly groups: readonly GroupDescription[]
  readonly transactions: readonly TransactionDescription[]
  /** What decides who may do what; empty also if there is no authorizer. */
  readonly acls: readonly AclDescription[]
  readonly quotas: readonly QuotaDescription[]
  readonly fetchSessionCount: number
  /** Partitions that some fetch waits for. */
  readonly waitingPartitionCount: number
}

/** Describes a broker. */
export function describeBroker(broker: BrokerState): BrokerDescription {
  const topics = broker.logs.topics.map(({ name, id, configs, logs }) => ({
    name,
    topicId: id,
    configs,
    partitions: logs.map(describePartition)
  }))
  return {
    nodeId: broker.nodeId,
    clusterId: broker.clusterId,
    topics: topics.toSorted((left, right) => (left.name < right.name ? -1 : 1)),
    groups: broker.groups.list().map(describeGroup),
    transactions: broker.transactions.list().map(describeTransaction),
    acls: (broker.authorizer.acls?.index.acls ?? []).map(describeAcl),
    quotas: broker.quotas.store.rows.map(({ entity, values }) => ({ entity, values: Object.fromEntries(values) })),
    fetchSessionCount: broker.fetchSessions.count,
    waitingPartitionCount: broker.signals.partitionCount
  }
}

function describeAcl(acl: AclBinding): AclDescription {
  const { resourceType, resourceName, patternType, principal, host, operation, permission } = acl
  return {
    resourceType: resourceTypeName(resourceType),
    resourceName,
    patternType: patternTypeName(patternType),
    principal,
    host,
    operation: operationName(operation),
    permission: permissionName(permission)
  }
}

function describePartition(log: PartitionLog): PartitionDescription {
  const { partition, logStartOffset, lastStableOffset, highWatermark, leaderEpoch, sizeBytes, segmentCount } = log
  const producers = log.describeProducers()
  return {
    partition,
    logStartOffset,
    lastStableOffset,
    highWatermark,
    leaderEpoch,
    sizeBytes,
    segmentCount,
    producerCount: producers.length,
    openTransactionCount: producers.filter(each => log.openTransaction(each.producerId) !== undefined).length,
    isOffline: log.isOffline
  }
}

function describeGroup({ group, offsets }: GroupView): GroupDescription {
  return {
    groupId: group.groupId,
    type: group.type,
    state: group.state,
    memberIds: memberIdsOf(group),
    offsets: [...offsets.entries()].flatMap(([topic, partitions]) =>
      [...partitions].map(([partition, { offset, metadata }]) => ({ topic, partition, offset, metadata }))
    )
  }
}

function memberIdsOf(group: GroupView['group']): string[] {
  if (group.type === 'consumer') return [...group.known.members.keys()]
  return [...group.members].map(({ memberId }) => memberId)
}

function describeTransaction([transactionalId, metadata]: [string, TransactionMetadata]): TransactionDescription {
  const { state, producerId, producerEpoch } = metadata
  const partitions = [...metadata.partitions].flatMap(([topic, numbers]) =>
    [...numbers].map(each => `${topic}-${each}`)
  )
  return { transactionalId, state, producerId, producerEpoch, partitions }
}
