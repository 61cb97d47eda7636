/**
 * Where a mapping begins to read a partition: at the committed offset, else where `StartingPosition` says.
 *
 * The start is committed at once. A mapping that begins at the end would otherwise skip what was written between two
 * starts without any success; AWS's pollers never stop, so they do not have that gap.
 */

import { Admin, type AssignedPartition, type Cluster } from '../../client/index.ts'
import type { StartingPosition } from './settings.ts'

/** Finds the offsets from which to go on. */
export async function startingOffsets(
  cluster: Cluster,
  at: { readonly groupId: string; readonly position: StartingPosition },
  partitions: readonly AssignedPartition[]
): Promise<Map<number, bigint>> {
  const starts = new Map(partitions.map(({ partition, offset }) => [partition, offset]))
  // The member itself knows the two ends.
  if (typeof at.position === 'string') return starts
  const admin = new Admin(cluster)
  const committed = await admin.fetchGroupOffsets(at.groupId, partitions)
  const fresh = committed.filter(({ offset }) => offset < 0n)
  const spec = { timestampMs: BigInt(at.position.timestampMs) }
  const found = await admin.listOffsets(fresh.map(({ topic, partition }) => ({ topic, partition, at: spec })))
  const none = found.filter(({ offset }) => offset < 0n)
  // Nothing is that young: what comes from now on.
  const ends = await admin.listOffsets(none.map(({ topic, partition }) => ({ topic, partition, at: 'latest' })))
  for (const { partition, offset } of [...found, ...ends]) if (offset >= 0n) starts.set(partition, offset)
  return starts
}

/** Where to go on in a partition whose offset is gone, deleted by retention or never there. */
export async function offsetAfterLoss(
  cluster: Cluster,
  at: { readonly topic: string; readonly partition: number },
  position: StartingPosition
): Promise<bigint> {
  const end = position === 'latest' ? 'latest' : 'earliest'
  const [listed] = await new Admin(cluster).listOffsets([{ ...at, at: end }])
  return listed?.offset ?? 0n
}
