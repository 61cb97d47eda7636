/**
 * One group: its facts, lag and rates over time, a map of its partitions, and beneath it partitions, members,
 * rebalances, and histograms of batches and latency. What is chosen is in the address.
 */

import './group.css'

import type { VNode } from 'preact'

import type { GroupDetail, HeatMap as HeatMapData, HeatMetric } from '../../../api/groups.ts'
import type { ApiProblem } from '../../base/api.ts'
import { count } from '../../base/format.ts'
import { useLive } from '../../base/live.ts'
import { healthNow } from '../../base/old-numbers.ts'
import { reasonText } from '../../base/reasons.ts'
import { useQuery, useRoute } from '../../base/router.ts'
import { t } from '../../base/words.ts'
import { Button } from '../../parts/button.tsx'
import { Card } from '../../parts/card.tsx'
import { Empty, ProblemBox, Skeleton } from '../../parts/feedback.tsx'
import { HeatMap } from '../../parts/heat-map/heat-map.tsx'
import { Health } from '../../parts/health.tsx'
import { Page } from '../../parts/page.tsx'
import { Tabs } from '../../parts/tabs.tsx'
import { groupChanges, GroupForms, partitionMenu } from '../groups/group-actions.tsx'
import { groupSigns, GroupStatus, SignList } from '../groups/signs.tsx'
import { useKept, useRange } from '../groups/use-steady.ts'
import { ChangeMenu, ViewStamp, WayBack } from '../groups/frame.tsx'
import { GroupCharts } from './charts.tsx'
import { GroupFacts, GroupTopics } from './facts.tsx'
import { GroupHistograms } from './histograms.tsx'
import { Members } from './members.tsx'
import { Partitions } from './partitions.tsx'
import { detailAddress, groupDefaults, type GroupQuery, type SetGroupQuery } from './query.ts'
import { Rebalances } from './rebalances.tsx'

const tabs = ['partitions', 'members', 'rebalances', 'histograms'] as const
const metrics: readonly HeatMetric[] = ['lagSeconds', 'lagRecords', 'rate', 'owner']
/** See the module. */
export default function GroupPage(): VNode {
  const groupId = useRoute().params['id'] ?? ''
  return <Group key={groupId} groupId={groupId} />
}

function Group({ groupId }: { readonly groupId: string }): VNode {
  const [query, setQuery] = useQuery(groupDefaults)
  const question = detailAddress(groupId, query)
  const [range, setRange] = useRange(question)
  const live = useLive<GroupDetail>(`${question}&offset=${range.offset}&limit=${range.limit}`)
  const detail = useKept(groupId, live.value)
  if (detail === undefined) return <NotYet groupId={groupId} problem={live.problem} />
  const { row, freshness } = detail
  return (
    <Page
      title={<span class="mono group-title">{groupId}</span>}
      name={groupId}
      aside={
        <>
          <Health level={healthNow(row.health)} />
          <GroupStatus status={row.status} />
          <span class="soft">{t('group.state', { state: row.state })}</span>
        </>
      }
      actions={
        <>
          <ViewStamp freshness={freshness} />
          <ChangeMenu name={groupId} items={groupChanges(row)} />
        </>
      }
    >
      <div class="group-topics">
        <WayBack to="/groups" text={t('group.back')} />
        <GroupTopics topics={row.topics} />
      </div>
      {live.problem === undefined ? null : <ProblemBox problem={live.problem} isKept />}
      <Reasons detail={detail} />
      <GroupFacts row={row} />
      <SignList signs={groupSigns(row)} />
      <GroupCharts detail={detail} />
      <GroupHeat groupId={groupId} query={query} setQuery={setQuery} />
      <Card isFlush class="group-tabs">
        <Details
          detail={detail}
          page={live.value?.partitions}
          question={question}
          query={query}
          setQuery={setQuery}
          onRange={setRange}
        />
      </Card>
      <GroupForms />
    </Page>
  )
}

/** Why its health is what it is, but for what a sign says below. */
function Reasons({ detail }: { readonly detail: GroupDetail }): VNode | null {
  const unsaid = detail.reasons.filter(({ key }) => !detail.row.flags.includes(key))
  if (unsaid.length === 0) return null
  return (
    <ul class="group-reasons" aria-label={t('group.reasons')}>
      {unsaid.map(reason => (
        <li key={reason.key}>{reasonText(reason)}</li>
      ))}
    </ul>
  )
}

function NotYet({ groupId, problem }: { readonly groupId: string; readonly problem: ApiProblem | undefined }): VNode {
  const isGone = problem?.code === 'ERR_CONSOLE_NOT_FOUND'
  return (
    <Page title={<span class="mono group-title">{groupId}</span>} name={groupId}>
      <WayBack to="/groups" text={t('group.back')} />
      {problem === undefined ? (
        <Skeleton height={360} />
      ) : isGone ? (
        <Empty title={t('group.gone.title')} icon="groups">
          {problem.message}
        </Empty>
      ) : (
        <ProblemBox problem={problem} />
      )}
    </Page>
  )
}

function GroupHeat(options: {
  readonly groupId: string
  readonly query: GroupQuery
  readonly setQuery: SetGroupQuery
}): VNode {
  const { groupId, query, setQuery } = options
  const live = useLive<HeatMapData>(`/api/heat-map?group=${encodeURIComponent(groupId)}`)
  const metric = metrics.find(name => name === query.heat) ?? 'lagSeconds'
  return (
    <Card title={t('heat.title')}>
      {live.problem === undefined ? null : <ProblemBox problem={live.problem} isKept={live.value !== undefined} />}
      {live.value === undefined ? (
        <Skeleton height={160} />
      ) : (
        <HeatMap
          map={live.value}
          metric={metric}
          metrics={metrics}
          onMetric={heat => setQuery({ heat })}
          actionsOf={({ topic }) => (
            <Button kind="quiet" icon="filter" onPress={() => setQuery({ tab: 'partitions', find: topic })}>
              {t('group.inTable')}
            </Button>
          )}
        />
      )}
    </Card>
  )
}

function Details(options: {
  readonly detail: GroupDetail
  readonly page: GroupDetail['partitions'] | undefined
  readonly question: string
  readonly query: GroupQuery
  readonly setQuery: SetGroupQuery
  readonly onRange: (offset: number, limit: number) => void
}): VNode {
  const { detail, query, setQuery } = options
  const { groupId } = detail.row
  const chosen = tabs.find(tab => tab === query.tab) ?? 'partitions'
  const counts = { partitions: count(detail.row.partitionCount), members: count(detail.row.memberCount) }
  return (
    <Tabs
      label={t('group.tabs')}
      chosen={chosen}
      onChoose={tab => setQuery({ tab })}
      tabs={tabs.map(value => ({
        value,
        text: t(`group.tab.${value}`),
        ...(value === 'partitions' || value === 'members' ? { count: counts[value] } : {})
      }))}
    >
      {chosen === 'partitions' ? (
        <Partitions
          groupId={groupId}
          page={options.page}
          question={options.question}
          query={query}
          setQuery={setQuery}
          onRange={options.onRange}
          menuOf={row => partitionMenu(groupId, row)}
        />
      ) : null}
      {chosen === 'members' ? <Members groupId={groupId} members={detail.members} /> : null}
      {chosen === 'rebalances' ? <Rebalances groupId={groupId} sinceMs={detail.lagSeconds.timesMs[0]} /> : null}
      {chosen === 'histograms' ? <GroupHistograms groupId={groupId} /> : null}
    </Tabs>
  )
}
