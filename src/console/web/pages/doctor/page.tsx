/** What the doctor found, the worst first, each with why it matters and what to do. */

import './doctor.css'

import type { VNode } from 'preact'
import { useState } from 'preact/hooks'

import type { DoctorAnswer } from '../../../api/insight.ts'
import { type ApiProblem, asProblem, postJson } from '../../base/api.ts'
import { refreshLive, useLive } from '../../base/live.ts'
import { t } from '../../base/words.ts'
import { Button } from '../../parts/button.tsx'
import { Card } from '../../parts/card.tsx'
import { Empty, FreshnessStamp, ProblemBox, Skeleton } from '../../parts/feedback.tsx'
import { Health } from '../../parts/health.tsx'
import { Page } from '../../parts/page.tsx'

type Finding = DoctorAnswer['findings'][number]

const SEVERITIES = ['error', 'warn', 'unknown', 'info', 'ok'] as const

/** See the module. */
export default function DoctorPage(): VNode {
  const { value, problem } = useLive<DoctorAnswer>('/api/doctor')
  const [refused, setRefused] = useState<ApiProblem | undefined>(undefined)
  const shown = problem ?? refused
  const isFirst = value === undefined || value.freshness.takenAtMs === 0
  const run = (): void => {
    setRefused(undefined)
    void postJson('/api/doctor/run').then(refreshLive, (error: unknown) => setRefused(asProblem(error)))
  }
  return (
    <Page
      title={t('doctor.title')}
      aside={isFirst ? undefined : <FreshnessStamp freshness={value.freshness} />}
      actions={
        <Button icon="refresh" onPress={run} isBusy={value?.isRunning === true}>
          {value?.isRunning === true ? t('doctor.running') : t('doctor.run')}
        </Button>
      }
    >
      <div class="stack">
        {shown === undefined ? null : <ProblemBox problem={shown} isKept={!isFirst} />}
        {isFirst ? <FirstLook /> : <Findings findings={value.findings} />}
      </div>
    </Page>
  )
}

function FirstLook(): VNode {
  return (
    <Card>
      <p class="soft" role="status">
        {t('doctor.first')}
      </p>
      <Skeleton height={240} />
    </Card>
  )
}

function Findings({ findings }: { readonly findings: readonly Finding[] }): VNode {
  const counts = SEVERITIES.map(severity => ({
    severity,
    found: findings.filter(finding => finding.severity === severity)
  })).filter(({ found }) => found.length > 0)
  const ill = findings.filter(({ severity }) => severity !== 'ok')
  return (
    <>
      <div class="row doctor-counts">
        {counts.map(({ severity, found }) => (
          <Health
            key={severity}
            level={found[0]?.health ?? 'unknown'}
            word={t(`doctor.${severity}`, { count: found.length })}
          />
        ))}
      </div>
      <p class="soft">{t('doctor.english')}</p>
      {ill.length === 0 ? <Empty title={t('doctor.well')} icon="doctor" /> : <List findings={ill} />}
      <Well findings={findings.filter(({ severity }) => severity === 'ok')} />
    </>
  )
}

/** Checks that found nothing: there for who wants to know what was looked for. */
function Well({ findings }: { readonly findings: readonly Finding[] }): VNode | null {
  if (findings.length === 0) return null
  return (
    <Card isFlush>
      <details class="finding">
        <summary>
          <Health level="good" word={t('doctor.ok', { count: findings.length })} />
        </summary>
        <ul class="finding-well" lang="en">
          {findings.map(({ id, title }) => (
            <li key={id}>
              <code>{id}</code> {title}
            </li>
          ))}
        </ul>
      </details>
    </Card>
  )
}

function List({ findings }: { readonly findings: readonly Finding[] }): VNode {
  return (
    <Card isFlush>
      {findings.map((finding, index) => (
        <FindingRow key={`${finding.id} ${String(index)}`} finding={finding} />
      ))}
    </Card>
  )
}

function FindingRow({ finding }: { readonly finding: Finding }): VNode | null {
  const { id, severity, health, title, reason, fix, evidence } = finding
  if (severity === 'ok') return null
  return (
    <details class="finding" open={severity === 'error'}>
      <summary>
        <Health level={health} word={t(`doctor.severity.${severity}`)} />
        <span lang="en">{title}</span>
        <code class="finding-id">{id}</code>
      </summary>
      <div class="finding-body" lang="en">
        {reason === '' ? null : <Part title={t('doctor.why')} text={reason} />}
        {fix === '' ? null : <Part title={t('doctor.fix')} text={fix} />}
        {evidence.length === 0 ? null : (
          <div>
            <h3>{t('doctor.evidence')}</h3>
            <pre>{evidence.join('\n')}</pre>
          </div>
        )}
      </div>
    </details>
  )
}

function Part({ title, text }: { readonly title: string; readonly text: string }): VNode {
  return (
    <div>
      <h3>{title}</h3>
      <p>{text}</p>
    </div>
  )
}
