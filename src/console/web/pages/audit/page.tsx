/** Who did what through this console, newest first. */

import type { VNode } from 'preact'
import { useState } from 'preact/hooks'

import type { Page as PageOf } from '../../../api/common.ts'
import type { AuditEntry } from '../../../api/session.ts'
import { time } from '../../base/format.ts'
import { useLive } from '../../base/live.ts'
import { t } from '../../base/words.ts'
import { Card } from '../../parts/card.tsx'
import { Empty, ProblemBox } from '../../parts/feedback.tsx'
import { Health } from '../../parts/health.tsx'
import { Page } from '../../parts/page.tsx'
import { type Column, RowCount, VirtualTable } from '../../parts/virtual-table.tsx'

const LEVELS = { ok: 'good', refused: 'warn', failed: 'bad' } as const

/** See the module. */
export default function AuditPage(): VNode {
  const [range, setRange] = useState({ offset: 0, limit: 100 })
  const { value, problem } = useLive<PageOf<AuditEntry>>(`/api/audit?offset=${range.offset}&limit=${range.limit}`)
  return (
    <Page title={t('audit.title')} aside={<RowCount total={value?.total} />}>
      <div class="stack">
        <p class="soft">{t('audit.help')}</p>
        {problem === undefined ? null : <ProblemBox problem={problem} isKept={value !== undefined} />}
        <Card isFlush>
          <VirtualTable
            label={t('audit.title')}
            columns={columns()}
            total={value?.total}
            offset={value?.offset ?? 0}
            rows={value?.rows ?? []}
            rowKey={row => `${String(row.atMs)} ${row.user} ${row.action} ${row.subject}`}
            onRange={(offset, limit) => setRange({ offset, limit })}
            empty={<Empty title={t('audit.none')} icon="audit" />}
          />
        </Card>
      </div>
    </Page>
  )
}

function columns(): readonly Column<AuditEntry>[] {
  return [
    { key: 'atMs', title: t('audit.when'), cell: row => time(row.atMs) },
    { key: 'user', title: t('audit.user'), cell: row => row.user },
    { key: 'action', title: t('audit.action'), cell: row => <code>{row.action}</code> },
    { key: 'subject', title: t('audit.subject'), cell: row => row.subject, priority: 2 },
    {
      key: 'outcome',
      title: t('audit.outcome'),
      cell: row => <Health level={LEVELS[row.outcome]} word={t(`audit.outcome.${row.outcome}`)} />
    },
    {
      key: 'detail',
      title: t('audit.detail'),
      track: 'minmax(160px, 3fr)',
      cell: row => <span title={row.detail}>{row.detail}</span>,
      priority: 3
    }
  ]
}
