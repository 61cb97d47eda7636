/** Rules for Prometheus, and for what reads the same (Mimir, Thanos, VictoriaMetrics). */

import { stringify } from 'yaml'

import type { AlertRule, RuleGroup } from './alert-types.ts'
import { dispatcherAlerts } from './dispatcher-alerts.ts'
import { budgetGroup, objectiveGroup, retentionAlerts } from './objective-rules.ts'
import { platformAlerts } from './platform-alerts.ts'
import { producerAlerts } from './producer-alerts.ts'
import type { BoardSettings } from './settings.ts'

/** Every group of rules; groups without rules are left out. */
export function ruleGroups(settings: BoardSettings): RuleGroup[] {
  const plain = (name: string, alerts: readonly AlertRule[]): RuleGroup => ({
    name,
    interval: '30s',
    records: [],
    alerts
  })
  const groups = [
    objectiveGroup(settings),
    budgetGroup(settings),
    plain('comporta-dispatcher', [...dispatcherAlerts(settings), ...retentionAlerts(settings)]),
    plain('comporta-producer', producerAlerts(settings)),
    plain('comporta-platform', platformAlerts(settings))
  ]
  return groups.filter(({ records, alerts }) => records.length + alerts.length > 0)
}

/** All alerts, each name once: for the runbook. */
export function alertsByName(settings: BoardSettings): AlertRule[] {
  const all = ruleGroups(settings).flatMap(({ alerts }) => alerts)
  return [...new Map(all.toReversed().map(each => [each.name, each])).values()].toReversed()
}

/** The heading of an alert in the runbook, as a link knows it. */
export function runbookAnchor(name: string): string {
  return name.toLowerCase()
}

/** A file of rules. */
export function prometheusRules(settings: BoardSettings): string {
  const groups = ruleGroups(settings).map(({ name, interval, records, alerts }) => ({
    name: settings.name === 'comporta' ? name : `${name}-${settings.name}`,
    interval,
    rules: [
      ...records.map(({ name: record, expression, labels }) => ({
        record,
        expr: expression,
        ...(labels === undefined ? {} : { labels })
      })),
      ...alerts.map(alert => ruleOf(alert, settings))
    ]
  }))
  const header = '# Written by: comporta dashboards prometheus. Change the pipeline file, not this one.\n'
  return `${header}${stringify({ groups }, { lineWidth: 0 })}`
}

function ruleOf(alert: AlertRule, { name, runbookUrl }: BoardSettings): Record<string, unknown> {
  return {
    alert: alert.name,
    expr: alert.expression,
    for: alert.for,
    labels: { severity: alert.severity, pipeline: name, ...alert.labels },
    annotations: {
      summary: alert.summary,
      description: alert.description,
      runbook_url: `${runbookUrl}#${runbookAnchor(alert.name)}`
    }
  }
}
