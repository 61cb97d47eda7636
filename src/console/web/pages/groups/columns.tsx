/** The columns of the table of groups, and the same numbers for a download. */

import type { VNode } from 'preact'

import type { GroupRow } from '../../../api/groups.ts'
import { ago, count, rate, seconds, time } from '../../base/format.ts'
import { healthNow } from '../../base/old-numbers.ts'
import { Link } from '../../base/router.ts'
import { language, t } from '../../base/words.ts'
import { Value } from '../../parts/feedback.tsx'
import { Health } from '../../parts/health.tsx'
import { Sparkline } from '../../parts/sparkline.tsx'
import type { Column } from '../../parts/virtual-table.tsx'
import type { CsvCell } from './csv.ts'
import { RowMenuButton, type OpenRowMenu } from './row-menu.tsx'
import { groupMenu } from './group-actions.tsx'
import { groupPath } from './paths.ts'
import { groupSigns, GroupStatus, LagRecords, LagTime, Signs, SloNote, Trend } from './signs.tsx'

/** The columns; `onMenu` opens the actions of a row. */
export function groupColumns(onMenu: OpenRowMenu): readonly Column<GroupRow>[] {
  return [...nameColumns(), ...lagColumns(), ...rateColumns(), ...restColumns(onMenu)]
}

function nameColumns(): Column<GroupRow>[] {
  return [
    {
      key: 'group',
      title: t('groups.column.group'),
      sortBy: 'groupId',
      track: 'minmax(140px, 2.2fr)',
      cell: row => <GroupName row={row} />
    },
    {
      key: 'status',
      title: t('groups.column.status'),
      sortBy: 'status',
      isLargestFirst: true,
      track: 'minmax(72px, 0.3fr)',
      priority: 2,
      cell: ({ status }) => <GroupStatus status={status} />
    }
  ]
}

/** The sign of a group's health and its name, which leads to its page. */
function GroupName({ row }: { readonly row: GroupRow }): VNode {
  return (
    <span class="group-name">
      <Health level={healthNow(row.health)} isWordHidden />
      <Link class="cut" to={groupPath(row.groupId)} title={row.groupId}>
        {row.groupId}
      </Link>
    </span>
  )
}

function lagColumns(): Column<GroupRow>[] {
  return [
    {
      key: 'lagSeconds',
      title: t('groups.column.lagSeconds'),
      help: t('groups.column.lagSeconds.help'),
      sortBy: 'lagSeconds',
      isNumber: true,
      track: `minmax(${px(118, 152)}, 0.7fr)`,
      cell: row => (
        <>
          <LagTime {...row} />
          <SloNote {...row} />
        </>
      )
    },
    {
      key: 'history',
      title: t('groups.column.history'),
      track: '72px',
      priority: 3,
      cell: row => (
        <Sparkline
          values={row.sparkline}
          label={t('groups.column.lagSeconds')}
          format={seconds}
          width={60}
          limit={row.sloSeconds}
        />
      )
    },
    {
      key: 'trend',
      title: t('groups.column.trend'),
      help: t('groups.column.trend.help'),
      sortBy: 'trend',
      isNumber: true,
      track: `minmax(${px(78, 92)}, 0.5fr)`,
      priority: 2,
      cell: row => <Trend row={row} />
    },
    {
      key: 'lagRecords',
      title: t('groups.column.lagRecords'),
      help: t('groups.column.lagRecords.help'),
      sortBy: 'lagRecords',
      isNumber: true,
      track: 'minmax(92px, 0.6fr)',
      priority: 2,
      cell: row => <LagRecords row={row} />
    }
  ]
}

function rateColumns(): Column<GroupRow>[] {
  return [
    {
      key: 'arrival',
      title: t('groups.column.arrival'),
      help: t('groups.column.arrival.help'),
      sortBy: 'arrivalRate',
      isNumber: true,
      track: `minmax(${px(68, 80)}, 0.5fr)`,
      priority: 3,
      cell: row => <Value text={rate(row.arrivalRate)} why={t('groups.why.rate')} />
    },
    {
      key: 'service',
      title: t('groups.column.service'),
      help: t('groups.column.service.help'),
      sortBy: 'serviceRate',
      isNumber: true,
      track: 'minmax(68px, 0.5fr)',
      priority: 3,
      cell: row => <Value text={rate(row.serviceRate)} why={t('groups.why.rate')} />
    },
    {
      key: 'drain',
      title: t('groups.column.drain'),
      help: t('groups.column.drain.help'),
      sortBy: 'drainSeconds',
      isNumber: true,
      track: `minmax(${px(80, 96)}, 0.6fr)`,
      priority: 2,
      cell: row => <Value text={seconds(row.drainSeconds)} why={t('groups.why.drain')} />
    }
  ]
}

function restColumns(onMenu: OpenRowMenu): Column<GroupRow>[] {
  return [
    {
      key: 'members',
      title: t('groups.column.members'),
      help: t('groups.column.members.help'),
      sortBy: 'members',
      isNumber: true,
      track: 'minmax(96px, 0.5fr)',
      priority: 4,
      cell: row => <Members row={row} />
    },
    {
      key: 'rebalance',
      title: t('groups.column.rebalance'),
      help: t('groups.column.rebalance.help'),
      sortBy: 'lastRebalanceMs',
      isNumber: true,
      track: `minmax(${px(96, 128)}, 0.7fr)`,
      priority: 4,
      cell: ({ lastRebalanceMs }) => (
        <Value text={ago(lastRebalanceMs)} why={t('groups.why.rebalance')} title={time(lastRebalanceMs)} />
      )
    },
    {
      key: 'flags',
      title: t('groups.column.flags'),
      help: t('groups.column.flags.help'),
      track: `minmax(${px(120, 96)}, 1fr)`,
      priority: 2,
      cell: row => <Signs signs={groupSigns(row)} most={1} />
    },
    {
      key: 'actions',
      title: t('groups.column.actions'),
      track: '76px',
      cell: row => (
        <RowMenuButton
          label={t('groups.actions', { group: row.groupId })}
          items={() => groupMenu(row)}
          onOpen={onMenu}
        />
      )
    }
  ]
}

/** Members and partitions of a group, in one cell. */
export function Members({ row }: { readonly row: GroupRow }): VNode {
  const [members, partitions] = [count(row.memberCount), count(row.partitionCount)]
  return (
    <span title={t('groups.membersTitle', { members, partitions })}>
      {t('groups.members', { members, partitions })}
    </span>
  )
}

/** Narrowest width of a column: Portuguese writes `12 min 14 s` where English writes `12m 14s`. */
export function px(english: number, portuguese: number): string {
  return `${language.value === 'pt-BR' ? portuguese : english}px`
}

/** Names of the columns of a download: they are for programs and stay in English, as the API has them. */
export const GROUP_CSV_HEAD = [
  'groupId',
  'status',
  'state',
  'health',
  'lagSeconds',
  'isLagEstimated',
  'sloSeconds',
  'lagRecords',
  'unknownPartitions',
  'arrivalRate',
  'serviceRate',
  'trend',
  'drainSeconds',
  'members',
  'partitions',
  'lastRebalance',
  'headroomSeconds',
  'flags',
  'topics',
  'problem'
] as const

/** A row of a download. */
export function groupCsvRow(row: GroupRow): readonly CsvCell[] {
  return [
    row.groupId,
    row.status,
    row.state,
    row.health,
    row.lagSeconds,
    row.isLagEstimated,
    row.sloSeconds,
    row.lagRecords,
    row.unknownCount,
    row.arrivalRate,
    row.serviceRate,
    row.trend,
    row.drainSeconds,
    row.memberCount,
    row.partitionCount,
    row.lastRebalanceMs === null ? null : new Date(row.lastRebalanceMs).toISOString(),
    row.headroomSeconds,
    row.flags.join(' '),
    row.topics.join(' '),
    row.problem
  ]
}
