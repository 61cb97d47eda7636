/** What holds records back: the processes, breakers and limits, and the partitions that stand still. */

import type { VNode } from 'preact'

import type { Flow, InstanceRow, LimiterRow, RouteRow } from '../../../api/flow.ts'
import { ago, bytes, count, percent, rate, seconds } from '../../base/format.ts'
import { useLive } from '../../base/live.ts'
import { Link } from '../../base/router.ts'
import { isWordKey, t } from '../../base/words.ts'
import { Card } from '../../parts/card.tsx'
import { Empty, FreshnessStamp, ProblemBox, Skeleton, Value } from '../../parts/feedback.tsx'
import { Health } from '../../parts/health.tsx'
import { Page } from '../../parts/page.tsx'
import { PlainTable } from '../../parts/plain-table.tsx'

const BREAKER_LEVEL = { closed: 'good', open: 'bad', halfOpen: 'warn' } as const

/** See the module. */
export default function FlowPage(): VNode {
  const { value, problem } = useLive<Flow>('/api/flow')
  return (
    <Page
      title={t('flow.title')}
      aside={value === undefined ? undefined : <FreshnessStamp freshness={value.freshness} />}
    >
      <div class="stack">
        {problem === undefined ? null : <ProblemBox problem={problem} isKept={value !== undefined} />}
        {value === undefined ? <Skeleton height={320} /> : <FlowParts flow={value} />}
      </div>
    </Page>
  )
}

function FlowParts({ flow }: { readonly flow: Flow }): VNode {
  if (flow.instances.length === 0) {
    return (
      <Empty title={t('flow.instances.none')} icon="flow">
        {t('flow.instances.help')}
      </Empty>
    )
  }
  return (
    <>
      {flow.routes.length === 0 ? null : (
        <Card title={t('flow.routes')} isFlush>
          <Routes rows={flow.routes} />
        </Card>
      )}
      <div class="columns">
        <Card title={t('flow.heldUp')} isFlush={flow.heldUp.length > 0}>
          <HeldUp rows={flow.heldUp} />
        </Card>
        {flow.limiters.length === 0 ? null : (
          <Card title={t('flow.limiters')} isFlush>
            <Limiters rows={flow.limiters} />
          </Card>
        )}
      </div>
      <Card title={t('flow.instances')} isFlush>
        <Instances rows={flow.instances} />
      </Card>
    </>
  )
}

function Routes({ rows }: { readonly rows: readonly RouteRow[] }): VNode {
  return (
    <PlainTable
      label={t('flow.routes')}
      rows={rows}
      rowKey={row => `${row.instance} ${row.target}`}
      columns={[
        { title: t('flow.target'), cell: row => <span class="mono">{row.target}</span> },
        {
          title: t('flow.group'),
          cell: row => <Link to={`/groups/${encodeURIComponent(row.groupId)}`}>{row.groupId}</Link>
        },
        { title: t('flow.breaker'), cell: row => <Breaker row={row} /> },
        { title: t('flow.failures'), cell: row => <Value text={percent(row.failureRatio)} />, isNumber: true },
        { title: t('flow.inFlight'), cell: inFlightText, isNumber: true },
        { title: t('flow.adaptive'), cell: row => orNone(row.adaptiveLimit, count), isNumber: true },
        { title: t('flow.records'), cell: recordsText, isNumber: true },
        { title: t('flow.waiting'), cell: row => count(row.waiting), isNumber: true },
        { title: t('flow.oldest'), cell: row => <Value text={waitText(row.oldestWaitMs)} />, isNumber: true },
        { title: t('flow.rate'), cell: row => orNone(row.ratePerSecond, rate), isNumber: true },
        {
          title: t('flow.blockedBy'),
          cell: row => (row.blockedBy === null ? t('flow.none') : blockText(row.blockedBy))
        },
        { title: t('flow.paused'), cell: row => pausedText(row.pausedPartitions) }
      ]}
    />
  )
}

function Breaker({ row }: { readonly row: RouteRow }): VNode {
  if (row.breaker === null) return <Health level="unknown" />
  const retry = row.breakerRetryInMs
  return (
    <>
      <Health level={BREAKER_LEVEL[row.breaker]} word={t(`flow.breaker.${row.breaker}`)} />
      {retry === null ? null : <div class="soft">{t('flow.breaker.retry', { time: seconds(retry / 1000) })}</div>}
    </>
  )
}

function inFlightText({ inFlight, concurrencyLimit }: RouteRow): string {
  if (concurrencyLimit === null) return count(inFlight)
  return t('flow.inFlight.of', { count: count(inFlight), limit: count(concurrencyLimit) })
}

function recordsText({ inFlightRecords, inFlightBytes }: RouteRow): VNode {
  return (
    <>
      <Value text={count(inFlightRecords)} />
      {inFlightBytes === null ? null : <div class="soft">{bytes(inFlightBytes)}</div>}
    </>
  )
}

function waitText(waitMs: number | null): string {
  return seconds(waitMs === null ? null : waitMs / 1000)
}

function orNone(value: number | null, text: (value: number) => string): VNode | string {
  return value === null ? <span class="soft">{t('flow.none')}</span> : text(value)
}

function pausedText(partitions: readonly string[]): VNode {
  if (partitions.length === 0) return <span class="soft">{t('flow.none')}</span>
  return <span class="mono">{partitions.join(', ')}</span>
}

/** A reason in the dispatcher's word; one of a newer dispatcher is shown as it is. */
function blockText(reason: string): string {
  const key = `flow.block.${reason}`
  return isWordKey(key) ? t(key) : reason
}

function HeldUp({ rows }: { readonly rows: Flow['heldUp'] }): VNode {
  if (rows.length === 0) return <p class="soft">{t('flow.heldUp.none')}</p>
  return (
    <PlainTable
      label={t('flow.heldUp')}
      rows={rows}
      rowKey={row => row.reason}
      columns={[
        { title: t('flow.reason'), cell: row => blockText(row.reason) },
        { title: t('flow.partitions'), cell: row => count(row.partitions), isNumber: true }
      ]}
    />
  )
}

function Limiters({ rows }: { readonly rows: readonly LimiterRow[] }): VNode {
  return (
    <PlainTable
      label={t('flow.limiters')}
      rows={rows}
      rowKey={row => `${row.instance} ${row.limit} ${row.unit}`}
      columns={[
        { title: t('flow.name'), cell: row => row.instance },
        { title: t('flow.limit'), cell: row => (row.limit === 'all' ? t('flow.limit.all') : row.limit) },
        {
          title: t('flow.tokens'),
          cell: row => (
            <span title={t('flow.tokens.help')}>
              {count(Math.round(row.tokens))} {t(`flow.unit.${row.unit}`)}
            </span>
          ),
          isNumber: true
        },
        { title: t('flow.chunks'), cell: row => count(row.waiting), isNumber: true }
      ]}
    />
  )
}

function Instances({ rows }: { readonly rows: readonly InstanceRow[] }): VNode {
  return (
    <PlainTable
      label={t('flow.instances')}
      rows={rows}
      rowKey={row => row.name}
      columns={[
        { title: t('flow.name'), cell: row => row.name },
        { title: t('flow.role'), cell: row => t(`flow.role.${row.role}`) },
        { title: t('flow.state'), cell: row => <InstanceState row={row} /> },
        { title: t('flow.since'), cell: row => <Value text={ago(row.startedAtMs)} /> }
      ]}
    />
  )
}

function InstanceState({ row }: { readonly row: InstanceRow }): VNode {
  const word = row.health === 'good' ? t('flow.ready') : row.health === 'bad' ? t('flow.away') : t('flow.notReady')
  return (
    <>
      <Health level={row.health} word={word} />
      {row.problem === null ? null : <div class="soft">{row.problem}</div>}
    </>
  )
}
