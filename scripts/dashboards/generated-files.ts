/** What of the repository is made from the boards: templates for any pipeline, and the runbook's words on alerts. */

import {
  alertsByName,
  boardsOf,
  cloudFormationTemplate,
  genericBoards,
  grafanaDashboard,
  HEALTH,
  prometheusRules,
  type BoardSettings
} from '../../src/ops/index.ts'

/** A file by its path from the root of the repository. */
export interface GeneratedFile {
  readonly path: string
  readonly content: string
}

const BEGIN = '<!-- alerts: written by npm run docs:dashboards -->'
const END = '<!-- /alerts -->'

/** A pipeline that has everything an alert can be about. */
export const SAMPLE: BoardSettings = {
  ...genericBoards(),
  name: 'orders',
  groups: ['billing'],
  topics: [{ name: 'orders', retentionMs: 604_800_000 }],
  objectives: [{ group: 'billing', topics: ['orders'], lagSeconds: 60, objective: 0.999, windowDays: 30 }],
  health: HEALTH
}

/** The templates. */
export function genericFiles(): GeneratedFile[] {
  const settings = genericBoards()
  const folder = 'infra/dashboards'
  return [
    ...boardsOf(settings).map(board => ({
      path: `${folder}/grafana/${settings.name}-${board.id}.json`,
      content: grafanaDashboard(board, settings)
    })),
    { path: `${folder}/prometheus/${settings.name}-rules.yaml`, content: prometheusRules(settings) },
    {
      path: `${folder}/cloudwatch/${settings.name}-cloudwatch.json`,
      content: cloudFormationTemplate(settings, { namespace: 'comporta', mskBrokers: 3 })
    }
  ]
}

/** The runbook with its section on alerts as the rules are now. */
export function withAlerts(runbook: string): string {
  const begin = runbook.indexOf(BEGIN)
  const end = runbook.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`the runbook has no place between ${BEGIN} and ${END}`)
  const sections = alertsByName(SAMPLE).map(({ name, severity, description, look, act }) => {
    const meaning = description
      .replaceAll(/\{\{ ?\$labels\.(\w+) ?\}\}/g, '*$1*')
      .replaceAll(/\{\{ ?\$value[^}]*\}\}/g, '*n*')
    const urgency = severity === 'page' ? 'Page' : 'Ticket'
    return `### ${name}\n\n${urgency}. ${meaning}\n\n- **Look**: ${look}\n- **Do**: ${act}\n`
  })
  return `${runbook.slice(0, begin)}${BEGIN}\n\n${sections.join('\n')}\n${runbook.slice(end)}`
}
