/** The columns of the table of topics, and the same for a download. */

import './topics.css'

import type { VNode } from 'preact'

import type { HealthLevel } from '../../../api/common.ts'
import type { TopicRow } from '../../../api/topics.ts'
import { compact, count, rate, seconds } from '../../base/format.ts'
import { Link } from '../../base/router.ts'
import { t } from '../../base/words.ts'
import { Badge } from '../../parts/badge.tsx'
import { Value } from '../../parts/feedback.tsx'
import { Health } from '../../parts/health.tsx'
import type { Column } from '../../parts/virtual-table.tsx'
import type { CsvCell } from '../groups/csv.ts'
import { groupPath, topicPath } from '../groups/paths.ts'
import { type OpenRowMenu, RowMenuButton } from '../groups/row-menu.tsx'
import { topicMenu } from './topic-actions.tsx'

/** Groups that a row names; the others are a number that names them. */
const READERS_SHOWN = 2

/** The columns; `onMenu` opens the actions of a row. */
export function topicColumns(onMenu: OpenRowMenu): readonly Column<TopicRow>[] {
  return [...nameColumns(), ...numberColumns(), ...readerColumns(onMenu)]
}

function nameColumns(): Column<TopicRow>[] {
  return [
    {
      key: 'topic',
      title: t('topics.column.topic'),
      sortBy: 'topic',
      track: 'minmax(150px, 1.8fr)',
      cell: ({ topic }) => (
        <Link class="mono topic-name" to={topicPath(topic)} title={topic}>
          {topic}
        </Link>
      )
    },
    {
      key: 'role',
      title: t('topics.role'),
      track: 'minmax(118px, 0.7fr)',
      priority: 3,
      cell: row => <TopicRole row={row} />
    }
  ]
}

function numberColumns(): Column<TopicRow>[] {
  return [
    {
      key: 'partitions',
      title: t('topics.column.partitions'),
      sortBy: 'partitionCount',
      isNumber: true,
      track: 'minmax(104px, 0.5fr)',
      priority: 2,
      cell: row => <span title={partitionsTitle(row)}>{count(row.partitionCount)}</span>
    },
    {
      key: 'records',
      title: t('topics.column.records'),
      help: t('topics.column.records.help'),
      sortBy: 'records',
      isNumber: true,
      track: 'minmax(92px, 0.7fr)',
      priority: 2,
      cell: row => <Value text={compact(row.records)} why={t('topics.why.records')} title={count(row.records)} />
    },
    {
      key: 'rate',
      title: t('topics.column.rate'),
      help: t('topics.column.rate.help'),
      sortBy: 'rate',
      isNumber: true,
      track: 'minmax(76px, 0.6fr)',
      cell: row => <Value text={rate(row.rate)} why={t('topics.why.rate')} />
    },
    {
      key: 'lag',
      title: t('topics.column.lag'),
      help: t('topics.column.lag.help'),
      sortBy: 'lagRecords',
      isNumber: true,
      track: 'minmax(76px, 0.6fr)',
      priority: 2,
      cell: row => <Value text={compact(row.lagRecords)} why={t('topics.why.lag')} title={count(row.lagRecords)} />
    }
  ]
}

function readerColumns(onMenu: OpenRowMenu): Column<TopicRow>[] {
  return [
    {
      key: 'groups',
      title: t('topics.column.groups'),
      help: t('topics.column.groups.help'),
      sortBy: 'groupCount',
      isLargestFirst: true,
      track: 'minmax(180px, 2.4fr)',
      priority: 2,
      cell: row => <Readers row={row} />
    },
    {
      key: 'replicas',
      title: t('topics.column.health'),
      help: t('topics.column.health.help'),
      track: 'minmax(134px, 0.8fr)',
      priority: 3,
      cell: row => <Replicas row={row} />
    },
    {
      key: 'actions',
      title: t('topics.column.actions'),
      track: '80px',
      cell: row => (
        <RowMenuButton label={t('topics.actions', { topic: row.topic })} items={() => topicMenu(row)} onOpen={onMenu} />
      )
    }
  ]
}

/** Partitions and replicas in words. */
export function partitionsTitle({ partitionCount, replicationFactor }: TopicRow): string {
  return t('topics.partitionsTitle', { partitions: partitionCount, replicas: replicationFactor })
}

/** What a topic is in this pipeline. */
export function TopicRole({ row }: { readonly row: TopicRow }): VNode {
  return <Badge title={t(`topics.roleHelp.${row.role}`)}>{t(`topics.role.${row.role}`)}</Badge>
}

function Readers({ row }: { readonly row: TopicRow }): VNode {
  const { groups, groupCount } = row
  if (groupCount === 0) return <span class="soft">{t('topics.groups.none')}</span>
  const rest = groups.slice(READERS_SHOWN)
  return (
    <span class="readers">
      {groups.slice(0, READERS_SHOWN).map(each => (
        <Link key={each.groupId} class="reader" to={groupPath(each.groupId)} title={readerTitle(each)}>
          <span class="cut">{each.groupId}</span>
          <span class={`reader-lag ${each.lagRecords === '0' ? '' : 'reader-lag-waits'}`}>
            {compact(each.lagRecords)}
          </span>
        </Link>
      ))}
      {groupCount > READERS_SHOWN ? (
        <span class="soft" title={rest.map(readerTitle).join('\n')}>
          {t('topics.groups.more', { count: groupCount - READERS_SHOWN })}
        </span>
      ) : null}
    </span>
  )
}

function readerTitle({ groupId, lagRecords, lagSeconds }: TopicRow['groups'][number]): string {
  return t('topics.group.title', { group: groupId, records: count(lagRecords), time: seconds(lagSeconds) })
}

/** Whether all replicas are there. */
export function Replicas({ row }: { readonly row: TopicRow }): VNode {
  const { level, word } = replicasOf(row)
  return <Health level={level} word={word} title={row.problem ?? t('topics.column.health.help')} />
}

function replicasOf(row: TopicRow): { readonly level: HealthLevel; readonly word: string } {
  if (row.offlineCount > 0) return { level: 'bad', word: t('topics.replicas.offline', { count: row.offlineCount }) }
  if (row.underReplicatedCount > 0) {
    return { level: 'warn', word: t('topics.replicas.under', { count: row.underReplicatedCount }) }
  }
  if (row.problem !== null) return { level: 'unknown', word: t('topics.replicas.unknown') }
  return { level: 'good', word: t('topics.replicas.good') }
}

/** Names of the columns of a download: for programs, in English, as the API has them. */
export const TOPIC_CSV_HEAD = [
  'topic',
  'role',
  'partitions',
  'replicationFactor',
  'records',
  'rate',
  'lagRecords',
  'groups',
  'groupCount',
  'offlinePartitions',
  'underReplicatedPartitions',
  'problem'
] as const

/** A row of a download. */
export function topicCsvRow(row: TopicRow): readonly CsvCell[] {
  return [
    row.topic,
    row.role,
    row.partitionCount,
    row.replicationFactor,
    row.records,
    row.rate,
    row.lagRecords,
    row.groups.map(({ groupId, lagRecords }) => `${groupId}=${lagRecords}`).join(' '),
    row.groupCount,
    row.offlineCount,
    row.underReplicatedCount,
    row.problem
  ]
}
