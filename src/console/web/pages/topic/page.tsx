/** One topic: its facts, what is appended over time, a map of its partitions, then partitions, groups and settings. */

import '../group/group.css'

import type { VNode } from 'preact'

import type { HeatMap as HeatMapData } from '../../../api/groups.ts'
import type { TopicDetail } from '../../../api/topics.ts'
import type { ApiProblem } from '../../base/api.ts'
import { count, rate } from '../../base/format.ts'
import { useLive } from '../../base/live.ts'
import { navigate, useQuery, useRoute } from '../../base/router.ts'
import { t } from '../../base/words.ts'
import { Button } from '../../parts/button.tsx'
import { Card } from '../../parts/card.tsx'
import { Empty, ProblemBox, Skeleton } from '../../parts/feedback.tsx'
import { HeatMap } from '../../parts/heat-map/heat-map.tsx'
import { LineChart } from '../../parts/line-chart.tsx'
import { Page } from '../../parts/page.tsx'
import { Tabs } from '../../parts/tabs.tsx'
import { ChangeMenu, ViewStamp, WayBack } from '../groups/frame.tsx'
import { recordsPath } from '../groups/paths.ts'
import { useKept, useRange } from '../groups/use-steady.ts'
import { Replicas, TopicRole } from '../topics/columns.tsx'
import { topicChanges } from '../topics/topic-actions.tsx'
import { TopicForms } from '../topics/topic-forms.tsx'
import { TopicFacts } from './facts.tsx'
import { TopicGroups } from './groups.tsx'
import { TopicPartitions } from './partitions.tsx'
import { detailAddress, topicDefaults, type TopicQuery, type SetTopicQuery } from './query.ts'
import { TopicSettings } from './settings.tsx'

const tabs = ['partitions', 'groups', 'settings'] as const

/** See the module. */
export default function TopicPage(): VNode {
  const topic = useRoute().params['name'] ?? ''
  return <Topic key={topic} topic={topic} />
}

function Topic({ topic }: { readonly topic: string }): VNode {
  const [query, setQuery] = useQuery(topicDefaults)
  const question = detailAddress(topic, query)
  const [range, setRange] = useRange(question)
  const live = useLive<TopicDetail>(`${question}&offset=${range.offset}&limit=${range.limit}`)
  const detail = useKept(topic, live.value)
  if (detail === undefined) return <NotYet topic={topic} problem={live.problem} />
  return (
    <Page
      title={<span class="mono group-title">{topic}</span>}
      name={topic}
      aside={
        <>
          <TopicRole row={detail.row} />
          <Replicas row={detail.row} />
        </>
      }
      actions={<Actions detail={detail} />}
    >
      <WayBack to="/topics" text={t('topic.back')} />
      {live.problem === undefined ? null : <ProblemBox problem={live.problem} isKept />}
      <TopicFacts row={detail.row} />
      <Card title={t('topic.rate')}>
        <LineChart
          label={t('topic.rate')}
          times={detail.rate.timesMs}
          lines={[{ name: t('topic.rate.line'), values: detail.rate.values }]}
          format={rate}
        />
      </Card>
      <TopicHeat topic={topic} />
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
      <TopicForms />
    </Page>
  )
}

function Actions({ detail }: { readonly detail: TopicDetail }): VNode {
  const { row, freshness } = detail
  return (
    <>
      <ViewStamp freshness={freshness} />
      {row.role === 'deadLetters' ? (
        <Button
          icon="deadLetters"
          onPress={() => navigate(`/dead-letters?${new URLSearchParams({ topic: row.topic })}`)}
        >
          {t('topics.action.deadLetters')}
        </Button>
      ) : null}
      <Button icon="records" onPress={() => navigate(recordsPath(row.topic))}>
        {t('topics.action.records')}
      </Button>
      <ChangeMenu name={row.topic} items={topicChanges(row)} />
    </>
  )
}

function NotYet({ topic, problem }: { readonly topic: string; readonly problem: ApiProblem | undefined }): VNode {
  const isGone = problem?.code === 'ERR_CONSOLE_NOT_FOUND'
  return (
    <Page title={<span class="mono group-title">{topic}</span>} name={topic}>
      <WayBack to="/topics" text={t('topic.back')} />
      {problem === undefined ? (
        <Skeleton height={360} />
      ) : isGone ? (
        <Empty title={t('topic.gone.title')} icon="topics">
          {problem.message}
        </Empty>
      ) : (
        <ProblemBox problem={problem} />
      )}
    </Page>
  )
}

function TopicHeat({ topic }: { readonly topic: string }): VNode {
  const live = useLive<HeatMapData>(`/api/heat-map?topic=${encodeURIComponent(topic)}`)
  return (
    <Card title={t('heat.title')}>
      {live.problem === undefined ? null : <ProblemBox problem={live.problem} isKept={live.value !== undefined} />}
      {live.value === undefined ? (
        <Skeleton height={120} />
      ) : (
        <HeatMap
          map={live.value}
          metric="rate"
          metrics={['rate']}
          onMetric={() => undefined}
          actionsOf={place => (
            <Button kind="quiet" icon="records" onPress={() => navigate(recordsPath(place.topic, place.partition))}>
              {t('topics.action.records')}
            </Button>
          )}
        />
      )}
    </Card>
  )
}

function Details(options: {
  readonly detail: TopicDetail
  readonly page: TopicDetail['partitions'] | undefined
  readonly question: string
  readonly query: TopicQuery
  readonly setQuery: SetTopicQuery
  readonly onRange: (offset: number, limit: number) => void
}): VNode {
  const { detail, query, setQuery } = options
  const chosen = tabs.find(tab => tab === query.tab) ?? 'partitions'
  const counts = {
    partitions: detail.row.partitionCount,
    groups: detail.row.groupCount,
    settings: detail.settings.length
  }
  return (
    <Tabs
      label={t('topic.tabs')}
      chosen={chosen}
      onChoose={tab => setQuery({ tab })}
      tabs={tabs.map(value => ({ value, text: t(`topic.tab.${value}`), count: count(counts[value]) }))}
    >
      {chosen === 'partitions' ? (
        <TopicPartitions
          topic={detail.row.topic}
          page={options.page}
          question={options.question}
          query={query}
          setQuery={setQuery}
          onRange={options.onRange}
        />
      ) : null}
      {chosen === 'groups' ? <TopicGroups row={detail.row} /> : null}
      {chosen === 'settings' ? <TopicSettings topic={detail.row.topic} settings={detail.settings} /> : null}
    </Tabs>
  )
}
