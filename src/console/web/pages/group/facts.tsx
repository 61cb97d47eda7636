/** The facts about a group, in large numbers. */

import type { VNode } from 'preact'

import type { GroupRow } from '../../../api/groups.ts'
import { ago, count, rate, seconds, time } from '../../base/format.ts'
import { Link } from '../../base/router.ts'
import { t } from '../../base/words.ts'
import { Value } from '../../parts/feedback.tsx'
import { topicPath } from '../groups/paths.ts'
import { FactBox, LagRecords, LagTime, SloNote, Trend } from '../groups/signs.tsx'

/** Topics that are named. */
const TOPICS_MAX = 6

/** See the module. */
export function GroupFacts({ row }: { readonly row: GroupRow }): VNode {
  return (
    <dl class="facts facts-eight" aria-label={t('group.facts')}>
      <FactBox name={t('group.fact.lag')} help={t('groups.column.lagSeconds.help')} note={<SloNote {...row} />}>
        <LagTime {...row} />
      </FactBox>
      <FactBox name={t('group.fact.records')} help={t('groups.column.lagRecords.help')} note={<Trend row={row} />}>
        <LagRecords row={row} />
      </FactBox>
      <FactBox name={t('groups.column.arrival')} help={t('groups.column.arrival.help')}>
        <Value text={rate(row.arrivalRate)} why={t('groups.why.rate')} />
      </FactBox>
      <FactBox name={t('groups.column.service')} help={t('groups.column.service.help')}>
        <Value text={rate(row.serviceRate)} why={t('groups.why.rate')} />
      </FactBox>
      <FactBox name={t('group.fact.drain')} help={t('groups.column.drain.help')}>
        <Value text={seconds(row.drainSeconds)} why={t('groups.why.drain')} />
      </FactBox>
      <FactBox name={t('group.fact.members')}>
        {t('groups.members', { members: count(row.memberCount), partitions: count(row.partitionCount) })}
      </FactBox>
      <FactBox name={t('group.fact.rebalance')} help={t('groups.column.rebalance.help')}>
        <Value text={ago(row.lastRebalanceMs)} why={t('groups.why.rebalance')} title={time(row.lastRebalanceMs)} />
      </FactBox>
      <FactBox name={t('group.fact.headroom')} help={t('group.fact.headroom.help')}>
        <Value text={seconds(row.headroomSeconds)} why={t('groups.why.headroom')} />
      </FactBox>
    </dl>
  )
}

/** Topics that a group reads; many are named by a number. */
export function GroupTopics({ topics }: { readonly topics: readonly string[] }): VNode | null {
  if (topics.length === 0) return null
  const rest = topics.length - TOPICS_MAX
  return (
    <span class="group-topics">
      <span class="soft">{t('group.reads')}</span>
      {topics.slice(0, TOPICS_MAX).map(topic => (
        <Link key={topic} to={topicPath(topic)} class="mono">
          {topic}
        </Link>
      ))}
      {rest > 0 ? (
        <span class="soft" title={topics.slice(TOPICS_MAX).join('\n')}>
          {t('group.topicsMore', { count: rest })}
        </span>
      ) : null}
    </span>
  )
}
