/** From a cluster to the plan of a topic: looks twice, samples keys, counts replicas, and lets the planner decide. */

import { Admin, type Cluster } from '../../client/index.ts'
import { sleep } from '../../core/index.ts'
import { type KeyMovement, keyMovement, keyText } from './key-movement.ts'
import type { ClusterProfile } from './msk-limits.ts'
import { judgeNeed, type NeedVerdict, type PartitionLoad } from './need.ts'
import { type ClusterFacts, type PartitionFacts, type PartitionPlan, planPartitions } from './plan.ts'
import { hotKeyShareOf, type KeySample } from './sample-keys.ts'
import {
  latestWarning,
  readerOf,
  readTopicFacts,
  rebalanceText,
  sampleTopicKeys,
  type TopicFacts,
  type TopicReader,
  topicWarnings
} from './topic-facts.ts'

/** What is asked, and what is known better than it can be measured. Rates in records per second. */
export interface TopicPlanRequest {
  readonly cluster: Cluster
  readonly topic: string
  /** Default: the group with the largest lag. */
  readonly groupId?: string
  /** How long is looked, in milliseconds. Default 15,000. */
  readonly observeMs?: number
  /** Count whose key movement is shown. Default: the recommended one, twice today's if none is recommended. */
  readonly to?: number
  readonly profile?: ClusterProfile
  readonly brokerType?: string
  /** Default: what comes now. */
  readonly peakIn?: number
  readonly perPartitionIn?: number
  /** Default: what the best partition gives that is behind while it is looked at. */
  readonly perPartitionOut?: number
  readonly perConsumer?: number
  /** Default 0: no wish. */
  readonly consumersWanted?: number
  /** Default 600. */
  readonly targetDrainSeconds?: number
  /** Default 1.5. */
  readonly growth?: number
  readonly targetRate?: number
  readonly consumerCpu?: number
  readonly didMoreConsumersHelp?: boolean
  /** Records of each partition that are sampled for keys. Default 1,000; 0 = no sample. */
  readonly sampleRecords?: number
}

/** The plan of a topic and all that it rests on. */
export interface TopicPlan {
  readonly plan: PartitionPlan
  readonly need: NeedVerdict
  readonly movement: KeyMovement
  readonly facts: PartitionFacts
  readonly loads: readonly PartitionLoad[]
  /** The group that the plan is for; `undefined` = nobody reads the topic. */
  readonly groupId: string | undefined
  /** All groups that read the topic. */
  readonly groups: readonly {
    readonly groupId: string
    readonly state: string
    readonly members: number
    readonly rebalance: string
  }[]
  readonly warnings: readonly string[]
}

/**
 * Plans one topic.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND` if there is no such topic, `ERR_OPS_REFUSED` if it cannot be read.
 */
export async function planTopicPartitions(request: TopicPlanRequest): Promise<TopicPlan> {
  const { cluster, topic, observeMs = 15_000, sampleRecords = 1000 } = request
  const admin = new Admin(cluster)
  const first = await readTopicFacts(cluster, admin, topic)
  await sleep(cluster.clock, observeMs)
  const seen = await readTopicFacts(cluster, admin, topic)
  const sample: KeySample =
    sampleRecords === 0 ? NO_SAMPLE : await sampleTopicKeys(cluster, seen, { perPartition: sampleRecords })
  const reader = readerOf(first, seen, request.groupId)
  const facts = factsOf(request, { seen, sample, reader, cluster: await clusterFacts(admin, request, seen) })
  const plan = planPartitions(facts)
  const to = request.to ?? (plan.recommended > plan.partitions ? plan.recommended : plan.partitions * 2)
  const consumers = reader?.members ?? 0
  const { consumerCpu, didMoreConsumersHelp } = request
  const { hotKeyShare } = facts
  return {
    plan,
    need: judgeNeed({ partitions: reader?.loads ?? [], consumers, consumerCpu, didMoreConsumersHelp, hotKeyShare }),
    movement: keyMovement(sample.keys, plan.partitions, to),
    facts,
    loads: reader?.loads ?? [],
    groupId: reader?.groupId,
    groups: seen.groups.map(group => ({
      groupId: group.groupId,
      state: group.state,
      members: group.members?.length ?? 0,
      rebalance: rebalanceText(group)
    })),
    warnings: [
      ...topicWarnings(seen),
      ...latestWarning(seen),
      ...(request.peakIn === undefined ? ['the rate of now stands for the peak: give --peak if it is higher'] : []),
      ...(sample.isComplete ? [] : ['the sample of keys is not complete'])
    ]
  }
}

const NO_SAMPLE: KeySample = { keys: [], records: 0, recordsWithoutKey: 0, recordBytes: undefined, isComplete: true }

interface Gathered {
  readonly seen: TopicFacts
  readonly sample: KeySample
  readonly reader: TopicReader | undefined
  readonly cluster: ClusterFacts
}

function factsOf(request: TopicPlanRequest, { seen, sample, reader, cluster }: Gathered): PartitionFacts {
  const loads = reader?.loads ?? []
  const arrival = loads.reduce((sum, { arrivalRate = 0 }) => sum + arrivalRate, 0)
  // Only a partition with a backlog gives all that it can; any other gives what comes.
  const best = Math.max(0, ...loads.filter(({ isBehind }) => isBehind === true).map(each => each.serviceRate ?? 0))
  const keepsUp = loads.length > 0 && loads.every(({ isBehind }) => isBehind === false)
  const [hottest] = sample.keys
  return {
    topic: seen.topic,
    partitions: seen.partitionCount,
    replicationFactor: seen.replicationFactor,
    isCompacted: seen.isCompacted,
    peakIn: request.peakIn ?? arrival,
    perPartitionIn: request.perPartitionIn,
    perPartitionOut: request.perPartitionOut ?? (best > 0 ? best : undefined),
    isPerPartitionMeasured: request.perPartitionOut === undefined && best > 0,
    keepsUpAt: keepsUp ? arrival : undefined,
    recordBytes: sample.recordBytes,
    consumersWanted: request.consumersWanted ?? 0,
    consumers: reader?.members ?? 0,
    perConsumer: request.perConsumer,
    backlog: loads.reduce((sum, { lag }) => sum + lag, 0),
    targetDrainSeconds: request.targetDrainSeconds ?? 600,
    growth: request.growth ?? 1.5,
    hotKeyShare: hotKeyShareOf(sample),
    hotKey: hottest === undefined ? undefined : keyText(hottest.key),
    targetRate: request.targetRate,
    consumerCpu: request.consumerCpu,
    cluster
  }
}

async function clusterFacts(admin: Admin, request: TopicPlanRequest, seen: TopicFacts): Promise<ClusterFacts> {
  const { profile = 'self', brokerType } = request
  const { topics } = await admin.listTopics()
  const sum = (of: (replicas: readonly number[]) => number): number =>
    topics.reduce(
      (total, { partitions }) => total + partitions.reduce((each, { replicas }) => each + of(replicas), 0),
      0
    )
  if (profile !== 'serverless')
    return {
      profile,
      brokerType,
      brokers: seen.scan.brokers.length,
      replicas: sum(replicas => replicas.length),
      compacted: 0
    }
  const described = await admin.describeConfigs(topics.map(({ topic }) => ({ type: 'topic' as const, name: topic })))
  const compacted = new Set(
    described.flatMap(({ name, entries }) =>
      entries.some(entry => entry.name === 'cleanup.policy' && entry.value?.includes('compact') === true) ? [name] : []
    )
  )
  return {
    profile,
    brokerType,
    brokers: seen.scan.brokers.length,
    replicas: sum(() => 1),
    compacted: topics.reduce(
      (total, { topic, partitions }) => total + (compacted.has(topic) ? partitions.length : 0),
      0
    )
  }
}
