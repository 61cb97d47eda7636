/** The partitions of a topic: leaders, replicas, ends, rates. */

import type { VNode } from 'preact'

import type { Page } from '../../../api/common.ts'
import type { TopicPartitionRow } from '../../../api/topics.ts'
import { count, rate } from '../../base/format.ts'
import { navigate } from '../../base/router.ts'
import { t } from '../../base/words.ts'
import { Badge } from '../../parts/badge.tsx'
import { Value } from '../../parts/feedback.tsx'
import { type Column, VirtualTable } from '../../parts/virtual-table.tsx'
import { rowHeightOf } from '../groups/density.tsx'
import { recordsPath } from '../groups/paths.ts'
import { useReading, useSteady } from '../groups/use-steady.ts'
import type { SetTopicQuery, TopicQuery } from './query.ts'

/** See the module. */
export function TopicPartitions(options: {
  readonly topic: string
  readonly page: Page<TopicPartitionRow> | undefined
  readonly question: string
  readonly query: TopicQuery
  readonly setQuery: SetTopicQuery
  readonly onRange: (offset: number, limit: number) => void
}): VNode {
  const { topic, page, question, query, setQuery } = options
  const [isReading, reading] = useReading()
  const keyOf = ({ partition }: TopicPartitionRow): string => String(partition)
  const shown = useSteady({ page, question, keyOf, isReading })
  return (
    <div {...reading}>
      <VirtualTable
        label={t('topic.partitions', { topic })}
        columns={[...placeColumns(), ...offsetColumns()]}
        total={shown.total}
        offset={shown.offset}
        rows={shown.rows}
        rowKey={keyOf}
        rowHeight={rowHeightOf()}
        maxHeight="min(70dvh, 760px)"
        onRange={options.onRange}
        sort={{ by: query.sort, isDescending: query.descending === 'true' }}
        onSort={({ by, isDescending }) => setQuery({ sort: by, descending: String(isDescending) })}
        onOpen={({ partition }) => navigate(recordsPath(topic, partition))}
      />
    </div>
  )
}

function placeColumns(): Column<TopicPartitionRow>[] {
  return [
    {
      key: 'partition',
      title: t('topic.column.partition'),
      sortBy: 'partition',
      isNumber: true,
      isLargestFirst: false,
      track: 'minmax(108px, 0.5fr)',
      cell: ({ partition }) => String(partition)
    },
    {
      key: 'leader',
      title: t('topic.column.leader'),
      sortBy: 'leaderId',
      isNumber: true,
      isLargestFirst: false,
      track: 'minmax(84px, 0.5fr)',
      cell: ({ leaderId }) =>
        leaderId < 0 ? <Badge level="bad">{t('topic.column.leaderNone')}</Badge> : String(leaderId)
    },
    {
      key: 'replicas',
      title: t('topic.column.replicas'),
      track: 'minmax(100px, 1fr)',
      priority: 3,
      cell: ({ replicas }) => replicas.join(', ')
    },
    {
      key: 'inSync',
      title: t('topic.column.inSync'),
      track: 'minmax(110px, 1fr)',
      priority: 2,
      cell: row => <InSync row={row} />
    }
  ]
}

function InSync({ row }: { readonly row: TopicPartitionRow }): VNode {
  const out = row.replicas.filter(id => !row.inSyncReplicas.includes(id))
  if (out.length === 0) return <span>{row.inSyncReplicas.join(', ')}</span>
  return <Badge level="warn">{t('topic.replicasOut', { ids: out.join(', ') })}</Badge>
}

function offsetColumns(): Column<TopicPartitionRow>[] {
  return [
    {
      key: 'start',
      title: t('topic.column.start'),
      isNumber: true,
      track: 'minmax(110px, 0.8fr)',
      priority: 3,
      cell: row => <Value text={count(row.logStartOffset)} why={row.problem ?? t('topics.why.records')} />
    },
    {
      key: 'end',
      title: t('topic.column.end'),
      sortBy: 'endOffset',
      isNumber: true,
      track: 'minmax(110px, 0.8fr)',
      priority: 2,
      cell: row => <Value text={count(row.endOffset)} why={row.problem ?? t('topics.why.records')} />
    },
    {
      key: 'records',
      title: t('topic.column.records'),
      help: t('topics.column.records.help'),
      isNumber: true,
      track: 'minmax(100px, 0.8fr)',
      cell: row => <Value text={count(recordsOf(row))} why={row.problem ?? t('topics.why.records')} />
    },
    {
      key: 'rate',
      title: t('topics.column.rate'),
      help: t('topics.column.rate.help'),
      sortBy: 'rate',
      isNumber: true,
      track: 'minmax(84px, 0.6fr)',
      cell: row => <Value text={rate(row.rate)} why={t('topics.why.rate')} />
    }
  ]
}

function recordsOf({ logStartOffset, endOffset }: TopicPartitionRow): string | null {
  if (logStartOffset === null || endOffset === null) return null
  return (BigInt(endOffset) - BigInt(logStartOffset)).toString()
}
