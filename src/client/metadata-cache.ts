/**
 * What the client remembers of the cluster's metadata. Pure: no I/O, no clock.
 *
 * A broker that lags behind may answer with an older leader than the one we
 * know: an older leader epoch never replaces a newer one, as long as the topic
 * is still the same (KIP-320, KIP-516).
 */

import { ZERO_UUID } from '../protocol/index.ts'
import type { BrokerNode, ClusterMetadata, PartitionMetadata, TopicMetadata } from './cluster-options.ts'

interface CachedTopic {
  readonly metadata: TopicMetadata
  readonly readAtMs: number
}

/** The latest known metadata. */
export class MetadataCache {
  readonly #brokers = new Map<number, BrokerNode>()
  readonly #topics = new Map<string, CachedTopic>()
  #controllerId = -1
  #clusterId: string | null = null
  #version = 0

  /** Changes with every answer that is remembered. */
  get version(): number {
    return this.#version
  }

  /** Node id of the controller, -1 if unknown. */
  get controllerId(): number {
    return this.#controllerId
  }

  get clusterId(): string | null {
    return this.#clusterId
  }

  /** All known brokers. */
  brokers(): BrokerNode[] {
    return [...this.#brokers.values()]
  }

  broker(nodeId: number): BrokerNode | undefined {
    return this.#brokers.get(nodeId)
  }

  topic(name: string): TopicMetadata | undefined {
    return this.#topics.get(name)?.metadata
  }

  /** When a topic was read, in milliseconds of the clock given to `apply`; `undefined` if never. */
  readAtMs(name: string): number | undefined {
    return this.#topics.get(name)?.readAtMs
  }

  /** Remembers an answer. Topics that are not in it stay as they are. */
  apply(answer: ClusterMetadata, nowMs: number): void {
    this.#version += 1
    this.#clusterId = answer.clusterId
    this.#controllerId = answer.controllerId
    if (answer.brokers.length > 0) {
      this.#brokers.clear()
      for (const broker of answer.brokers) this.#brokers.set(broker.nodeId, broker)
    }
    for (const topic of answer.topics) {
      const metadata = mergeTopic(this.#topics.get(topic.topic)?.metadata, topic)
      this.#topics.set(topic.topic, { metadata, readAtMs: nowMs })
    }
  }

  /** Forgets topics, so that they are no longer refreshed. */
  forget(topics: readonly string[]): void {
    for (const topic of topics) this.#topics.delete(topic)
  }

  /** The leader of a partition: its node id, or `undefined` while unknown. */
  leaderOf(topic: string, partition: number): number | undefined {
    const leaderId = this.partition(topic, partition)?.leaderId
    return leaderId === undefined || leaderId < 0 ? undefined : leaderId
  }

  partition(topic: string, partition: number): PartitionMetadata | undefined {
    const found = this.topic(topic)?.partitions[partition]
    return found?.partition === partition ? found : undefined
  }
}

function mergeTopic(old: TopicMetadata | undefined, fresh: TopicMetadata): TopicMetadata {
  if (old === undefined) return fresh
  // A topic that cannot be described at the moment keeps its partitions: records that wait for a leader stay placed.
  if (fresh.errorCode !== 0 && fresh.partitions.length === 0) return { ...old, errorCode: fresh.errorCode }
  if (old.topicId !== fresh.topicId || fresh.topicId === ZERO_UUID) return fresh
  const partitions = fresh.partitions.map(partition => {
    const known = old.partitions[partition.partition]
    return known !== undefined && known.leaderEpoch > partition.leaderEpoch ? known : partition
  })
  return { ...fresh, partitions }
}
