/** Arithmetic of partition sets by topic id. Pure; inputs are never changed. */

import type { OwnedPartitions, Partitions } from './consumer-group-types.ts'

/** How many partitions there are. */
export function countPartitions(partitions: OwnedPartitions | Partitions): number {
  let count = 0
  for (const each of partitions.values()) count += 'size' in each ? each.size : each.length
  return count
}

/** The partitions without their epochs, in ascending order. */
export function withoutEpochs(owned: OwnedPartitions): Partitions {
  return new Map([...owned].map(([topicId, epochs]) => [topicId, [...epochs.keys()].toSorted((a, b) => a - b)]))
}

/** The partitions, all with one epoch. */
export function withEpoch(partitions: Partitions, epoch: number): OwnedPartitions {
  return new Map([...partitions].map(([topicId, each]) => [topicId, new Map(each.map(index => [index, epoch]))]))
}

/** Whether both hold the same partitions, whatever their order. */
export function areEqual(left: Partitions, right: Partitions): boolean {
  if (left.size !== right.size) return false
  for (const [topicId, partitions] of left) {
    const others = right.get(topicId)
    if (others === undefined || others.length !== partitions.length) return false
    const known = new Set(others)
    if (partitions.some(partition => !known.has(partition))) return false
  }
  return true
}

/** Whether both own the same partitions since the same epochs. */
export function areOwnedEqual(left: OwnedPartitions, right: OwnedPartitions): boolean {
  if (left.size !== right.size) return false
  for (const [topicId, epochs] of left) {
    const others = right.get(topicId)
    if (others === undefined || others.size !== epochs.size) return false
    for (const [partition, epoch] of epochs) if (others.get(partition) !== epoch) return false
  }
  return true
}

/** Whether both own the same partitions, whatever their epochs. */
export function arePartitionsEqual(left: OwnedPartitions, right: OwnedPartitions): boolean {
  if (left.size !== right.size) return false
  for (const [topicId, epochs] of left) {
    const others = right.get(topicId)
    if (others === undefined || others.size !== epochs.size) return false
    for (const partition of epochs.keys()) if (!others.has(partition)) return false
  }
  return true
}

/** Whether every partition is owned. */
export function isWithin(partitions: Partitions, owned: OwnedPartitions): boolean {
  for (const [topicId, each] of partitions) {
    const epochs = owned.get(topicId)
    if (epochs === undefined ? each.length > 0 : each.some(partition => !epochs.has(partition))) return false
  }
  return true
}

/** Whether any of the partitions is among the owned ones. */
export function overlaps(partitions: Partitions, owned: OwnedPartitions): boolean {
  for (const [topicId, each] of partitions) {
    const epochs = owned.get(topicId)
    if (epochs !== undefined && each.some(partition => epochs.has(partition))) return true
  }
  return false
}

/** Both together. */
export function unionOwned(left: OwnedPartitions, right: OwnedPartitions): OwnedPartitions {
  const union = new Map(left)
  for (const [topicId, epochs] of right) union.set(topicId, new Map([...(union.get(topicId) ?? []), ...epochs]))
  return union
}
