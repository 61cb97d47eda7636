/** What an alert rule is, whoever evaluates it. */

import type { MetricName } from '../../telemetry/index.ts'
import type { Severity } from '../slo/burn-rates.ts'

/** A rule in CloudWatch: one metric of the catalogue as the exporter for CloudWatch writes it. */
export interface CloudWatchRule {
  readonly metric: MetricName
  /** Attributes that are dimensions with a value that is known beforehand, for example `outcome`. */
  readonly dimensions?: Readonly<Record<string, string>>
  readonly statistic: 'Sum' | 'Maximum' | 'Minimum' | 'Average'
  readonly comparison: 'GreaterThanThreshold' | 'GreaterThanOrEqualToThreshold' | 'LessThanThreshold'
  readonly threshold: number
  /** Length of a period, in seconds. */
  readonly periodSeconds: number
  /** Periods in a row. */
  readonly periods: number
}

/** An alert. */
export interface AlertRule {
  /** `Comporta…`, in Pascal case: also the heading in the runbook. */
  readonly name: string
  readonly severity: Severity
  /** PromQL that is true while something is wrong. */
  readonly expression: string
  /** Time for which it has to hold, in Prometheus' notation. */
  readonly for: string
  /** One line, with Prometheus' templates for labels. */
  readonly summary: string
  /** What it means, with the value. */
  readonly description: string
  /** What to look at, for the runbook. */
  readonly look: string
  /** What to do, for the runbook. */
  readonly act: string
  /** Labels beside the severity. */
  readonly labels?: Readonly<Record<string, string>>
  readonly cloudWatch?: CloudWatchRule
}

/** A group of rules that are evaluated together. */
export interface RuleGroup {
  readonly name: string
  /** Time between two evaluations, in Prometheus' notation. */
  readonly interval: string
  readonly records: readonly RecordRule[]
  readonly alerts: readonly AlertRule[]
}

/** A series that is computed beforehand. */
export interface RecordRule {
  /** `level:metric:operation`, as Prometheus advises. */
  readonly name: string
  readonly expression: string
  readonly labels?: Readonly<Record<string, string>>
}
