/** The members of a group. */

import type { VNode } from 'preact'

import type { MemberRow } from '../../../api/groups.ts'
import { count } from '../../base/format.ts'
import { t } from '../../base/words.ts'
import { Empty } from '../../parts/feedback.tsx'
import { type Column, VirtualTable } from '../../parts/virtual-table.tsx'
import { rowHeightOf } from '../groups/density.tsx'
import { memberMenu } from '../groups/group-actions.tsx'
import { type OpenRowMenu, RowMenuButton, useRowMenu } from '../groups/row-menu.tsx'

/** See the module. */
export function Members(options: { readonly groupId: string; readonly members: readonly MemberRow[] }): VNode {
  const { groupId, members } = options
  const [openMenu, menu] = useRowMenu()
  return (
    <>
      <VirtualTable
        label={t('group.tab.members')}
        columns={memberColumns(groupId, openMenu)}
        total={members.length}
        offset={0}
        rows={members}
        rowKey={({ memberId }) => memberId}
        rowHeight={rowHeightOf()}
        maxHeight="min(70dvh, 760px)"
        empty={
          <Empty title={t('group.members.none')} icon="groups">
            {t('group.members.noneText')}
          </Empty>
        }
      />
      {menu}
    </>
  )
}

function memberColumns(groupId: string, onMenu: OpenRowMenu): readonly Column<MemberRow>[] {
  return [
    {
      key: 'clientId',
      title: t('group.column.clientId'),
      track: 'minmax(130px, 1.2fr)',
      cell: ({ clientId }) => <span title={clientId}>{clientId}</span>
    },
    {
      key: 'host',
      title: t('group.column.host'),
      track: 'minmax(100px, 0.8fr)',
      priority: 2,
      cell: ({ host }) => <span class="mono">{host}</span>
    },
    {
      key: 'memberId',
      title: t('group.column.memberId'),
      track: 'minmax(140px, 2fr)',
      priority: 3,
      cell: ({ memberId }) => (
        <span class="mono soft" title={memberId}>
          {memberId}
        </span>
      )
    },
    {
      key: 'partitions',
      title: t('group.column.partitions'),
      isNumber: true,
      track: 'minmax(84px, 0.5fr)',
      cell: ({ partitionCount }) => count(partitionCount)
    },
    {
      key: 'lagRecords',
      title: t('groups.column.lagRecords'),
      help: t('groups.column.lagRecords.help'),
      isNumber: true,
      track: 'minmax(110px, 0.7fr)',
      priority: 2,
      cell: ({ lagRecords }) => count(lagRecords)
    },
    {
      key: 'actions',
      title: t('groups.column.actions'),
      track: '80px',
      cell: row => (
        <RowMenuButton
          label={t('group.memberActions', { name: row.clientId })}
          items={() => memberMenu(groupId, row)}
          onOpen={onMenu}
        />
      )
    }
  ]
}
