/**
 * What a dispatcher needs of Kafka, apart from how it gets it.
 *
 * The shapes are those of the client's own classes, so that the real side is a
 * few lines. A simulation puts a model of a cluster in its place and runs the
 * whole dispatcher on virtual time.
 */

import {
  Admin,
  type AdminResult,
  Appender,
  type AppenderOptions,
  type Cluster,
  type ClusterMetadata,
  Fetcher,
  type FetcherOptions,
  GroupMember,
  type GroupMemberOptions,
  type ListedOffset,
  type NewTopic,
  type OffsetQuestion,
  type TopicPartition,
  TransactionalAppender,
  type TransactionalAppenderOptions
} from '../client/index.ts'
import { PipelineError } from '../core/index.ts'

/** Options of a member, without the cluster that the side knows. */
export type MemberOptions = Omit<GroupMemberOptions, 'cluster'>
/** The part of the client's `GroupMember` that a dispatcher works with. */
export type MemberLike = Pick<
  GroupMember,
  'memberId' | 'generation' | 'state' | 'start' | 'commitOffsets' | 'heldPartitions' | 'close'
> &
  Partial<Pick<GroupMember, 'protocol' | 'retire' | 'groupMetadata'>>
/** Options of a fetcher, without the cluster. */
export type FetcherLikeOptions = Omit<FetcherOptions, 'cluster'>
/** The part of the client's `Fetcher` that a dispatcher works with. */
export type FetcherLike = Pick<Fetcher, 'add' | 'remove' | 'pause' | 'resume' | 'start' | 'close'>
/** Options of an appender, without the cluster. */
export type AppenderLikeOptions = Omit<AppenderOptions, 'cluster'>
/** The part of the client's `Appender` that a dispatcher works with. */
export type AppenderLike = Pick<Appender, 'append' | 'room' | 'flush' | 'close'>

/** Options of a transactional appender, without the cluster. */
export type TransactionalAppenderLikeOptions = Omit<TransactionalAppenderOptions, 'cluster'>
/** The part of the client's `TransactionalAppender` that a dispatcher works with. */
export type TransactionalAppenderLike = Pick<
  TransactionalAppender,
  | 'phase'
  | 'error'
  | 'start'
  | 'begin'
  | 'append'
  | 'room'
  | 'sendOffsets'
  | 'commitTransaction'
  | 'abortTransaction'
  | 'close'
>

/** A cluster as a dispatcher sees it. */
export interface KafkaSide {
  /** How the client names itself to brokers; for metrics. Default empty. */
  readonly clientId?: string
  /** Makes the member of the group. */
  createMember(options: MemberOptions): MemberLike
  /** Makes the reader of the partitions assigned. */
  createFetcher(options: FetcherLikeOptions): FetcherLike
  /** Makes the writer of what is put aside. */
  createAppender(options: AppenderLikeOptions): AppenderLike
  /** Makes a writer of transactions. Needed for exactly-once delivery only. */
  createTransactionalAppender?(options: TransactionalAppenderLikeOptions): TransactionalAppenderLike
  /**
   * The offset that a group has for a partition, once no transaction that would change it is open; `undefined` if it
   * has none. Rejects while one is. Needed for exactly-once delivery only.
   */
  committedOffset?(groupId: string, at: TopicPartition): Promise<bigint | undefined>
  /** Offsets of partitions by rule: where they begin, where they end. */
  listOffsets(questions: readonly OffsetQuestion[]): Promise<ListedOffset[]>
  /** Brokers, and the topics that are named. */
  metadata(topics: readonly string[]): Promise<ClusterMetadata>
  /** Creates topics. Where it is absent, retry topics are taken to be there. */
  createTopics?(topics: readonly NewTopic[]): Promise<AdminResult[]>
  /** Lets topics grow to a number of partitions. */
  createPartitions?(
    topics: readonly { readonly topic: string; readonly partitionCount: number }[]
  ): Promise<AdminResult[]>
}

/** The real side: the client's classes on a cluster. */
export function kafkaSideOf(cluster: Cluster): KafkaSide {
  const admin = new Admin(cluster)
  return {
    clientId: cluster.clientId,
    createMember: options => new GroupMember({ ...options, cluster }),
    createFetcher: options => new Fetcher({ ...options, cluster }),
    createAppender: options => new Appender({ ...options, cluster }),
    createTransactionalAppender: options => new TransactionalAppender({ ...options, cluster }),
    committedOffset: async (groupId, at) => {
      const [found] = await admin.fetchGroupOffsets(groupId, [at], { isStable: true })
      if (found !== undefined && found.errorCode !== 0) {
        const message = `the offset of group ${groupId} for ${at.topic}-${at.partition} is not settled yet`
        throw new PipelineError('ERR_CLIENT_KAFKA', message, { kafkaCode: found.errorCode, retriable: true })
      }
      return found === undefined || found.offset < 0n ? undefined : found.offset
    },
    listOffsets: questions => admin.listOffsets(questions),
    metadata: topics => cluster.metadata(topics),
    createTopics: topics => admin.createTopics(topics),
    createPartitions: topics => admin.createPartitions(topics)
  }
}
