/** What Kafka's refusals about topics mean, with the remedy; Amazon MSK has limits of its own. */

import type { AdminResult, Cluster } from '../../client/index.ts'

/** Whether the brokers are those of Amazon MSK. */
export function isMsk(cluster: Cluster): boolean {
  return cluster
    .brokers()
    .some(({ host }) => /\.kafka(?:-serverless)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?$/.test(host))
}

const MSK: Readonly<Record<string, string>> = {
  TOPIC_AUTHORIZATION_FAILED: 'with IAM the actions are kafka-cluster:CreateTopic, AlterTopic, DeleteTopic',
  CLUSTER_AUTHORIZATION_FAILED: 'with IAM the actions are kafka-cluster:CreateTopic, AlterTopic, DeleteTopic',
  INVALID_REPLICATION_FACTOR: 'MSK Serverless and Express have replication factor 3 only',
  INVALID_CONFIG:
    'MSK Serverless lets only cleanup.policy (when created), compression.type, max.message.bytes, ' +
    'message.timestamp.type and retention.* be set; segment.bytes not',
  POLICY_VIOLATION: 'MSK Serverless has 2400 leaders of partitions, 120 of them compacted',
  THROTTLING_QUOTA_EXCEEDED: 'MSK Serverless creates 250 partitions in five minutes, and takes 2 such requests a second'
}

const REMEDIES: Readonly<Record<string, string>> = {
  TOPIC_ALREADY_EXISTS: 'choose another name, or look at it: comporta topics describe',
  UNKNOWN_TOPIC_OR_PARTITION: 'there is no such topic',
  TOPIC_AUTHORIZATION_FAILED: 'the right is missing: CREATE, ALTER_CONFIGS or DELETE on the topic',
  CLUSTER_AUTHORIZATION_FAILED: 'the right is missing: CREATE, ALTER or DELETE on the cluster or the topic',
  TOPIC_DELETION_DISABLED: 'the brokers have delete.topic.enable=false',
  REQUEST_TIMED_OUT: 'the controller did not finish in time; look again in a moment'
}

/** One sentence: what, Kafka's word and text, the remedy. */
export function topicProblem(cluster: Cluster, what: string, result: AdminResult): string {
  const { errorName, errorMessage } = result
  const brokers = cluster.brokers().length
  const remedy =
    errorName === 'INVALID_REPLICATION_FACTOR'
      ? `the cluster has ${brokers} broker${brokers === 1 ? '' : 's'}`
      : REMEDIES[errorName]
  const parts = [remedy, isMsk(cluster) ? MSK[errorName] : undefined].filter(part => part !== undefined)
  const text = errorMessage === null || errorMessage === '' ? '' : `: ${errorMessage.replace(/\.$/, '')}`
  return `${what}: ${errorName}${text}${parts.length === 0 ? '' : ` (${parts.join('; ')})`}`
}
