/** What else deserves a look: findings of the doctor, and records that were set aside. */

import type { VNode } from 'preact'

import type { DoctorAnswer } from '../../../api/insight.ts'
import type { Overview } from '../../../api/overview.ts'
import { count } from '../../base/format.ts'
import { useLive } from '../../base/live.ts'
import { Link } from '../../base/router.ts'
import { t } from '../../base/words.ts'
import { Card } from '../../parts/card.tsx'
import { Health } from '../../parts/health.tsx'
import { nodePath } from './node-links.ts'

const FINDINGS_MAX = 4

/** See the module. */
export function Hints({ overview }: { readonly overview: Overview }): VNode {
  const { value: doctor } = useLive<DoctorAnswer>('/api/doctor')
  const letters = overview.nodes.flatMap(node => {
    const records = node.kind === 'deadLetters' ? (node.facts.find(({ key }) => key === 'records')?.value ?? 0) : 0
    return Number(records) > 0 ? [{ topic: node.name, records: Number(records) }] : []
  })
  const findings = (doctor?.findings ?? []).filter(finding => {
    if (finding.severity !== 'error' && finding.severity !== 'warn') return false
    // Said above already, with a number of now.
    return finding.id !== 'dead-letters' || !letters.some(({ topic }) => finding.title.startsWith(`${topic} has `))
  })
  const isNothing = findings.length === 0 && letters.length === 0
  return (
    <Card title={t('overview.hints')}>
      {isNothing ? <p class="soft">{t('overview.hints.none')}</p> : null}
      <ul class="hint-list">
        {letters.slice(0, FINDINGS_MAX).map(({ topic, records }) => (
          <li key={topic}>
            <Health level="warn" isWordHidden />
            <Link to={nodePath('deadLetters', topic)} class="cut">
              {t('overview.hints.deadLetters', { value: count(records), count: records, topic })}
            </Link>
          </li>
        ))}
        {findings.slice(0, FINDINGS_MAX).map(({ id, health, title }) => (
          <li key={id}>
            <Health level={health} isWordHidden />
            <Link to="/doctor" class="cut" title={title}>
              {title}
            </Link>
          </li>
        ))}
      </ul>
    </Card>
  )
}
