/** All topics, with the groups that read them. Internal ones are hidden until they are asked for. */

import type { VNode } from 'preact'

import type { Freshness, Page as ListPage } from '../../../api/common.ts'
import { TOPIC_SORTS, type TopicRow } from '../../../api/topics.ts'
import { useLive } from '../../base/live.ts'
import { navigate, useQuery } from '../../base/router.ts'
import { canChange } from '../../base/session.ts'
import { t } from '../../base/words.ts'
import { Button } from '../../parts/button.tsx'
import { Card } from '../../parts/card.tsx'
import { Empty, ProblemBox } from '../../parts/feedback.tsx'
import { Field, Select } from '../../parts/field.tsx'
import { Page } from '../../parts/page.tsx'
import { RowCount, VirtualTable } from '../../parts/virtual-table.tsx'
import { DensitySwitch, HeldNote, rowHeightOf } from '../groups/density.tsx'
import { DownloadButton } from '../groups/download.tsx'
import { ViewStamp } from '../groups/frame.tsx'
import { topicPath } from '../groups/paths.ts'
import { useRowMenu } from '../groups/row-menu.tsx'
import { useRange, useReading, useSteady } from '../groups/use-steady.ts'
import { TOPIC_CSV_HEAD, topicColumns, topicCsvRow } from './columns.tsx'
import { openCreateForm, TopicForms } from './topic-forms.tsx'

const defaults = { find: '', role: 'shown', sort: 'topic', descending: 'false' }
const roles = ['events', 'deadLetters', 'retries', 'other', 'internal'] as const

type TopicsQuery = typeof defaults

/** See the module. */
export default function TopicsPage(): VNode {
  const [query, setQuery] = useQuery(defaults)
  const list = listAddress(query)
  const [range, setRange] = useRange(list)
  const [isReading, reading] = useReading()
  const [openMenu, menu] = useRowMenu()
  const live = useLive<ListPage<TopicRow> & { readonly freshness?: Freshness }>(
    `${list}&offset=${range.offset}&limit=${range.limit}`
  )
  const keyOf = ({ topic }: TopicRow): string => topic
  const shown = useSteady({ page: live.value, question: list, keyOf, isReading })
  return (
    <Page title={t('topics.title')} aside={<RowCount total={shown.total} />} actions={<Actions live={live.value} />}>
      {live.problem === undefined ? null : <ProblemBox problem={live.problem} isKept={shown.total !== undefined} />}
      <Card isFlush>
        <Tools query={query} setQuery={setQuery} list={list} onReorder={shown.isBehind ? shown.reorder : undefined} />
        <div {...reading}>
          <VirtualTable
            label={t('topics.table')}
            columns={topicColumns(openMenu)}
            total={shown.total}
            offset={shown.offset}
            rows={shown.rows}
            rowKey={keyOf}
            rowHeight={rowHeightOf()}
            onRange={setRange}
            sort={{ by: query.sort, isDescending: query.descending === 'true' }}
            onSort={({ by, isDescending }) => setQuery({ sort: by, descending: String(isDescending) })}
            onOpen={({ topic }) => navigate(topicPath(topic))}
            empty={
              <NoTopics isFiltered={query.find !== '' || query.role !== 'shown'} onAll={() => setQuery(defaults)} />
            }
          />
        </div>
      </Card>
      {menu}
      <TopicForms />
    </Page>
  )
}

function Actions({ live }: { readonly live: { readonly freshness?: Freshness } | undefined }): VNode {
  const isAllowed = canChange.value
  return (
    <>
      {live?.freshness === undefined ? null : <ViewStamp freshness={live.freshness} />}
      <Button
        icon="plus"
        isDisabled={!isAllowed}
        {...(isAllowed ? {} : { title: t('groups.viewer') })}
        onPress={openCreateForm}
      >
        {t('topics.create')}
      </Button>
    </>
  )
}

/** What the server is asked; an address that somebody has edited asks for nothing that it does not know. */
function listAddress(query: TopicsQuery): string {
  const sort = TOPIC_SORTS.find(name => name === query.sort) ?? defaults.sort
  const asked = new URLSearchParams({ sort, descending: String(query.descending === 'true') })
  if (query.find.trim() !== '') asked.set('find', query.find.trim().slice(0, 300))
  const role = roles.find(name => name === query.role)
  if (role !== undefined) asked.set('role', role)
  else if (query.role !== 'all') asked.set('role', roles.filter(name => name !== 'internal').join(','))
  return `/api/topics?${asked}`
}

function Tools(options: {
  readonly query: TopicsQuery
  readonly setQuery: (change: Partial<TopicsQuery>) => void
  readonly list: string
  readonly onReorder: (() => void) | undefined
}): VNode {
  const { query, setQuery } = options
  return (
    <div class="list-tools" role="search">
      <Field
        label={t('topics.find')}
        isLabelHidden
        placeholder={t('topics.find')}
        type="search"
        value={query.find}
        onValue={find => setQuery({ find })}
      />
      <Select
        label={t('topics.role')}
        isLabelHidden
        value={query.role}
        choices={[
          { value: 'shown', text: t('topics.role.shown') },
          ...roles.map(role => ({ value: role, text: t(`topics.role.${role}`) })),
          { value: 'all', text: t('topics.role.all') }
        ]}
        onValue={role => setQuery({ role })}
      />
      <div class="list-tools-end">
        <HeldNote onReorder={options.onReorder} />
        <DensitySwitch />
        <DownloadButton list={options.list} name="topics" head={TOPIC_CSV_HEAD} rowOf={topicCsvRow} />
      </div>
    </div>
  )
}

function NoTopics({ isFiltered, onAll }: { readonly isFiltered: boolean; readonly onAll: () => void }): VNode {
  if (!isFiltered) {
    return (
      <Empty title={t('topics.none.title')} icon="topics">
        {t('topics.none.text')}
      </Empty>
    )
  }
  return (
    <Empty
      title={t('topics.noneFound.title')}
      icon="search"
      actions={<Button onPress={onAll}>{t('groups.showAll')}</Button>}
    >
      {t('topics.noneFound.text')}
    </Empty>
  )
}
