/** Numbers of the whole: what comes in and what is done, how late it is, and how the groups are. */

import './totals.css'

import type { VNode } from 'preact'

import type { HealthLevel } from '../../../api/common.ts'
import type { Overview } from '../../../api/overview.ts'
import { count, rate, seconds } from '../../base/format.ts'
import { Link } from '../../base/router.ts'
import { t } from '../../base/words.ts'
import { Card } from '../../parts/card.tsx'
import { Value } from '../../parts/feedback.tsx'
import { Health } from '../../parts/health.tsx'
import { LineChart } from '../../parts/line-chart.tsx'

/** Arrival against service, and the worst lag, over the last looks. */
export function Totals({ overview }: { readonly overview: Overview }): VNode {
  const { arrivalRate, serviceRate, worstLagSeconds } = overview
  return (
    <div class="columns">
      <Card title={t('overview.throughput')}>
        <LineChart
          label={t('overview.throughput')}
          times={arrivalRate.timesMs}
          lines={[
            { name: t('overview.arrival'), values: arrivalRate.values },
            { name: t('overview.service'), values: serviceRate.values }
          ]}
          format={rate}
        />
      </Card>
      <Card title={t('overview.worstLag')}>
        <LineChart
          label={t('overview.worstLag')}
          times={worstLagSeconds.timesMs}
          lines={[{ name: t('overview.worstLag'), values: worstLagSeconds.values, colour: 2 }]}
          format={seconds}
          isDuration
        />
      </Card>
    </div>
  )
}

const statuses = [
  ['ERR', 'bad'],
  ['WARN', 'warn'],
  ['OK', 'good'],
  ['NONE', 'unknown']
] as const satisfies readonly (readonly [keyof Overview['groupsByStatus'], HealthLevel])[]

/** How many groups are how, as a bar and in words; each leads to the groups that are so. */
export function GroupsByStatus({ overview }: { readonly overview: Overview }): VNode {
  const byStatus = overview.groupsByStatus
  const total = statuses.reduce((sum, [status]) => sum + byStatus[status], 0)
  return (
    <Card title={t('overview.byStatus')}>
      <div class="status-bar" aria-hidden="true">
        {statuses.map(([status, level]) =>
          byStatus[status] === 0 ? null : (
            <span key={status} class={`health-${level}`} style={{ flexGrow: Math.max(byStatus[status], total / 50) }} />
          )
        )}
      </div>
      <ul class="status-list">
        {statuses.map(([status, level]) => (
          <li key={status}>
            <Link to={`/groups?status=${status}`}>
              <Health level={level} word={t(`overview.status.${status}`)} />
            </Link>
            <strong>{count(byStatus[status])}</strong>
          </li>
        ))}
      </ul>
    </Card>
  )
}

/** The groups that are furthest behind. */
export function WorstGroups({ overview }: { readonly overview: Overview }): VNode {
  return (
    <Card title={t('overview.worst')}>
      {overview.worst.length === 0 ? <p class="soft">{t('overview.worst.none')}</p> : null}
      <ol class="worst-list">
        {overview.worst.map(({ groupId, lagSeconds, lagRecords }) => (
          <li key={groupId}>
            <Link to={`/groups/${encodeURIComponent(groupId)}`} class="cut" title={groupId}>
              {groupId}
            </Link>
            <span class="soft">
              {t('overview.worst.records', { value: count(lagRecords), count: Number(lagRecords) })}
            </span>
            <strong>
              <Value text={seconds(lagSeconds)} />
            </strong>
          </li>
        ))}
      </ol>
    </Card>
  )
}
