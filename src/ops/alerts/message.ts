/** How an alert reads, for people and for programs. */

import type { Alert } from './alert.ts'

/** An alert as JSON: the body of a webhook. */
export interface AlertMessage {
  readonly version: 1
  readonly pipeline: string
  readonly key: string
  readonly status: Alert['status']
  readonly severity: Alert['severity']
  readonly title: string
  readonly group: string
  readonly value: string
  readonly threshold: string
  readonly reason: string
  readonly next: string
  /** ISO 8601. */
  readonly since: string
  readonly at: string
  readonly repeats: number
}

/** @param pipeline - Name of the pipeline, or of the cluster. */
export function messageOfAlert(alert: Alert, pipeline: string): AlertMessage {
  const { key, status, severity, title, group, value, threshold, reason, next, repeats } = alert
  const since = new Date(alert.sinceMs).toISOString()
  const at = new Date(alert.atMs).toISOString()
  return {
    version: 1,
    pipeline,
    key,
    status,
    severity,
    title,
    group,
    value,
    threshold,
    reason,
    next,
    since,
    at,
    repeats
  }
}

/** One line: the subject of a mail, the headline of a chat. At most 100 characters, as SNS allows. */
export function headlineOf({ status, severity, title, pipeline }: AlertMessage): string {
  const text = `[${status === 'resolved' ? 'resolved' : severity}] ${pipeline}: ${title}`
  // SNS takes printable ASCII only.
  const plain = text.replaceAll('≤', '<=').replaceAll(/[^\x20-\x7e]/g, '?')
  return plain.length <= 100 ? plain : `${plain.slice(0, 97)}...`
}

/** Several lines for people. */
export function textOfAlert(message: AlertMessage): string {
  const { title, pipeline, severity, status, value, threshold, reason, next, since, at, repeats } = message
  const lines = [
    `${status === 'resolved' ? 'RESOLVED' : severity.toUpperCase()} ${pipeline}: ${title}`,
    `${status === 'resolved' ? 'was' : 'is'}: ${value} (alert: ${threshold})`,
    'since: ' +
      `${since}${status === 'resolved' ? `, until ${at}` : ''}${repeats > 0 ? `, said ${repeats} times before` : ''}`
  ]
  if (status === 'firing') lines.push(`likely: ${reason}`, `next: ${next}`)
  return lines.join('\n')
}
