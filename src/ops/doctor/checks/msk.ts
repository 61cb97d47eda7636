/** Checks against the limits of Amazon MSK, and of clusters in general: partitions for each broker. */

import {
  brokerLimit,
  EXPRESS_PARTITION_MB,
  SERVERLESS_COMPACTED_MAX,
  SERVERLESS_LEADERS_MAX
} from '../../partitions/msk-limits.ts'
import type { DoctorFacts, PipelineFact } from '../facts.ts'
import { cannotSay, type DoctorCheck, type Found } from '../finding.ts'

const partitionCount: DoctorCheck = {
  id: 'partitions-per-broker',
  area: 'msk',
  sentence: 'More partitions on a broker than its size is for (Amazon MSK’s numbers; 4,000 elsewhere).',
  find({ metadata, profile }) {
    if (!profile.isKnown) return [cannotSay('The kind of the cluster is not known', profile.reason)]
    const { profile: kind, instanceType } = profile.value
    if (kind === 'serverless') return []
    const limit = brokerLimit(kind, instanceType)
    if (limit === undefined) {
      return [
        cannotSay(
          'The size of the MSK brokers is not known',
          'name the cluster: --msk-arn, with the right kafka:DescribeClusterV2'
        )
      ]
    }
    const counts = metadata.brokers.map(({ nodeId }) => ({
      nodeId,
      count: metadata.topics.reduce(
        (sum, { partitions }) => sum + partitions.filter(({ replicas }) => replicas.includes(nodeId)).length,
        0
      )
    }))
    const most = counts.reduce((max, { count }) => Math.max(max, count), 0)
    if (most <= limit.recommended) return []
    return [
      {
        severity: most > limit.max ? 'error' : 'warn',
        title: `a broker has ${most} partition replicas, more than the ${limit.recommended} that are recommended`,
        reason:
          kind === 'self'
            ? 'Each costs memory, open files, and time of a failover.'
            : `Above ${limit.max} MSK refuses changes of configuration, version and size.`,
        fix: 'Fewer partitions in new topics, more brokers, or larger ones.',
        evidence: counts.map(({ nodeId, count }) => `broker ${nodeId}: ${count}`)
      }
    ]
  }
}

/** Settings of topics that MSK Serverless takes. */
const SERVERLESS_SETTINGS: ReadonlySet<string> = new Set([
  'cleanup.policy',
  'compression.type',
  'max.message.bytes',
  'message.timestamp.type',
  'retention.bytes',
  'retention.ms'
])
const SERVERLESS_GROUPS_MAX = 500
const SERVERLESS_MESSAGE_MAX = 8_388_608

const serverless: DoctorCheck = {
  id: 'msk-serverless',
  area: 'msk',
  sentence:
    'What MSK Serverless refuses, or is near to: settings of topics, sign-on, numbers of partitions and groups.',
  find(facts) {
    const { profile, metadata, scan, pipeline, topicConfigs } = facts
    if (!profile.isKnown || profile.value.profile !== 'serverless') return []
    const leaders = metadata.topics.reduce((sum, { partitions }) => sum + partitions.length, 0)
    const compacted = !topicConfigs.isKnown
      ? 0
      : metadata.topics
          .filter(({ topic }) => topicConfigs.value.get(topic)?.get('cleanup.policy')?.includes('compact') === true)
          .reduce((sum, { partitions }) => sum + partitions.length, 0)
    const quotas = [
      ['partitions', leaders, SERVERLESS_LEADERS_MAX],
      ['partitions of compacted topics', compacted, SERVERLESS_COMPACTED_MAX],
      ['groups', scan.groups.length, SERVERLESS_GROUPS_MAX]
    ] as const
    const near = quotas.filter(([, count, most]) => count > most * 0.8)
    const found: Found[] = []
    if (near.length > 0) {
      found.push({
        severity: near.some(([, count, most]) => count >= most) ? 'error' : 'warn',
        title: 'a quota of MSK Serverless is almost used up',
        reason: 'What goes above it is refused.',
        fix: 'Delete what is not used, ask AWS for more, or use a provisioned cluster.',
        evidence: near.map(([name, count, most]) => `${name}: ${count} of ${most}`)
      })
    }
    return pipeline === undefined ? found : [...found, ...refusedSettings(pipeline)]
  }
}

function refusedSettings({ kafka, topics, producer }: PipelineFact): Found[] {
  const evidence = Object.entries(topics).flatMap(([topic, { config, replicationFactor }]) => [
    ...Object.entries(config).flatMap(([name, value]) => {
      if (!SERVERLESS_SETTINGS.has(name)) return [`topics.${topic}.config.${name}`]
      const isTooLarge = name === 'max.message.bytes' && Number(value) > SERVERLESS_MESSAGE_MAX
      return isTooLarge ? [`topics.${topic}.config.max.message.bytes above 8 MiB`] : []
    }),
    ...(replicationFactor === -1 || replicationFactor === 3
      ? []
      : [`topics.${topic}.replicationFactor: always 3 there`])
  ])
  if (kafka.sasl?.mechanism !== 'AWS_MSK_IAM') evidence.push('kafka.sasl: IAM is the only sign-on there')
  if (producer?.rate?.shared?.type === 'quota') evidence.push('producer.rate.shared: quotas cannot be set there')
  if (evidence.length === 0) return []
  return [
    {
      severity: 'error',
      title: 'MSK Serverless refuses settings of the pipeline file',
      reason: 'Topics with them are not created, connections without IAM end at once.',
      fix:
        'Leave them out; of topics only cleanup.policy, compression.type, max.message.bytes, ' +
        'message.timestamp.type and retention can be set.',
      evidence
    }
  ]
}

const express: DoctorCheck = {
  id: 'msk-express',
  area: 'msk',
  sentence: 'What Express brokers of MSK fix: three replicas, min.insync.replicas 2, 15 MB/s for each partition.',
  find({ profile, pipeline }: DoctorFacts) {
    if (!profile.isKnown || profile.value.profile !== 'express' || pipeline === undefined) return []
    const evidence = Object.entries(pipeline.topics).flatMap(([topic, { config, replicationFactor, partitions }]) => {
      const least = config['min.insync.replicas']
      const rate = pipeline.producer?.rate?.topics[topic]?.bytesPerSecond
      const most = partitions * EXPRESS_PARTITION_MB * 1_000_000
      return [
        ...(replicationFactor === -1 || replicationFactor === 3
          ? []
          : [`topics.${topic}.replicationFactor: always 3 there`]),
        ...(least === undefined || Number(least) === 2
          ? []
          : [`topics.${topic}.config.min.insync.replicas: always 2 there`]),
        ...(rate !== undefined && rate > most
          ? [`producer.rate.topics.${topic}: ${rate} B/s, ${partitions} partitions take ${most}`]
          : [])
      ]
    })
    if (evidence.length === 0) return []
    return [
      {
        severity: 'warn',
        title: 'settings of the pipeline file do not count on Express brokers',
        reason: 'Amazon sets them itself, or holds the rate.',
        fix: 'Leave them out, or plan more partitions.',
        evidence
      }
    ]
  }
}

/** All checks of quotas. */
export const mskChecks: readonly DoctorCheck[] = [partitionCount, serverless, express]
