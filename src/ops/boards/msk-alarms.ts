/**
 * Alarms on Amazon MSK's own metrics, with the thresholds that AWS recommends.
 * Source: Amazon MSK developer guide, "Best practices" and "Monitoring".
 */

import type { Severity } from '../slo/burn-rates.ts'
import { actionsOf, type CloudFormationResource } from './cloudformation.ts'
import type { BoardSettings } from './settings.ts'

interface MskRule {
  readonly id: string
  readonly metric: string
  readonly severity: Severity
  readonly what: string
  readonly statistic: 'Sum' | 'Maximum' | 'Average' | 'Minimum'
  readonly comparison: 'GreaterThanThreshold' | 'GreaterThanOrEqualToThreshold' | 'LessThanThreshold'
  readonly threshold: number
  /** Periods of five minutes in a row. */
  readonly periods: number
}

const PERIOD_SECONDS = 300
const above = 'GreaterThanThreshold'
const atLeast = 'GreaterThanOrEqualToThreshold'
const below = 'LessThanThreshold'

/** Metrics of each broker: dimensions `Cluster Name` and `Broker ID`. */
const BROKER_RULES: readonly MskRule[] = [
  {
    id: 'Disk',
    metric: 'KafkaDataLogsDiskUsed',
    severity: 'page',
    what: 'more than 85 % of the data volume is used: expand it, or lower retention',
    statistic: 'Maximum',
    comparison: above,
    threshold: 85,
    periods: 1
  },
  {
    id: 'UnderReplicated',
    metric: 'UnderReplicatedPartitions',
    severity: 'ticket',
    what: 'partitions are under-replicated for 15 minutes: a broker is away, or too slow',
    statistic: 'Maximum',
    comparison: above,
    threshold: 0,
    periods: 3
  },
  {
    id: 'UnderMinIsr',
    metric: 'UnderMinIsrPartitionCount',
    severity: 'page',
    what: 'partitions have fewer in-sync replicas than they need: producers with acks=all are refused',
    statistic: 'Maximum',
    comparison: atLeast,
    threshold: 1,
    periods: 1
  },
  {
    id: 'HandlersBusy',
    metric: 'RequestHandlerAvgIdlePercent',
    severity: 'ticket',
    what: 'request handlers are idle for less than 30 %: the broker is at its limit',
    statistic: 'Average',
    comparison: below,
    threshold: 0.3,
    periods: 3
  },
  {
    id: 'Heap',
    metric: 'HeapMemoryAfterGC',
    severity: 'ticket',
    what: 'more than 60 % of the heap is used after garbage collection',
    statistic: 'Maximum',
    comparison: above,
    threshold: 60,
    periods: 3
  },
  {
    id: 'ConnectionRate',
    metric: 'ConnectionCreationRate',
    severity: 'ticket',
    what: '80 or more new connections a second: IAM refuses from 100 on. Somebody reconnects in a loop',
    statistic: 'Maximum',
    comparison: atLeast,
    threshold: 80,
    periods: 1
  }
]

/** Metrics of the cluster: dimension `Cluster Name`. */
const CLUSTER_RULES: readonly MskRule[] = [
  {
    id: 'OfflinePartitions',
    metric: 'OfflinePartitionsCount',
    severity: 'page',
    what: 'partitions have no leader: they can neither be read nor written',
    statistic: 'Maximum',
    comparison: above,
    threshold: 0,
    periods: 1
  },
  {
    id: 'NoController',
    metric: 'ActiveControllerCount',
    severity: 'page',
    what: 'there is no active controller',
    statistic: 'Maximum',
    comparison: below,
    threshold: 1,
    periods: 1
  }
]

const CLUSTER = { Name: 'Cluster Name', Value: { Ref: 'ClusterName' } } as const

/** Alarms of a cluster whose brokers are 1 to `brokers`, and of the lag of objectives as MSK sees it. */
export function mskAlarms(settings: BoardSettings, brokers: number): Record<string, CloudFormationResource> {
  const alarms: Record<string, CloudFormationResource> = {}
  for (const rule of CLUSTER_RULES) alarms[`Msk${rule.id}`] = alarm(`Msk${rule.id}`, rule, [CLUSTER])
  for (let broker = 1; broker <= brokers; broker += 1) {
    const dimensions = [CLUSTER, { Name: 'Broker ID', Value: String(broker) }]
    for (const rule of BROKER_RULES) {
      const id = `MskBroker${broker}${rule.id}`
      alarms[id] = alarm(id, { ...rule, what: `broker ${broker}: ${rule.what}` }, dimensions)
    }
    alarms[`MskBroker${broker}Cpu`] = cpuAlarm(broker, dimensions)
  }
  for (const [index, { group, topics = [], lagSeconds }] of settings.objectives.entries()) {
    for (const [at, topic] of topics.entries()) {
      const id = `MskLag${index + 1}Topic${at + 1}`
      const what = `oldest unread record of ${group} in ${topic} is older than the ${lagSeconds} s that are promised`
      const rule = { id, metric: 'EstimatedMaxTimeLag', severity: 'ticket', what, statistic: 'Maximum' } as const
      const dimensions = [CLUSTER, { Name: 'Consumer Group', Value: group }, { Name: 'Topic', Value: topic }]
      alarms[id] = alarm(id, { ...rule, comparison: above, threshold: lagSeconds, periods: 3 }, dimensions)
    }
  }
  return alarms
}

type Dimensions = readonly { readonly Name: string; readonly Value: unknown }[]

function alarm(id: string, rule: MskRule, dimensions: Dimensions): CloudFormationResource {
  return {
    Type: 'AWS::CloudWatch::Alarm',
    Properties: {
      ...headOf(id, rule),
      Namespace: 'AWS/Kafka',
      MetricName: rule.metric,
      Dimensions: dimensions,
      Statistic: rule.statistic,
      Period: PERIOD_SECONDS,
      ...actionsOf(rule.severity)
    }
  }
}

/** User and system time are two metrics. */
function cpuAlarm(broker: number, dimensions: Dimensions): CloudFormationResource {
  const rule: MskRule = {
    id: 'Cpu',
    metric: '',
    severity: 'ticket',
    what: `broker ${broker}: processors are in use for more than 60 %; a broker less would be too much for the others`,
    statistic: 'Average',
    comparison: above,
    threshold: 60,
    periods: 3
  }
  const metric = (Id: string, MetricName: string): unknown => ({
    Id,
    ReturnData: false,
    MetricStat: {
      Metric: { Namespace: 'AWS/Kafka', MetricName, Dimensions: dimensions },
      Period: PERIOD_SECONDS,
      Stat: 'Average'
    }
  })
  return {
    Type: 'AWS::CloudWatch::Alarm',
    Properties: {
      ...headOf(`MskBroker${broker}Cpu`, rule),
      Metrics: [
        metric('user', 'CpuUser'),
        metric('system', 'CpuSystem'),
        { Id: 'both', Expression: 'user + system', Label: 'CpuUser + CpuSystem', ReturnData: true }
      ],
      ...actionsOf(rule.severity)
    }
  }
}

function headOf(id: string, { severity, what, comparison, threshold, periods }: MskRule): Record<string, unknown> {
  return {
    AlarmName: { 'Fn::Sub': `\${AWS::StackName}-${id}` },
    AlarmDescription: `${severity}: ${what}`,
    ComparisonOperator: comparison,
    Threshold: threshold,
    EvaluationPeriods: periods,
    // A broker that tells nothing is in trouble, or in maintenance.
    TreatMissingData: 'missing'
  }
}

/** What the dashboard shows of MSK. */
export function mskWidgets(brokers: number): { title: string; metrics: unknown[][]; stat: string }[] {
  const ids = Array.from({ length: brokers }, (_, index) => String(index + 1))
  const widget = (title: string, metric: string, stat: string): ReturnType<typeof mskWidgets>[number] => ({
    title: `MSK: ${title}`,
    stat,
    metrics: ids.map(id => ['AWS/Kafka', metric, 'Cluster Name', '${ClusterName}', 'Broker ID', id])
  })
  return [
    widget('processor (user)', 'CpuUser', 'Average'),
    widget('disk used', 'KafkaDataLogsDiskUsed', 'Maximum'),
    widget('bytes in', 'BytesInPerSec', 'Average'),
    widget('bytes out', 'BytesOutPerSec', 'Average'),
    widget('under-replicated partitions', 'UnderReplicatedPartitions', 'Maximum'),
    widget('request handlers idle', 'RequestHandlerAvgIdlePercent', 'Average')
  ]
}
