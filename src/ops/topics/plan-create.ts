/** Plans the making of a topic: Kafka itself says beforehand whether it would. Its undo deletes the topic. */

import { kafkaErrorName } from '../../protocol/index.ts'
import type { Json } from '../change/change.ts'
import type { Change } from '../change/change.ts'
import { describeTopic, type TopicsOpen } from './look-at-topics.ts'
import { planDeleteTopic } from './plan-delete.ts'
import { damaged, memberOf } from './snapshot.ts'
import { topicProblem } from './topic-problem.ts'
import { untilTopic } from './until-topic.ts'

/** A topic to be. */
export interface CreateTopicRequest {
  readonly topic: string
  /** Default: the brokers’ `num.partitions`. */
  readonly partitionCount?: number
  /** Default: the brokers’ `default.replication.factor`. */
  readonly replicationFactor?: number
  readonly configs?: Readonly<Record<string, string>>
}

/** Plans it. */
export async function planCreateTopic(open: TopicsOpen, request: CreateTopicRequest): Promise<Change> {
  const { cluster, admin } = open
  const { topic, partitionCount, replicationFactor, configs = {} } = request
  const [checked] = await admin.createTopics([request], { isValidateOnly: true })
  const problem = checked === undefined || checked.errorCode === 0 ? [] : [topicProblem(cluster, topic, checked)]
  const effects = [
    { what: 'topic', before: '', after: topic },
    {
      what: 'partitions',
      before: '',
      after: partitionCount === undefined ? 'as the brokers have it' : String(partitionCount)
    },
    {
      what: 'replicas',
      before: '',
      after: replicationFactor === undefined ? 'as the brokers have it' : String(replicationFactor)
    },
    ...Object.entries(configs).map(([name, value]) => ({ what: name, before: '', after: value }))
  ]
  return {
    plan: {
      kind: 'topics-create',
      confirmWord: topic,
      summary: `Topic ${topic} is made.`,
      effects,
      warnings: warningsOf(request, cluster.brokers().length),
      blockers: problem,
      undo: { kind: 'possible' }
    },
    snapshot: { topic },
    apply: async context => {
      const [created] = await admin.createTopics([request])
      if (created === undefined || created.errorCode !== 0) {
        const failure = created === undefined ? `${topic}: no answer` : topicProblem(cluster, topic, created)
        return { isComplete: false, summary: `Topic ${topic} was not made.`, failures: [failure] }
      }
      context.onProgress?.(`${topic} is made; waiting for its leaders`)
      const isReady = await untilTopic(cluster, topic, { isThere: true, ...context })
      const summary = `Topic ${topic} was made${isReady ? '' : ', but not every partition has a leader yet'}.`
      return { isComplete: true, summary, failures: [] }
    }
  }
}

function warningsOf(
  { partitionCount, replicationFactor, configs = {} }: CreateTopicRequest,
  brokers: number
): string[] {
  const warnings: string[] = []
  if (brokers > 1 && replicationFactor === 1) warnings.push('one replica: while its broker is away a partition is, too')
  const minimum = Number(configs['min.insync.replicas'] ?? 1)
  if (replicationFactor !== undefined && minimum >= replicationFactor && replicationFactor > 1) {
    warnings.push('min.insync.replicas is the number of replicas: one broker away stops every producer with acks=all')
  }
  if (partitionCount !== undefined && partitionCount > 1000) {
    warnings.push('more than a thousand partitions: look at comporta partitions plan')
  }
  return warnings
}

/**
 * Takes a making back: the topic is deleted, with what was written since. Where it is not there, nothing is done. One
 * that has ever had records, or is read by a group, may be somebody else's, who was faster: that is a conflict.
 *
 * @throws PipelineError `ERR_OPS_UNDO_DAMAGED`.
 */
export async function undoCreateTopic(snapshot: Json, open: TopicsOpen): Promise<Change> {
  const topic = memberOf(snapshot, 'topic')
  if (typeof topic !== 'string' || topic === '') throw damaged('it names no topic')
  const { topics } = await open.admin.describeTopics([topic])
  if (kafkaErrorName(topics[0]?.errorCode ?? 0) === 'UNKNOWN_TOPIC_OR_PARTITION') return nothingToDelete(topic)
  const [change, { partitions, groups }] = await Promise.all([planDeleteTopic(open, topic), describeTopic(open, topic)])
  // Somebody has used the topic since: that is more than the change had made.
  const conflicts = [
    ...(partitions.some(({ highWatermark }) => highWatermark > 0n)
      ? [`${topic} has had records since it was made: they would be lost`]
      : []),
    ...(groups.length > 0 ? [`${topic} is read by ${groups.slice(0, 10).join(', ')}`] : [])
  ]
  return { ...change, plan: { ...change.plan, conflicts }, apply: context => change.apply(context) }
}

function nothingToDelete(topic: string): Change {
  const summary = `There is no topic ${topic}: nothing changes.`
  return {
    plan: {
      kind: 'topics-delete',
      confirmWord: topic,
      summary,
      effects: [],
      warnings: [],
      blockers: [],
      undo: { kind: 'possible' }
    },
    snapshot: undefined,
    apply: () => Promise.resolve({ isComplete: true, summary, failures: [] })
  }
}
