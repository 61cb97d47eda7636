/**
 * Alarms and a dashboard for Amazon CloudWatch, as one CloudFormation template.
 *
 * Metrics of the pipeline are those that the embedded metric format writes (`telemetry.metrics.emf`): one CloudWatch
 * metric for each set of attributes. Alarms ask for them with Metrics Insights (`SELECT … FROM SCHEMA(…)`), so that
 * values of attributes (targets, functions) need not be known beforehand. Metrics of Amazon MSK are AWS's own.
 */

import { METRIC_CATALOGUE, type MetricName } from '../../telemetry/index.ts'
import type { AlertRule, CloudWatchRule } from './alert-types.ts'
import { actionsOf, type CloudFormationResource } from './cloudformation.ts'
import { mskAlarms, mskWidgets } from './msk-alarms.ts'
import { alertsByName, runbookAnchor } from './prometheus.ts'
import type { BoardSettings } from './settings.ts'

/** Settings beside those of all boards. */
export interface CloudWatchSettings {
  /** CloudWatch namespace of the pipeline's metrics. Default of `telemetry.metrics.emf`: `comporta`. */
  readonly namespace: string
  /** Brokers of the MSK cluster, whose ids are 1 to this; 0 = no alarms of MSK. */
  readonly mskBrokers: number
}

/** The template as JSON text. */
export function cloudFormationTemplate(settings: BoardSettings, { namespace, mskBrokers }: CloudWatchSettings): string {
  const hasMsk = mskBrokers > 0
  const topic = { Type: 'String', Default: '' }
  return `${JSON.stringify(
    {
      AWSTemplateFormatVersion: '2010-09-09',
      Description: `Alarms and dashboard of ${settings.name}, written by: comporta dashboards cloudwatch`,
      Parameters: {
        Namespace: { Type: 'String', Default: namespace, Description: 'Namespace of telemetry.metrics.emf' },
        ...(hasMsk ? { ClusterName: { Type: 'String', Description: 'Name of the MSK cluster' } } : {}),
        PageTopicArn: { ...topic, Description: 'SNS topic of alarms that wake somebody; empty = none' },
        TicketTopicArn: { ...topic, Description: 'SNS topic of alarms that can wait; empty = none' }
      },
      Conditions: {
        HasPageTopic: { 'Fn::Not': [{ 'Fn::Equals': [{ Ref: 'PageTopicArn' }, ''] }] },
        HasTicketTopic: { 'Fn::Not': [{ 'Fn::Equals': [{ Ref: 'TicketTopicArn' }, ''] }] }
      },
      Resources: {
        ...pipelineAlarms(settings),
        ...(hasMsk ? mskAlarms(settings, mskBrokers) : {}),
        Dashboard: dashboard(settings, mskBrokers)
      }
    },
    undefined,
    2
  )}\n`
}

/** Alarms on metrics of the pipeline: those alerts of Prometheus that CloudWatch can express. */
function pipelineAlarms(settings: BoardSettings): Record<string, CloudFormationResource> {
  return Object.fromEntries(
    alertsByName(settings).flatMap(alert => {
      const { cloudWatch } = alert
      return cloudWatch === undefined ? [] : [[alert.name, pipelineAlarm(alert, cloudWatch, settings)] as const]
    })
  )
}

function pipelineAlarm(alert: AlertRule, rule: CloudWatchRule, settings: BoardSettings): CloudFormationResource {
  const { name, severity } = alert
  return {
    Type: 'AWS::CloudWatch::Alarm',
    Properties: {
      AlarmName: { 'Fn::Sub': `\${AWS::StackName}-${name}` },
      AlarmDescription: `${severity}: ${plain(alert.summary)}. ${settings.runbookUrl}#${runbookAnchor(name)}`,
      ComparisonOperator: rule.comparison,
      Threshold: rule.threshold,
      EvaluationPeriods: rule.periods,
      // Nothing was counted, or nothing runs: that is for other alarms.
      TreatMissingData: 'notBreaching',
      Metrics: [
        {
          Id: 'q1',
          Label: name,
          Expression: { 'Fn::Sub': insightsQuery(rule, settings) },
          Period: rule.periodSeconds,
          ReturnData: true
        }
      ],
      ...actionsOf(severity)
    }
  }
}

/** Texts of Prometheus have templates for labels; here no label is known. */
function plain(text: string): string {
  return text.replaceAll(/\{\{ ?\$labels\.(\w+) ?\}\}/g, 'any $1').replaceAll(/\{\{[^}]*\}\}/g, '…')
}

const FUNCTIONS = { Sum: 'SUM', Maximum: 'MAX', Minimum: 'MIN', Average: 'AVG' } as const

/** Metrics Insights over all series of a metric; of the pipeline's groups, where it has some. */
function insightsQuery(rule: CloudWatchRule, { groups }: BoardSettings): string {
  const conditions = Object.entries(rule.dimensions ?? {}).map(([name, value]) => `"${name}" = ${literal(value)}`)
  if (groups.length > 0 && 'group' in METRIC_CATALOGUE[rule.metric].attributes) {
    const anyGroup = groups.map(group => `"group" = ${literal(group)}`).join(' OR ')
    conditions.push(groups.length === 1 ? anyGroup : `(${anyGroup})`)
  }
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
  return `SELECT ${FUNCTIONS[rule.statistic]}("${rule.metric}") FROM ${schemaOf(rule.metric)}${where}`
}

function schemaOf(metric: MetricName): string {
  const dimensions = ['service.name', ...Object.keys(METRIC_CATALOGUE[metric].attributes)]
  return `SCHEMA("\${Namespace}", ${dimensions.map(each => `"${each}"`).join(', ')})`
}

function literal(value: string): string {
  // `${` is a parameter of the template; what it stands for here is text.
  return `'${value.replaceAll("'", "\\'").replaceAll('${', '${!')}'`
}

interface Widget {
  readonly title: string
  readonly metrics: readonly (readonly unknown[])[]
  readonly stat?: string
}

function dashboard(settings: BoardSettings, mskBrokers: number): CloudFormationResource {
  const widgets = [...pipelineWidgets(), ...(mskBrokers > 0 ? mskWidgets(mskBrokers) : [])]
  const body = {
    widgets: widgets.map(({ title, metrics, stat = 'Average' }, index) => ({
      type: 'metric',
      x: (index % 3) * 8,
      y: Math.floor(index / 3) * 6,
      width: 8,
      height: 6,
      properties: { title, metrics, stat, view: 'timeSeries', period: 60, region: '${AWS::Region}' }
    }))
  }
  return {
    Type: 'AWS::CloudWatch::Dashboard',
    Properties: {
      DashboardName: { 'Fn::Sub': `\${AWS::StackName}-${settings.name.replaceAll(/[^A-Za-z0-9_-]/g, '-')}` },
      DashboardBody: { 'Fn::Sub': JSON.stringify(body) }
    }
  }
}

function pipelineWidgets(): Widget[] {
  const select = (title: string, [call, metric, label]: readonly [string, MetricName, string]): Widget => ({
    title,
    metrics: [
      [
        {
          id: 'q1',
          expression: `SELECT ${call}("${metric}") FROM ${schemaOf(metric)} GROUP BY "${label}"`
        }
      ]
    ]
  })
  return [
    select('Events by outcome', ['SUM', 'comporta.producer.events', 'outcome']),
    select('Records by result', ['SUM', 'comporta.dispatcher.records', 'result']),
    select('Lag in seconds', ['MAX', 'comporta.dispatcher.topic_lag_seconds', 'topic']),
    select('Lag', ['SUM', 'comporta.dispatcher.topic_lag', 'topic']),
    select('Dead letters', ['SUM', 'comporta.dispatcher.dead_letters', 'group']),
    select('Breaker open', ['MAX', 'comporta.dispatcher.breaker_open', 'target'])
  ]
}
