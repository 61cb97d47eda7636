/**
 * All groups, one row each: how they are, how far behind in time and records, whether that grows, and what to do.
 * Filter, sorting and search are in the address. Rows stay where they are while somebody reads (see `use-steady.ts`).
 */

import type { VNode } from 'preact'

import type { Freshness, Page as ListPage } from '../../../api/common.ts'
import { GROUP_SORTS, type GroupRow } from '../../../api/groups.ts'
import { useLive } from '../../base/live.ts'
import { navigate, useQuery } from '../../base/router.ts'
import { t } from '../../base/words.ts'
import { Button } from '../../parts/button.tsx'
import { Card } from '../../parts/card.tsx'
import { Empty, ProblemBox } from '../../parts/feedback.tsx'
import { Field, Select } from '../../parts/field.tsx'
import { Page } from '../../parts/page.tsx'
import { RowCount, VirtualTable } from '../../parts/virtual-table.tsx'
import { GROUP_CSV_HEAD, groupColumns, groupCsvRow } from './columns.tsx'
import { DensitySwitch, HeldNote, rowHeightOf } from './density.tsx'
import { DownloadButton } from './download.tsx'
import { ViewStamp } from './frame.tsx'
import { GroupForms } from './group-actions.tsx'
import { groupPath } from './paths.ts'
import { useRowMenu } from './row-menu.tsx'
import { useRange, useReading, useSteady } from './use-steady.ts'

const defaults = { find: '', status: '', sort: 'lagSeconds', descending: 'true' }
const statuses = ['ERR', 'WARN', 'OK', 'NONE'] as const

/** See the module. */
export default function GroupsPage(): VNode {
  const [query, setQuery] = useQuery(defaults)
  const list = listAddress(query)
  const [range, setRange] = useRange(list)
  const [isReading, reading] = useReading()
  const [openMenu, menu] = useRowMenu()
  const live = useLive<ListPage<GroupRow> & { readonly freshness?: Freshness }>(
    `${list}&offset=${range.offset}&limit=${range.limit}`
  )
  const keyOf = ({ groupId }: GroupRow): string => groupId
  const shown = useSteady({ page: live.value, question: list, keyOf, isReading })
  const freshness = live.value?.freshness
  return (
    <Page
      title={t('groups.title')}
      aside={<RowCount total={shown.total} />}
      actions={freshness === undefined ? null : <ViewStamp freshness={freshness} />}
    >
      {live.problem === undefined ? null : <ProblemBox problem={live.problem} isKept={shown.total !== undefined} />}
      <Card isFlush>
        <Tools query={query} setQuery={setQuery} list={list} onReorder={shown.isBehind ? shown.reorder : undefined} />
        <div class="close-cells" {...reading}>
          <VirtualTable
            label={t('groups.table')}
            columns={groupColumns(openMenu)}
            total={shown.total}
            offset={shown.offset}
            rows={shown.rows}
            rowKey={keyOf}
            rowHeight={rowHeightOf()}
            onRange={setRange}
            sort={{ by: query.sort, isDescending: query.descending === 'true' }}
            onSort={({ by, isDescending }) => setQuery({ sort: by, descending: String(isDescending) })}
            onOpen={({ groupId }) => navigate(groupPath(groupId))}
            empty={<NoGroups isFiltered={query.find !== '' || query.status !== ''} onAll={() => setQuery(defaults)} />}
          />
        </div>
      </Card>
      {menu}
      <GroupForms />
    </Page>
  )
}

type GroupsQuery = typeof defaults

/** What the server is asked; an address that somebody has edited asks for nothing that it does not know. */
function listAddress(query: GroupsQuery): string {
  const sort = GROUP_SORTS.find(name => name === query.sort) ?? defaults.sort
  const status = statuses.find(name => name === query.status)
  const asked = new URLSearchParams({ sort, descending: String(query.descending === 'true') })
  if (query.find.trim() !== '') asked.set('find', query.find.trim().slice(0, 300))
  if (status !== undefined) asked.set('status', status)
  return `/api/groups?${asked}`
}

function Tools(options: {
  readonly query: GroupsQuery
  readonly setQuery: (change: Partial<GroupsQuery>) => void
  readonly list: string
  readonly onReorder: (() => void) | undefined
}): VNode {
  const { query, setQuery } = options
  return (
    <div class="list-tools" role="search">
      <Field
        label={t('groups.find')}
        isLabelHidden
        placeholder={t('groups.find')}
        type="search"
        value={query.find}
        onValue={find => setQuery({ find })}
      />
      <Select
        label={t('groups.status')}
        isLabelHidden
        value={query.status}
        choices={[
          { value: '', text: t('groups.status.all') },
          ...statuses.map(status => ({ value: status, text: t(`groups.status.${status}`) }))
        ]}
        onValue={status => setQuery({ status })}
      />
      <div class="list-tools-end">
        <HeldNote onReorder={options.onReorder} />
        <DensitySwitch />
        <DownloadButton list={options.list} name="groups" head={GROUP_CSV_HEAD} rowOf={groupCsvRow} />
      </div>
    </div>
  )
}

function NoGroups({ isFiltered, onAll }: { readonly isFiltered: boolean; readonly onAll: () => void }): VNode {
  if (!isFiltered) {
    return (
      <Empty title={t('groups.none.title')} icon="groups">
        {t('groups.none.text')}
      </Empty>
    )
  }
  return (
    <Empty
      title={t('groups.noneFound.title')}
      icon="search"
      actions={<Button onPress={onAll}>{t('groups.showAll')}</Button>}
    >
      {t('groups.noneFound.text')}
    </Empty>
  )
}
