/** Checks of topics and partitions: replicas, leaders, load, settings. */

import type { PartitionMetadata, TopicMetadata } from '../../../client/index.ts'
import { perCent } from '../../slo/words.ts'
import { type DoctorFacts, partitionAt, type Settings } from '../facts.ts'
import { cannotSay, type DoctorCheck, evidenceOf, type Found } from '../finding.ts'
import { hotPartitionsOf } from '../hot-partition.ts'

const REPLICAS = 3

function ownTopics({ metadata }: DoctorFacts): readonly TopicMetadata[] {
  return metadata.topics.filter(({ isInternal }) => !isInternal)
}

function replicasOf({ partitions }: TopicMetadata): number {
  return partitions.reduce((least, { replicas }) => Math.min(least, replicas.length), Number.POSITIVE_INFINITY)
}

const replicationFactor: DoctorCheck = {
  id: 'replication-factor',
  area: 'topics',
  sentence: 'Topics with fewer than three replicas.',
  find(facts) {
    const brokers = facts.metadata.brokers.length
    const few = ownTopics(facts).filter(topic => replicasOf(topic) < REPLICAS)
    if (few.length === 0) return []
    const evidence = few.map(topic => `${topic.topic}: ${replicasOf(topic)}`)
    if (brokers < REPLICAS) {
      return [
        {
          severity: 'info',
          title: `a cluster of ${brokers} ${brokers === 1 ? 'broker' : 'brokers'} keeps fewer than three replicas`,
          reason: 'A broker that fails takes records with it. For development that is all right.',
          fix: 'For production: three brokers or more, replication.factor=3, min.insync.replicas=2.',
          evidence
        }
      ]
    }
    const isAlone = few.some(topic => replicasOf(topic) === 1)
    return [
      {
        severity: isAlone ? 'error' : 'warn',
        title: `${few.length} topics have fewer than three replicas`,
        reason:
          'With one replica every restart of a broker is an outage and every lost disk is lost ' +
          'data; with two, a restart leaves no spare.',
        fix: 'Reassign them with three replicas (kafka-reassign-partitions), and set default.replication.factor=3.',
        evidence
      }
    ]
  }
}

const minInSync: DoctorCheck = {
  id: 'min-insync-replicas',
  area: 'topics',
  sentence:
    'min.insync.replicas of 1, with which acks=all waits for the leader alone; or as many as there are replicas.',
  find(facts) {
    if (!facts.topicConfigs.isKnown) return [cannotSay('Settings of topics are not known', facts.topicConfigs.reason)]
    const weak: string[] = []
    const stiff: string[] = []
    for (const topic of ownTopics(facts)) {
      const least = numberOf(facts.topicConfigs.value.get(topic.topic), 'min.insync.replicas')
      const replicas = replicasOf(topic)
      if (least === undefined || replicas < 2) continue
      if (least === 1) weak.push(`${topic.topic}: 1 of ${replicas}`)
      else if (least >= replicas) stiff.push(`${topic.topic}: ${least} of ${replicas}`)
    }
    const found: Found[] = []
    if (weak.length > 0) {
      found.push({
        severity: 'warn',
        title: `min.insync.replicas is 1 for ${weak.length} topics`,
        reason:
          'acks=all then means "the leader has it" while followers are behind: if it fails, ' +
          'records that were acknowledged are gone.',
        fix: 'comporta topics alter --config min.insync.replicas=2, for topics with three replicas.',
        evidence: weak
      })
    }
    if (stiff.length > 0) {
      found.push({
        severity: 'warn',
        title: `${stiff.length} topics need every replica for a write`,
        reason: 'One broker that restarts, and producers with acks=all are refused with NOT_ENOUGH_REPLICAS.',
        fix: 'Keep min.insync.replicas one below the replication factor.',
        evidence: stiff
      })
    }
    return found
  }
}

function numberOf(settings: Settings | undefined, name: string): number | undefined {
  const text = settings?.get(name)
  const value = text === undefined || text === '' ? Number.NaN : Number(text)
  return Number.isNaN(value) ? undefined : value
}

function eachPartition(topics: readonly TopicMetadata[]): (PartitionMetadata & { readonly topic: string })[] {
  return topics.flatMap(({ topic, partitions }) => partitions.map(each => ({ topic, ...each })))
}

const offline: DoctorCheck = {
  id: 'offline-partitions',
  area: 'topics',
  sentence: 'Partitions without a leader.',
  find({ metadata }) {
    const alone = eachPartition(metadata.topics).filter(({ leaderId }) => leaderId < 0)
    if (alone.length === 0) return []
    return [
      {
        severity: 'error',
        title: `${alone.length} partitions have no leader`,
        reason: 'Nothing can be written there or read: all brokers with an in-sync replica are away.',
        fix: 'Bring the brokers of their replicas back. Unclean election is the last resort, and loses records.',
        evidence: alone.map(
          ({ topic, partition, replicas }) => `${topic}-${partition}: replicas ${replicas.join(', ')}`
        )
      }
    ]
  }
}

const underReplicated: DoctorCheck = {
  id: 'under-replicated',
  area: 'topics',
  sentence: 'Partitions whose followers are behind or away.',
  find(facts) {
    const behind = eachPartition(facts.metadata.topics).filter(
      ({ replicas, inSyncReplicas, leaderId }) => leaderId >= 0 && inSyncReplicas.length < replicas.length
    )
    if (behind.length === 0) return []
    const configs = facts.topicConfigs.isKnown ? facts.topicConfigs.value : new Map<string, Settings>()
    const refused = behind.filter(
      each => each.inSyncReplicas.length < (numberOf(configs.get(each.topic), 'min.insync.replicas') ?? 1)
    )
    return [
      {
        severity: refused.length > 0 ? 'error' : 'warn',
        title: `${behind.length} partitions lack replicas in sync`,
        reason:
          refused.length > 0
            ? `${refused.length} of them are below min.insync.replicas: producers with acks=all are refused.`
            : 'The next broker that fails may take the last copy.',
        fix: 'Look for a broker that is away, a full disk, or a network that is too slow for followers.',
        evidence: behind.map(
          ({ topic, partition, replicas, inSyncReplicas }) =>
            `${topic}-${partition}: in sync ${inSyncReplicas.join(', ') || 'none'} of ${replicas.join(', ')}`
        )
      }
    ]
  }
}

/** Source: Kafka `leader.imbalance.per.broker.percentage`. */
const IMBALANCE = 0.1

const leaders: DoctorCheck = {
  id: 'leader-imbalance',
  area: 'topics',
  sentence: 'Leaders that are not the preferred replica, or that gather on few brokers.',
  find(facts) {
    const brokers = facts.metadata.brokers
    const led = eachPartition(facts.metadata.topics).filter(
      ({ leaderId, replicas }) => leaderId >= 0 && replicas.length > 0
    )
    if (brokers.length < 2 || led.length === 0) return []
    const found: Found[] = []
    const strayed = led.filter(({ leaderId, replicas }) => leaderId !== replicas[0])
    if (strayed.length / led.length > IMBALANCE) {
      found.push({
        severity: 'warn',
        title: `${strayed.length} of ${led.length} leaders are not the preferred replica`,
        reason: 'After a restart leaders stay where they fled to: some brokers do the work of others.',
        fix: 'kafka-leader-election --election-type preferred, or auto.leader.rebalance.enable=true.',
        evidence: strayed.map(
          ({ topic, partition, leaderId, replicas }) => `${topic}-${partition}: ${leaderId}, not ${replicas[0] ?? ''}`
        )
      })
    }
    const counts = brokers.map(({ nodeId }) => ({
      nodeId,
      count: led.filter(({ leaderId }) => leaderId === nodeId).length
    }))
    const most = counts.reduce((max, { count }) => Math.max(max, count), 0)
    const mean = led.length / brokers.length
    if (led.length >= brokers.length * 4 && most > mean * 1.5) {
      found.push({
        severity: 'warn',
        title: 'leaders are spread unevenly over the brokers',
        reason:
          `The busiest leads ${most} partitions, ${perCent(most / mean - 1)} above the mean: it is ` +
          'the bottleneck of all.',
        fix: 'Reassign partitions (Cruise Control, kafka-reassign-partitions), new topics spread by themselves.',
        evidence: counts.map(({ nodeId, count }) => `broker ${nodeId}: ${count} leaders`)
      })
    }
    return found
  }
}

const hotPartition: DoctorCheck = {
  id: 'hot-partition',
  area: 'topics',
  sentence: 'A partition that gets, or keeps, at least twice its share of the records of its topic.',
  find({ scan, later }) {
    return [...scan.topics.values()].flatMap(({ topic, isInternal, partitions }): Found[] => {
      if (isInternal || partitions.length < 2) return []
      const after = later.isKnown ? later.value.topics.get(topic) : undefined
      const counts = partitions.map(({ partition, highWatermark, logStartOffset }) => {
        const end = partitionAt(after, partition)?.highWatermark ?? highWatermark
        return {
          partition,
          fresh: end > highWatermark ? end - highWatermark : 0n,
          kept: highWatermark > logStartOffset ? highWatermark - logStartOffset : 0n
        }
      })
      const { isFresh, hot } = hotPartitionsOf(counts)
      const [hottest] = hot
      if (hottest === undefined) return []
      return [
        {
          severity: isFresh ? 'warn' : 'info',
          title:
            `${topic}-${hottest.partition} ${isFresh ? 'gets' : 'keeps'} ${perCent(hottest.share)} of the ` +
            `records of ${topic}`,
          reason:
            `A fair share is ${perCent(1 / partitions.length)}. One consumer carries it, however ` +
            'many there are: neither more consumers nor more partitions help a hot key.',
          fix: 'Find the keys (comporta doctor --sample), and split them: producer.route.split, or a finer key.',
          evidence: evidenceOf(
            counts.map(({ partition, fresh, kept }) =>
              isFresh ? `${topic}-${partition}: ${fresh} new` : `${topic}-${partition}: ${kept} kept`
            )
          )
        }
      ]
    })
  }
}

const segments: DoctorCheck = {
  id: 'segment-retention',
  area: 'topics',
  sentence: 'Segments that are longer than retention, so that records are deleted late.',
  find(facts) {
    if (!facts.topicConfigs.isKnown) return [cannotSay('Settings of topics are not known', facts.topicConfigs.reason)]
    const late: string[] = []
    for (const { topic } of ownTopics(facts)) {
      const settings = facts.topicConfigs.value.get(topic)
      if (settings?.get('cleanup.policy')?.includes('delete') !== true) continue
      const segmentMs = numberOf(settings, 'segment.ms')
      const retentionMs = numberOf(settings, 'retention.ms')
      if (segmentMs !== undefined && retentionMs !== undefined && retentionMs >= 0 && segmentMs > retentionMs) {
        late.push(`${topic}: segment.ms ${segmentMs} above retention.ms ${retentionMs}`)
      }
      const segmentBytes = numberOf(settings, 'segment.bytes')
      const retentionBytes = numberOf(settings, 'retention.bytes')
      if (
        segmentBytes !== undefined &&
        retentionBytes !== undefined &&
        retentionBytes >= 0 &&
        segmentBytes > retentionBytes
      ) {
        late.push(`${topic}: segment.bytes ${segmentBytes} above retention.bytes ${retentionBytes}`)
      }
    }
    if (late.length === 0) return []
    return [
      {
        severity: 'warn',
        title: `${late.length} settings keep records longer than retention says`,
        reason:
          'Kafka deletes whole segments, once their newest record has expired: a segment that is ' +
          'longer than retention keeps its oldest records for both times together, and disks fill ' +
          'up.',
        fix: 'Make segment.ms and segment.bytes a fifth of the retention or less.',
        evidence: late
      }
    ]
  }
}

const unclean: DoctorCheck = {
  id: 'unclean-leader-election',
  area: 'topics',
  sentence: 'Topics in which a replica that lacks records may become leader.',
  find(facts) {
    if (!facts.topicConfigs.isKnown) return [cannotSay('Settings of topics are not known', facts.topicConfigs.reason)]
    const { value } = facts.topicConfigs
    const open = ownTopics(facts).filter(
      ({ topic }) => value.get(topic)?.get('unclean.leader.election.enable') === 'true'
    )
    if (open.length === 0) return []
    return [
      {
        severity: 'warn',
        title: `${open.length} topics allow unclean leader election`,
        reason:
          'When all in-sync replicas are away, one that is behind takes over, and acknowledged ' +
          'records vanish without a word.',
        fix: 'Set unclean.leader.election.enable=false, unless being there counts for more than being complete.',
        evidence: open.map(({ topic }) => topic)
      }
    ]
  }
}

const internalTopics: DoctorCheck = {
  id: 'internal-topics',
  area: 'topics',
  sentence: 'Kafka’s own topics with fewer than three replicas.',
  find({ metadata }) {
    if (metadata.brokers.length < REPLICAS) return []
    const few = metadata.topics.filter(
      topic => topic.isInternal && topic.partitions.length > 0 && replicasOf(topic) < REPLICAS
    )
    if (few.length === 0) return []
    return [
      {
        severity: 'error',
        title:
          `${few.map(({ topic }) => topic).join(', ')} ${few.length === 1 ? 'has' : 'have'} fewer ` +
          'than three replicas',
        reason:
          'With them committed offsets and transactions go: a broker that is away stops groups, ' +
          'one that is lost makes them begin anew.',
        fix:
          'Set offsets.topic.replication.factor and transaction.state.log.replication.factor to 3, ' +
          'and reassign the topics.',
        evidence: few.map(topic => `${topic.topic}: ${replicasOf(topic)}`)
      }
    ]
  }
}

/** All checks of topics. */
export const topicChecks: readonly DoctorCheck[] = [
  replicationFactor,
  minInSync,
  offline,
  underReplicated,
  leaders,
  hotPartition,
  segments,
  unclean,
  internalTopics
]
