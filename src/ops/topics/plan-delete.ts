/** Plans the end of topics: deletion, and deletion with a new beginning. Neither can be taken back. */

import { type AdminResult, partitionKeyOf } from '../../client/index.ts'
import type { ApplyContext, Change, ChangeResult } from '../change/change.ts'
import { describeTopic, type TopicDescription, type TopicsOpen } from './look-at-topics.ts'
import { topicProblem } from './topic-problem.ts'
import { untilTopic } from './until-topic.ts'

const GONE = { kind: 'impossible', reason: 'the records of a deleted topic are gone' } as const

/**
 * Plans the deletion of a topic.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND` if there is none.
 */
export async function planDeleteTopic(open: TopicsOpen, topic: string): Promise<Change> {
  const described = await describeTopic(open, topic)
  const records = recordsOf(described)
  return {
    plan: {
      kind: 'topics-delete',
      confirmWord: topic,
      summary: `Topic ${topic} and its ${records} records are deleted.`,
      effects: effectsOf(described, 'deleted'),
      warnings: [
        ...readerWarnings(described),
        ...internalWarnings(topic),
        ...described.unknown.map(text => `unknown: ${text}`)
      ],
      blockers: [],
      undo: GONE
    },
    snapshot: undefined,
    apply: async context => await deleteIt(open, topic, context)
  }
}

/**
 * Plans to delete a topic and to make it again, empty, with the same partitions, replicas and settings.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND` if there is none.
 */
export async function planRecreateTopic(open: TopicsOpen, topic: string): Promise<Change> {
  const { cluster, admin } = open
  const described = await describeTopic(open, topic)
  const secret = described.ownConfigs.filter(({ value }) => value === null)
  const configs = Object.fromEntries(described.ownConfigs.map(({ name, value }) => [name, value ?? '']))
  const partitionCount = described.partitions.length
  const replicationFactor = described.partitions[0]?.replicas.length ?? 1
  const flags = Object.entries(configs).map(([name, value]) => ` --config ${name}=${value}`)
  const sizes = `--partitions ${partitionCount} --replicas ${replicationFactor}`
  const command = `comporta topics create ${topic} ${sizes}${flags.join('')}`
  return {
    plan: {
      kind: 'topics-recreate',
      confirmWord: topic,
      summary: `Topic ${topic} is deleted with its ${recordsOf(described)} records and made again, empty.`,
      effects: effectsOf(described, 'empty'),
      warnings: [
        ...readerWarnings(described, 'they point beyond the end of the new topic: reset them (comporta offsets reset)'),
        'idempotency by offset knows the offsets of the old topic: give the new one another namespace',
        'producers that are at work may make the topic again by themselves, if the brokers allow it: stop them first',
        `if this is killed in the middle: ${command}`,
        ...internalWarnings(topic)
      ],
      blockers: [
        ...(described.unknown.some(text => text.startsWith('settings'))
          ? ['the settings of the topic cannot be read, so they could not be the same: see the warnings']
          : []),
        ...secret.map(({ name }) => `${name} is secret: make the topic again by hand`)
      ],
      undo: GONE
    },
    snapshot: undefined,
    apply: async context => {
      const deleted = await deleteIt(open, topic, context)
      if (!deleted.isComplete) return deleted
      const [created] = await createAgain(open, { topic, partitionCount, replicationFactor, configs })
      if (created === undefined || created.errorCode !== 0) {
        const failure = created === undefined ? 'no answer' : topicProblem(cluster, topic, created)
        const failures = [failure, `make it again: ${command}`]
        return { isComplete: false, summary: `Topic ${topic} is deleted, and was not made again.`, failures }
      }
      await untilTopic(cluster, topic, { isThere: true, ...context })
      // Who has the old topic in mind is told of the new one.
      await admin.describeTopics([topic])
      return { isComplete: true, summary: `Topic ${topic} is empty.`, failures: [] }
    }
  }
}

/** The deletion of a topic that was just answered may still be under way. */
async function createAgain(
  { cluster, admin }: TopicsOpen,
  topic: { topic: string; partitionCount: number; replicationFactor: number; configs: Record<string, string> }
): Promise<AdminResult[]> {
  for (let attempt = 1; ; attempt += 1) {
    const results = await admin.createTopics([topic])
    if (results[0]?.errorName !== 'TOPIC_ALREADY_EXISTS' || attempt === 20) return results
    await untilTopic(cluster, topic.topic, { isThere: false, timeoutMs: 500 })
  }
}

async function deleteIt({ cluster, admin }: TopicsOpen, topic: string, context: ApplyContext): Promise<ChangeResult> {
  const [deleted] = await admin.deleteTopics([topic])
  if (deleted === undefined || deleted.errorCode !== 0) {
    const failure = deleted === undefined ? `${topic}: no answer` : topicProblem(cluster, topic, deleted)
    return { isComplete: false, summary: `Topic ${topic} was not deleted.`, failures: [failure] }
  }
  context.onProgress?.(`${topic} is deleted; waiting until every broker knows`)
  const isGone = await untilTopic(cluster, topic, { isThere: false })
  return {
    isComplete: isGone,
    summary: isGone ? `Topic ${topic} is deleted.` : `Kafka has taken the deletion of ${topic}, and is still at it.`,
    failures: isGone ? [] : ['it is still there after 30 s: a broker may be away']
  }
}

/** How many offsets lie between the ends. */
export function recordsOf({ partitions }: TopicDescription): bigint {
  return partitions.reduce((sum, { highWatermark, logStartOffset, leaderId }) => {
    return leaderId < 0 ? sum : sum + highWatermark - logStartOffset
  }, 0n)
}

function effectsOf(described: TopicDescription, after: string): Change['plan']['effects'] {
  return described.partitions.map(partition => ({
    what: partitionKeyOf(partition).replace('/', '-'),
    before: `${partition.logStartOffset} to ${partition.highWatermark}`,
    after,
    records: partition.leaderId < 0 ? 0n : partition.logStartOffset - partition.highWatermark
  }))
}

function readerWarnings({ groups }: TopicDescription, more = 'they are of no use without the topic'): string[] {
  if (groups.length === 0) return []
  const named = groups.slice(0, 10).join(', ')
  const others = groups.length > 10 ? ` and ${groups.length - 10} more` : ''
  return [`groups with offsets in it: ${named}${others}; ${more}`]
}

function internalWarnings(topic: string): string[] {
  return topic.startsWith('__')
    ? [`${topic} is a topic of Kafka itself: nobody but Kafka should write or delete it`]
    : []
}
