/**
 * Brings folders and registry together at a start: finishes deletions that a
 * crash interrupted, sets aside partition folders that no topic owns, and
 * rebuilds a registry that is missing.
 *
 * A folder with records in it is never removed unless its topic was deleted.
 */

import fs from 'node:fs/promises'
import path from 'node:path'
import type { Random } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { asideFolderName, DELETE_SUFFIX, parsePartitionFolderName, STRAY_SUFFIX } from './file-names.ts'
import { hasRecords, topicIdOf } from './partition-folder.ts'
import { saveRegistry, type TopicRecord, type TopicRegistry } from './topic-registry.ts'
import { randomHex } from './uuid.ts'

/** What there is. */
export interface TidyOptions {
  readonly folder: string
  /** `undefined` if there is no registry. */
  readonly registry: TopicRegistry | undefined
  readonly logger: Logger
  readonly random: Random
}

interface FoundPartition {
  readonly name: string
  readonly topic: string
  readonly partition: number
  readonly topicId: string | undefined
}

/** Tidies the folder; resolves with the registry that holds from now on. */
export async function tidyDataFolder(options: TidyOptions): Promise<TopicRegistry> {
  const { folder } = options
  const names = await fs.readdir(folder)
  for (const name of names) {
    if (name.endsWith(DELETE_SUFFIX)) await fs.rm(path.join(folder, name), { recursive: true, force: true })
  }
  const partitions = await findPartitions(folder, names)
  const registry = options.registry ?? rebuildRegistry(partitions)
  if (options.registry === undefined && partitions.length > 0) {
    options.logger.warn({ topics: registry.topics.length }, 'the list of topics was missing: rebuilt from the folders')
  }
  const owners = new Map(registry.topics.map(topic => [topic.name, topic]))
  const deleted = new Set(registry.deletedTopicIds)
  for (const found of partitions) {
    const owner = owners.get(found.topic)
    const isOwned = owner !== undefined && found.partition < owner.partitionCount
    // A folder whose metadata a crash cut short belongs to the topic that its name says.
    if (isOwned && (found.topicId === undefined || found.topicId === owner.id)) continue
    const isDeleted = found.topicId !== undefined && deleted.has(found.topicId)
    await putAside(found, isDeleted, options)
  }
  const tidied = { topics: registry.topics, deletedTopicIds: [] }
  if (options.registry === undefined || registry.deletedTopicIds.length > 0) await saveRegistry(folder, tidied)
  return tidied
}

async function findPartitions(folder: string, names: readonly string[]): Promise<FoundPartition[]> {
  const found: FoundPartition[] = []
  for (const name of names) {
    const parsed = parsePartitionFolderName(name)
    if (parsed === undefined || !(await fs.stat(path.join(folder, name))).isDirectory()) continue
    found.push({ name, ...parsed, topicId: await topicIdOf(path.join(folder, name)) })
  }
  return found
}

/** The topics that the folders show. Overrides are lost; so are folders without a topic id. */
function rebuildRegistry(partitions: readonly FoundPartition[]): TopicRegistry {
  const topics = new Map<string, TopicRecord>()
  for (const { topic, partition, topicId } of partitions) {
    if (topicId === undefined) continue
    const partitionCount = Math.max(partition + 1, topics.get(topic)?.partitionCount ?? 0)
    topics.set(topic, { name: topic, id: topics.get(topic)?.id ?? topicId, partitionCount, configs: {} })
  }
  return { topics: [...topics.values()], deletedTopicIds: [] }
}

/** Removes a folder of a deleted topic, or an empty one; keeps one with records under another name. */
async function putAside(
  found: FoundPartition,
  isDeleted: boolean,
  { folder, logger, random }: TidyOptions
): Promise<void> {
  const current = path.join(folder, found.name)
  if (isDeleted || !(await hasRecords(current))) {
    await fs.rm(current, { recursive: true, force: true })
    return
  }
  const name = asideFolderName(found.name, randomHex(random), STRAY_SUFFIX)
  await fs.rename(current, path.join(folder, name))
  logger.warn({ folder: found.name, renamedTo: name }, 'a partition folder belongs to no topic: it was set aside')
}
