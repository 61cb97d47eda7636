/** The groups that read a topic. */

import type { VNode } from 'preact'

import type { TopicRow } from '../../../api/topics.ts'
import { count, seconds } from '../../base/format.ts'
import { Link, navigate } from '../../base/router.ts'
import { t } from '../../base/words.ts'
import { Empty, Value } from '../../parts/feedback.tsx'
import { type Column, VirtualTable } from '../../parts/virtual-table.tsx'
import { rowHeightOf } from '../groups/density.tsx'
import { groupPath } from '../groups/paths.ts'

type Reader = TopicRow['groups'][number]

/** See the module. */
export function TopicGroups({ row }: { readonly row: TopicRow }): VNode {
  const { groups, groupCount } = row
  return (
    <>
      <VirtualTable
        label={t('topic.tab.groups')}
        columns={readerColumns()}
        total={groups.length}
        offset={0}
        rows={groups}
        rowKey={({ groupId }) => groupId}
        rowHeight={rowHeightOf()}
        onOpen={({ groupId }) => navigate(groupPath(groupId))}
        empty={
          <Empty title={t('topic.groups.none')} icon="groups">
            {t('topic.groups.noneText')}
          </Empty>
        }
      />
      {groupCount > groups.length ? (
        <p class="group-tab soft">{t('topic.groups.more', { shown: groups.length, count: groupCount })}</p>
      ) : null}
    </>
  )
}

function readerColumns(): readonly Column<Reader>[] {
  return [
    {
      key: 'group',
      title: t('groups.column.group'),
      track: 'minmax(160px, 2fr)',
      cell: ({ groupId }) => (
        <Link to={groupPath(groupId)} title={groupId}>
          {groupId}
        </Link>
      )
    },
    {
      key: 'lagSeconds',
      title: t('groups.column.lagSeconds'),
      help: t('groups.column.lagSeconds.help'),
      isNumber: true,
      track: 'minmax(110px, 1fr)',
      cell: ({ lagSeconds }) => <Value text={seconds(lagSeconds)} why={t('groups.why.lag')} />
    },
    {
      key: 'lagRecords',
      title: t('groups.column.lagRecords'),
      help: t('groups.column.lagRecords.help'),
      isNumber: true,
      track: 'minmax(110px, 1fr)',
      cell: ({ lagRecords }) => count(lagRecords)
    }
  ]
}
