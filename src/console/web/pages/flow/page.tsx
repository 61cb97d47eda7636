/** What holds records back: the processes, breakers and limits, and the partitions that stand still. */

import './flow.css'

import type { ComponentChildren, VNode } from 'preact'

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
      <div class="columns">
        {flow.routes.map(row => (
          <RouteCard key={`${row.instance} ${row.groupId} ${row.target}`} row={row} />
        ))}
      </div>
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

/** The way to one target: its breaker first, since that is what one looks for at night. */
function RouteCard({ row }: { readonly row: RouteRow }): VNode {
  const { blockedBy, pausedPartitions } = row
  return (
    <Card title={<span class="mono">{row.target}</span>} actions={<Breaker row={row} />}>
      <dl class="route-facts">
        <RouteFact name={t('flow.group')}>
          <Link to={`/groups/${encodeURIComponent(row.groupId)}`}>{row.groupId}</Link>
        </RouteFact>
        <RouteFact name={t('flow.name')}>{row.instance}</RouteFact>
        <RouteFact name={t('flow.inFlight')}>{inFlightText(row)}</RouteFact>
        <RouteFact name={t('flow.records')}>{recordsText(row)}</RouteFact>
        <RouteFact name={t('flow.waiting')}>{count(row.waiting)}</RouteFact>
        <RouteFact name={t('flow.oldest')}>
          <Value text={waitText(row.oldestWaitMs)} />
        </RouteFact>
        <RouteFact name={t('flow.rate')}>{orNone(row.ratePerSecond, rate)}</RouteFact>
        <RouteFact name={t('flow.adaptive')}>{orNone(row.adaptiveLimit, count)}</RouteFact>
        <RouteFact name={t('flow.failures')}>
          <Value text={percent(row.failureRatio)} />
        </RouteFact>
        <RouteFact name={t('flow.blockedBy')}>{blockedBy === null ? <None /> : blockText(blockedBy)}</RouteFact>
        <RouteFact name={t('flow.paused')}>{pausedText(pausedPartitions)}</RouteFact>
      </dl>
    </Card>
  )
}

function RouteFact(options: { readonly name: string; readonly children: ComponentChildren }): VNode {
  return (
    <div>
      <dt>{options.name}</dt>
      <dd>{options.children}</dd>
    </div>
  )
}

function None(): VNode {
  return <span class="soft">{t('flow.none')}</span>
}

function Breaker({ row }: { readonly row: RouteRow }): VNode {
  if (row.breaker === null) return <Health level="unknown" />
  const retry = row.breakerRetryInMs
  return (
    <>
      <Health level={BREAKER_LEVEL[row.breaker]} word={t(`flow.breaker.${row.breaker}`)} />
      {retry === null ? null : <span class="soft">{t('flow.breaker.retry', { time: seconds(retry / 1000) })}</span>}
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
  return value === null ? <None /> : text(value)
}

function pausedText(partitions: readonly string[]): VNode {
  if (partitions.length === 0) return <None />
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
