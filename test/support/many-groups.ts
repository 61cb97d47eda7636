/**
 * A cluster that is large: thousands of topics and groups, with commits and lag, in seconds. For tests of what has to
 * stay quick there: the console, lag, scans.
 *
 *     const many = await startManyGroups({ topicCount: 10_000, groupCount: 2_000 })
 *     … many.bootstrapServers …
 *     await many.move() // some groups go on, some topics grow
 *     await many.close()
 *
 * Group `i` reads `topicsPerGroup` topics from `i × topicsPerGroup` on. Each topic holds `recordsPerTopic` records for
 * each partition; a third of the groups is up to date, a third is behind, and a third has read nothing at all.
 */

import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { startBroker } from '../../src/broker/index.ts'
import { saveRegistry } from '../../src/broker/log/topic-registry.ts'
import { randomUuid } from '../../src/broker/log/uuid.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { systemRandom } from '../../src/core/index.ts'

/** How large. */
export interface ManyGroupsOptions {
  /** Default 10,000. */
  readonly topicCount?: number
  /** Of each topic. Default 1. */
  readonly partitionCount?: number
  /** Default 2,000. */
  readonly groupCount?: number
  /** Default 5. */
  readonly topicsPerGroup?: number
  /** In each partition. Default 4. */
  readonly recordsPerPartition?: number
}

/** A large cluster. */
export interface ManyGroups {
  readonly bootstrapServers: string
  readonly topics: readonly string[]
  readonly groupIds: readonly string[]
  /** Appends to the topics of the first groups, and lets every second of these read on. */
  move(): Promise<void>
  close(): Promise<void>
}

/** What was filled. */
export interface FilledGroups extends Pick<ManyGroups, 'topics' | 'groupIds' | 'move'> {
  /** Ends what appends. */
  close(): Promise<void>
}

/** Groups that `move` moves. */
const MOVED_MAX = 100
/** Topics that are written to at once. */
const APPEND_MAX = 500
const WORKERS = 16

/** Starts an embedded broker in this process and fills it. What it writes is in memory where there is such a disk. */
export async function startManyGroups(options: ManyGroupsOptions = {}): Promise<ManyGroups> {
  const dataDir = await topicsFolder(options)
  const broker = await startBroker({ dataDir, config: { 'group.initial.rebalance.delay.ms': '0' } })
  const { bootstrapServers } = broker
  const cluster = await Cluster.connect({ bootstrapServers: [bootstrapServers], requestTimeoutMs: 120_000 })
  const filled = await fillManyGroups(cluster, options)
  return {
    ...filled,
    bootstrapServers,
    close: async () => {
      await filled.close()
      await cluster.close()
      await broker.close()
      await rm(dataDir, { recursive: true, force: true })
    }
  }
}

/** A data folder that has the topics: to create ten thousand one by one takes minutes. Whoever asks removes it. */
export async function topicsFolder({ topicCount = 10_000, partitionCount = 1 }: ManyGroupsOptions): Promise<string> {
  const parent = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const folder = await mkdtemp(join(parent, 'comporta-many-'))
  const topics = names('topic', topicCount).map(name => {
    return { name, id: randomUuid(systemRandom), partitionCount, configs: {} }
  })
  await saveRegistry(folder, { topics, deletedTopicIds: [] })
  return folder
}

/** Fills a cluster that has the topics of `topicsFolder`. */
export async function fillManyGroups(cluster: Cluster, options: ManyGroupsOptions = {}): Promise<FilledGroups> {
  const { topicCount = 10_000, partitionCount = 1, groupCount = 2000 } = options
  const { topicsPerGroup = 5, recordsPerPartition = 4 } = options
  const topics = names('topic', topicCount)
  const groupIds = names('group', groupCount)
  const admin = new Admin(cluster)
  const appender = new Appender({ cluster, lingerMs: 5 })
  const readBy = (index: number): readonly string[] =>
    Array.from({ length: Math.min(topicsPerGroup, topicCount) }, (_, at) => {
      return topics[(index * topicsPerGroup + at) % topicCount] ?? ''
    })
  const commit = async (index: number, offset: number): Promise<void> => {
    const offsets = readBy(index).flatMap(topic =>
      Array.from({ length: partitionCount }, (_, partition) => ({ topic, partition, offset: BigInt(offset) }))
    )
    const results = await admin.alterGroupOffsets(groupIds[index] ?? '', offsets)
    const failed = results.find(({ errorCode }) => errorCode !== 0)
    if (failed !== undefined) throw new Error(`commit of ${groupIds[index] ?? ''}: ${failed.errorCode}`)
  }
  await append(appender, topics, { partitionCount, count: recordsPerPartition })
  const shares = [1, 0.5, 0]
  await eachOf(groupCount, async index => {
    await commit(index, Math.floor(recordsPerPartition * (shares[index % shares.length] ?? 0)))
  })
  let moved = 0
  return {
    topics,
    groupIds,
    move: async () => {
      moved += 1
      const count = Math.min(MOVED_MAX, groupCount)
      const some = new Set(Array.from({ length: count }, (_, index) => readBy(index)).flat())
      await append(appender, [...some], { partitionCount, count: 1 })
      await eachOf(count, async index => {
        if (index % 2 === 0) await commit(index, recordsPerPartition + moved)
      })
    },
    close: () => appender.close()
  }
}

function names(kind: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${kind}-${String(index).padStart(5, '0')}`)
}

async function append(
  appender: Appender,
  topics: readonly string[],
  { partitionCount, count }: { readonly partitionCount: number; readonly count: number }
): Promise<void> {
  let failedCount = 0
  const listener = {
    delivered: (): void => undefined,
    failed: (_error: unknown, records: readonly unknown[]): void => void (failedCount += records.length)
  }
  const value = Buffer.from('{"codigo":1}')
  for (const [index, topic] of topics.entries()) {
    if (index > 0 && index % APPEND_MAX === 0) await appender.flush()
    for (let partition = 0; partition < partitionCount; partition += 1) {
      for (let left = count; left > 0; left -= 1) {
        while (!appender.append({ topic, partition, key: null, value }, listener)) await appender.room()
      }
    }
  }
  await appender.flush()
  if (failedCount > 0) throw new Error(`${failedCount} records were not delivered`)
}

/** Some at a time. */
async function eachOf(count: number, run: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) {
      next += 1
      await run(next - 1)
    }
  }
  await Promise.all(Array.from({ length: WORKERS }, worker))
}
