/** Parts of templates of CloudFormation. */

import type { Severity } from '../slo/burn-rates.ts'

/** A resource of CloudFormation. */
export interface CloudFormationResource {
  readonly Type: string
  readonly Properties: Readonly<Record<string, unknown>>
}

/** Where alarms of a severity go; nowhere while the parameter is empty. */
export function actionsOf(severity: Severity): Record<string, unknown> {
  const [condition, parameter] =
    severity === 'page' ? ['HasPageTopic', 'PageTopicArn'] : ['HasTicketTopic', 'TicketTopicArn']
  const actions = { 'Fn::If': [condition, [{ Ref: parameter }], { Ref: 'AWS::NoValue' }] }
  return { AlarmActions: actions, OKActions: actions }
}
