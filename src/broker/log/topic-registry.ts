/**
 * `comporta-topics.json`: which topics there are. Apache Kafka keeps this in its
 * metadata log, which a single node has no use for.
 *
 *   { "version": 1,
 *     "topics": [{ "name", "id", "partitionCount", "configs": { … } }],
 *     "deletedTopicIds": ["…"] }
 *
 * The file is replaced in one step, and that step is what creates or deletes a
 * topic: folders of a new topic are made before it, folders of a deleted one are
 * removed after it. `deletedTopicIds` are those whose removal has not been seen
 * through; a start finishes it.
 */

import path from 'node:path'
import { PipelineError } from '../../core/index.ts'
import { readIfPresent, replaceFile } from './small-files.ts'
import type { ConfigTexts } from './topic-config.ts'

const REGISTRY_FILE = 'comporta-topics.json'
const REGISTRY_VERSION = 1

/** A topic as it is stored. */
export interface TopicRecord {
  readonly name: string
  /** Kafka's base64url form; another one when the topic is deleted and created again. */
  readonly id: string
  readonly partitionCount: number
  /** Overrides by Kafka's names. */
  readonly configs: ConfigTexts
}

/** Content of the file. */
export interface TopicRegistry {
  readonly topics: readonly TopicRecord[]
  readonly deletedTopicIds: readonly string[]
}

/**
 * Reads the registry; `undefined` if there is none.
 *
 * @throws PipelineError `ERR_BROKER_TOPIC_REGISTRY_CORRUPT` if it is damaged: to go on would make all topics disappear.
 */
export async function loadRegistry(folder: string): Promise<TopicRegistry | undefined> {
  const content = await readIfPresent(path.join(folder, REGISTRY_FILE))
  if (content === undefined) return undefined
  const registry = parseRegistry(content.toString())
  if (registry !== undefined) return registry
  throw new PipelineError(
    'ERR_BROKER_TOPIC_REGISTRY_CORRUPT',
    `${path.join(folder, REGISTRY_FILE)} is damaged: restore it, or remove it and it is rebuilt from the folders`,
    { fields: { folder } }
  )
}

/** Replaces the registry in one durable step. */
export async function saveRegistry(folder: string, registry: TopicRegistry): Promise<void> {
  const content = { version: REGISTRY_VERSION, ...registry }
  await replaceFile(path.join(folder, REGISTRY_FILE), `${JSON.stringify(content, undefined, 2)}\n`)
}

function parseRegistry(text: string): TopicRegistry | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isObject(value) || value['version'] !== REGISTRY_VERSION) return undefined
  const { topics, deletedTopicIds } = value
  if (!Array.isArray(topics) || !topics.every(isTopicRecord)) return undefined
  if (!Array.isArray(deletedTopicIds) || !deletedTopicIds.every(id => typeof id === 'string')) return undefined
  return { topics, deletedTopicIds }
}

function isTopicRecord(value: unknown): value is TopicRecord {
  if (!isObject(value)) return false
  const { name, id, partitionCount, configs } = value
  if (typeof name !== 'string' || typeof id !== 'string' || !isObject(configs)) return false
  if (typeof partitionCount !== 'number' || !Number.isInteger(partitionCount) || partitionCount < 1) return false
  return Object.values(configs).every(config => typeof config === 'string')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
