/**
 * What a dispatcher needs of Kafka, apart from how it gets it.
 *
 * The shapes are those of the client's own classes, so that the real side is a
 * few lines. A simulation puts a model of a cluster in its place and runs the
 * whole dispatcher on virtual time.
 */

import {
  Admin,
  Appender,
  type AppenderOptions,
  type Cluster,
  type ClusterMetadata,
  Fetcher,
  type FetcherOptions,
  GroupMember,
  type GroupMemberOptions,
  type ListedOffset,
  type OffsetQuestion
} from '../client/index.ts'

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

/** A cluster as a dispatcher sees it. */
export interface KafkaSide {
  /** Makes the member of the group. */
  createMember(options: MemberOptions): MemberLike
  /** Makes the reader of the partitions assigned. */
  createFetcher(options: FetcherLikeOptions): FetcherLike
  /** Makes the writer of what is put aside. */
  createAppender(options: AppenderLikeOptions): AppenderLike
  /** Offsets of partitions by rule: where they begin, where they end. */
  listOffsets(questions: readonly OffsetQuestion[]): Promise<ListedOffset[]>
  /** Brokers, and the topics that are named. */
  metadata(topics: readonly string[]): Promise<ClusterMetadata>
}

/** The real side: the client's classes on a cluster. */
export function kafkaSideOf(cluster: Cluster): KafkaSide {
  const admin = new Admin(cluster)
  return {
    createMember: options => new GroupMember({ ...options, cluster }),
    createFetcher: options => new Fetcher({ ...options, cluster }),
    createAppender: options => new Appender({ ...options, cluster }),
    listOffsets: questions => admin.listOffsets(questions),
    metadata: topics => cluster.metadata(topics)
  }
}
