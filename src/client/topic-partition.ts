/** Names of partitions as keys of maps: one form, so that a key made in one place is found in another. */

import type { TopicPartition } from './group-types.ts'

/** The key of a partition, by topic and number. */
export function partitionKey(topic: string, partition: number): string {
  return `${topic}/${partition}`
}

/** The key of a partition, by whatever names it. */
export function partitionKeyOf({ topic, partition }: TopicPartition): string {
  return partitionKey(topic, partition)
}

/** Orders partitions by topic, then by number. */
export function byTopicAndPartition(left: TopicPartition, right: TopicPartition): number {
  if (left.topic === right.topic) return left.partition - right.partition
  return left.topic < right.topic ? -1 : 1
}
