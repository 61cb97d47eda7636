/** The partitions of a group, in a table of any length. */

import type { VNode } from 'preact'

import type { Page } from '../../../api/common.ts'
import type { PartitionRow } from '../../../api/groups.ts'
import { count, rate, seconds } from '../../base/format.ts'
import { isWordKey, t } from '../../base/words.ts'
import { Empty, Value } from '../../parts/feedback.tsx'
import { Field } from '../../parts/field.tsx'
import type { MenuItem } from '../../parts/menu.tsx'
import { type Column, VirtualTable } from '../../parts/virtual-table.tsx'
import { px } from '../groups/columns.tsx'
import { DensitySwitch, HeldNote, rowHeightOf } from '../groups/density.tsx'
import { type OpenRowMenu, RowMenuButton, useRowMenu } from '../groups/row-menu.tsx'
import { LagTime, partitionSigns, PartitionStatus, Signs } from '../groups/signs.tsx'
import { useReading, useSteady } from '../groups/use-steady.ts'
import type { GroupQuery, SetGroupQuery } from './query.ts'

/** What the table is given. */
export interface PartitionsOptions {
  readonly groupId: string
  readonly page: Page<PartitionRow> | undefined
  readonly question: string
  readonly query: GroupQuery
  readonly setQuery: SetGroupQuery
  readonly onRange: (offset: number, limit: number) => void
  readonly menuOf: (row: PartitionRow) => readonly MenuItem[]
}

/** See the module. */
export function Partitions(options: PartitionsOptions): VNode {
  const { groupId, page, question, query, setQuery } = options
  const [isReading, reading] = useReading()
  const [openMenu, menu] = useRowMenu()
  const keyOf = ({ topic, partition }: PartitionRow): string => `${topic}-${partition}`
  const shown = useSteady({ page, question, keyOf, isReading })
  return (
    <>
      <div class="list-tools">
        <Field
          label={t('group.findTopic')}
          isLabelHidden
          placeholder={t('group.findTopic')}
          type="search"
          value={query.find}
          onValue={find => setQuery({ find })}
        />
        <div class="list-tools-end">
          <HeldNote onReorder={shown.isBehind ? shown.reorder : undefined} />
          <DensitySwitch />
        </div>
      </div>
      <div class="close-cells" {...reading}>
        <VirtualTable
          label={t('group.partitions', { group: groupId })}
          columns={[...placeColumns(), ...flowColumns(), ...ownerColumns(openMenu, options.menuOf)]}
          total={shown.total}
          offset={shown.offset}
          rows={shown.rows}
          rowKey={keyOf}
          rowHeight={rowHeightOf()}
          maxHeight="min(70dvh, 760px)"
          onRange={options.onRange}
          sort={{ by: query.sort, isDescending: query.descending === 'true' }}
          onSort={({ by, isDescending }) => setQuery({ sort: by, descending: String(isDescending) })}
          empty={<Empty title={t('heat.none')} />}
        />
      </div>
      {menu}
    </>
  )
}

function placeColumns(): Column<PartitionRow>[] {
  return [
    {
      key: 'partition',
      title: t('group.column.partition'),
      sortBy: 'partition',
      track: 'minmax(130px, 1.6fr)',
      cell: row => <span class="mono" title={placeTitle(row)}>{`${row.topic}-${row.partition}`}</span>
    },
    {
      key: 'status',
      title: t('groups.column.status'),
      sortBy: 'status',
      isLargestFirst: true,
      track: 'minmax(84px, 0.5fr)',
      priority: 2,
      cell: ({ status }) => <PartitionStatus status={status} />
    },
    {
      key: 'lagSeconds',
      title: t('groups.column.lagSeconds'),
      help: t('groups.column.lagSeconds.help'),
      sortBy: 'lagSeconds',
      isNumber: true,
      track: `minmax(${px(88, 108)}, 0.8fr)`,
      cell: row => <LagTime {...row} />
    },
    {
      key: 'lagRecords',
      title: t('groups.column.lagRecords'),
      help: t('groups.column.lagRecords.help'),
      sortBy: 'lagRecords',
      isNumber: true,
      track: 'minmax(96px, 0.8fr)',
      priority: 2,
      cell: row => <Value text={count(row.lagRecords)} why={t('groups.why.lagRecords')} title={count(row.lagRecords)} />
    },
    {
      key: 'committed',
      title: t('group.column.committed'),
      isNumber: true,
      track: 'minmax(96px, 0.8fr)',
      priority: 3,
      cell: row => <Value text={count(row.committed)} why={t('groups.why.offset')} title={placeTitle(row)} />
    },
    {
      key: 'end',
      title: t('group.column.end'),
      isNumber: true,
      track: 'minmax(96px, 0.8fr)',
      priority: 4,
      cell: row => <Value text={count(row.endOffset)} why={t('groups.why.offset')} title={count(row.endOffset)} />
    }
  ]
}

function placeTitle({ committed, logStartOffset }: PartitionRow): string {
  return t('group.nextRecord', { offset: count(committed), start: count(logStartOffset) })
}

function flowColumns(): Column<PartitionRow>[] {
  return [
    {
      key: 'arrival',
      title: t('groups.column.arrival'),
      help: t('groups.column.arrival.help'),
      sortBy: 'arrivalRate',
      isNumber: true,
      track: `minmax(${px(68, 80)}, 0.6fr)`,
      priority: 2,
      cell: row => <Value text={rate(row.arrivalRate)} why={t('groups.why.rate')} />
    },
    {
      key: 'service',
      title: t('groups.column.service'),
      help: t('groups.column.service.help'),
      sortBy: 'serviceRate',
      isNumber: true,
      track: 'minmax(72px, 0.6fr)',
      priority: 2,
      cell: row => <Value text={rate(row.serviceRate)} why={t('groups.why.rate')} />
    },
    {
      key: 'drain',
      title: t('groups.column.drain'),
      help: t('groups.column.drain.help'),
      sortBy: 'drainSeconds',
      isNumber: true,
      track: `minmax(${px(80, 96)}, 0.6fr)`,
      priority: 3,
      cell: row => <Value text={seconds(row.drainSeconds)} why={t('groups.why.drain')} />
    },
    {
      key: 'headroom',
      title: t('group.column.headroom'),
      help: t('group.fact.headroom.help'),
      sortBy: 'headroomSeconds',
      isNumber: true,
      isLargestFirst: false,
      track: 'minmax(84px, 0.6fr)',
      priority: 4,
      cell: row => <Value text={seconds(row.headroomSeconds)} why={t('groups.why.headroom')} />
    }
  ]
}

function ownerColumns(onMenu: OpenRowMenu, menuOf: (row: PartitionRow) => readonly MenuItem[]): Column<PartitionRow>[] {
  return [
    {
      key: 'owner',
      title: t('group.column.owner'),
      track: 'minmax(110px, 1.3fr)',
      priority: 2,
      cell: ({ owner }) =>
        owner === '' ? <Value text="–" why={t('groups.why.owner')} /> : <span title={owner}>{owner}</span>
    },
    {
      key: 'flags',
      title: t('groups.column.flags'),
      help: t('groups.column.flags.help'),
      track: 'minmax(100px, 1.1fr)',
      priority: 3,
      cell: row => <PartitionSigns row={row} />
    },
    {
      key: 'actions',
      title: t('groups.column.actions'),
      track: '76px',
      cell: row => (
        <RowMenuButton
          label={t('group.partitionActions', { name: `${row.topic}-${row.partition}` })}
          items={() => menuOf(row)}
          onOpen={onMenu}
        />
      )
    }
  ]
}

function PartitionSigns({ row }: { readonly row: PartitionRow }): VNode {
  // That an operator holds it is a sign of its own.
  const held = row.heldUpBy === null || row.isPaused === true ? undefined : heldText(row.heldUpBy)
  return (
    <>
      <Signs signs={partitionSigns(row)} most={1} />
      {held === undefined ? null : (
        <span class="soft" title={t('group.heldUp', { reason: held })}>
          {' '}
          {held}
        </span>
      )}
    </>
  )
}

/** A reason in the reader's words; one of a newer dispatcher is shown as it is. */
function heldText(reason: string): string {
  const key = [`flow.block.${reason}`, `group.held.${reason}`].find(isWordKey)
  return key === undefined ? reason : t(key)
}
