/**
 * Administration of topics, offsets, groups and configurations.
 *
 * Items fail one by one: look at their `errorCode`. Answers that mean "not now" or
 * "not here" are asked again until `requestTimeoutMs` has passed.
 */

import { alterConfigs, describeConfigs, type DescribeConfigsOptions, type ResourceChanges } from './admin-configs.ts'
import {
  type AlteredOffset,
  alterGroupOffsets,
  deleteGroups,
  fetchGroupOffsets,
  listGroups,
  type NewGroupOffset
} from './admin-groups.ts'
import { describeLogDirs, type LogDir } from './admin-log-dirs.ts'
import {
  type BrokerGroups,
  describeGroups,
  type DescribeGroupsOptions,
  fetchOffsetsOfGroups,
  type GroupOffsets,
  type GroupOffsetsOptions,
  listGroupsByBroker
} from './admin-many-groups.ts'
import { alterQuotas, describeQuotas, type QuotaEntity } from './admin-quotas.ts'
import { deleteGroupOffsets, type MemberToRemove, type RemovedMember, removeMembers } from './admin-members.ts'
import {
  createPartitions,
  createTopics,
  deleteRecords,
  type DeletedRecords,
  deleteTopics,
  type RecordDeletion
} from './admin-topics.ts'
import type {
  AdminResult,
  ConfigResource,
  DescribedConfig,
  GroupDescription,
  GroupOffset,
  ListedGroup,
  ListedOffset,
  NewTopic
} from './admin-types.ts'
import type { Cluster } from './cluster.ts'
import type { ClusterMetadata } from './cluster-options.ts'
import type { TopicPartition } from './group-types.ts'
import { listOffsets, listOffsetsAt, type ListOffsetsAtOptions, type OffsetQuestion } from './list-offsets.ts'
import type { ManyGroupsOptions } from './many-groups.ts'
import { type PeekAnswer, peekBatches, type PeekOptions, type PeekQuestion } from './peek-batches.ts'

/**
 * Administration through a cluster client. Every method throws the PipelineError of
 * the connection when no broker answers.
 */
export class Admin {
  readonly #cluster: Cluster

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** Creates topics. `TOPIC_ALREADY_EXISTS` (36) is a result, not an exception. */
  createTopics(topics: readonly NewTopic[], options?: { readonly isValidateOnly?: boolean }): Promise<AdminResult[]> {
    return createTopics(this.#cluster, topics, options?.isValidateOnly ?? false)
  }

  /** Deletes topics and their records. */
  deleteTopics(topics: readonly string[]): Promise<AdminResult[]> {
    return deleteTopics(this.#cluster, topics)
  }

  /** Partitions and leaders of some topics; one that is not there has an `errorCode`. */
  describeTopics(topics: readonly string[]): Promise<ClusterMetadata> {
    return this.#cluster.metadata(topics)
  }

  /** All topics. */
  listTopics(): Promise<ClusterMetadata> {
    return this.#cluster.metadata()
  }

  /** Grows topics to a number of partitions. The keys of new records may land elsewhere than before. */
  createPartitions(
    topics: readonly { readonly topic: string; readonly partitionCount: number }[]
  ): Promise<AdminResult[]> {
    return createPartitions(this.#cluster, topics)
  }

  /** Offsets at the ends of partitions, or at a time, in the order of the questions. */
  listOffsets(
    questions: readonly OffsetQuestion[],
    options: { readonly isReadCommitted?: boolean } = {}
  ): Promise<ListedOffset[]> {
    return listOffsets(this.#cluster, questions, options)
  }

  /**
   * Asks one broker for offsets, once, without waiting for leaders: errors of partitions are in the answers, which are
   * in the order of the questions; `undefined` where the broker left one out.
   */
  listOffsetsAt(
    leaderId: number,
    questions: readonly OffsetQuestion[],
    options?: ListOffsetsAtOptions
  ): Promise<(ListedOffset | undefined)[]> {
    return listOffsetsAt(this.#cluster, { leaderId, group: questions }, options)
  }

  /** All groups of all brokers. */
  listGroups(): Promise<ListedGroup[]> {
    return listGroups(this.#cluster)
  }

  /** The groups of each broker, asked once; one that does not answer has a `problem` instead. */
  listGroupsByBroker(options?: ManyGroupsOptions): Promise<BrokerGroups[]> {
    return listGroupsByBroker(this.#cluster, options)
  }

  /** Groups with their members, many in a request. One that does not exist has the state `Dead`. */
  describeGroups(groupIds: readonly string[], options?: DescribeGroupsOptions): Promise<GroupDescription[]> {
    return describeGroups(this.#cluster, groupIds, options)
  }

  /** The committed offsets of many groups, many in a request. Groups fail one by one: look at their `errorCode`. */
  fetchOffsetsOfGroups(groupIds: readonly string[], options?: GroupOffsetsOptions): Promise<GroupOffsets[]> {
    return fetchOffsetsOfGroups(this.#cluster, groupIds, options)
  }

  /** Deletes groups without members, and their offsets. */
  deleteGroups(groupIds: readonly string[]): Promise<AdminResult[]> {
    return deleteGroups(this.#cluster, groupIds)
  }

  /**
   * All committed offsets, or those of the given partitions: -1n where nothing is committed. With `isStable`, a
   * partition whose offset an open transaction may change has the error UNSTABLE_OFFSET_COMMIT if that lasts.
   */
  fetchGroupOffsets(
    groupId: string,
    partitions?: readonly TopicPartition[],
    { isStable = false }: { readonly isStable?: boolean } = {}
  ): Promise<GroupOffset[]> {
    return fetchGroupOffsets(this.#cluster, groupId, { partitions, isStable })
  }

  /** Sets the offsets of a group without members. */
  alterGroupOffsets(groupId: string, offsets: readonly NewGroupOffset[]): Promise<AlteredOffset[]> {
    return alterGroupOffsets(this.#cluster, groupId, offsets)
  }

  /** Deletes committed offsets of a group (KIP-496): of one at work only those of topics that it has left. */
  deleteGroupOffsets(groupId: string, partitions: readonly TopicPartition[]): Promise<AlteredOffset[]> {
    return deleteGroupOffsets(this.#cluster, groupId, partitions)
  }

  /**
   * Removes members of a classic group by their ids, static ones by their instance ids; the group rebalances.
   * Members of groups of the consumer protocol cannot be removed by others (KIP-848).
   */
  removeMembers(
    groupId: string,
    removal: { readonly members: readonly MemberToRemove[]; readonly reason: string }
  ): Promise<RemovedMember[]> {
    return removeMembers(this.#cluster, groupId, removal)
  }

  /** Settings of topics, brokers or groups, defaults included, many in a request. Resources fail one by one. */
  describeConfigs(resources: readonly ConfigResource[], options?: DescribeConfigsOptions): Promise<DescribedConfig[]> {
    return describeConfigs(this.#cluster, resources, options)
  }

  /** The log directories of a broker, and how large partitions are there. Needs the right DESCRIBE on the cluster. */
  describeLogDirs(nodeId: number, partitions?: readonly TopicPartition[]): Promise<LogDir[]> {
    return describeLogDirs(this.#cluster, nodeId, partitions)
  }

  /** Looks at the record batches at some offsets of one leader, once: to tell the age of a record. */
  peekBatches(leaderId: number, questions: readonly PeekQuestion[], options?: PeekOptions): Promise<PeekAnswer[]> {
    return peekBatches(this.#cluster, { leaderId, questions }, options)
  }

  /** Changes single settings and leaves the others as they are (KIP-339). */
  alterConfigs(changes: readonly ResourceChanges[]): Promise<AdminResult[]> {
    return alterConfigs(this.#cluster, changes)
  }

  /** The quotas of exactly that entity, by Kafka's names, in each broker. */
  describeQuotas(entity: QuotaEntity): Promise<ReadonlyMap<string, number>> {
    return describeQuotas(this.#cluster, entity)
  }

  /** Sets quotas of an entity; `undefined` removes one. Others stay as they are. */
  alterQuotas(entity: QuotaEntity, values: Readonly<Record<string, number | undefined>>): Promise<void> {
    return alterQuotas(this.#cluster, entity, values)
  }

  /** Deletes the records of partitions below an offset; -1n = all that are there. */
  deleteRecords(requests: readonly RecordDeletion[]): Promise<DeletedRecords[]> {
    return deleteRecords(this.#cluster, requests)
  }
}
