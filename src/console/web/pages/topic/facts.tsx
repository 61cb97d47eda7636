/** The facts about a topic, in large numbers. */

import type { VNode } from 'preact'

import type { TopicRow } from '../../../api/topics.ts'
import { compact, count, rate } from '../../base/format.ts'
import { t } from '../../base/words.ts'
import { Value } from '../../parts/feedback.tsx'
import { FactBox } from '../groups/signs.tsx'

/** See the module. */
export function TopicFacts({ row }: { readonly row: TopicRow }): VNode {
  return (
    <dl class="facts" aria-label={t('topic.facts')}>
      <FactBox name={t('topic.fact.partitions')}>{count(row.partitionCount)}</FactBox>
      <FactBox name={t('topic.fact.replicas')}>{count(row.replicationFactor)}</FactBox>
      <FactBox name={t('topics.column.records')} help={t('topics.column.records.help')}>
        <Value text={count(row.records)} why={t('topics.why.records')} />
      </FactBox>
      <FactBox name={t('topics.column.rate')} help={t('topics.column.rate.help')}>
        <Value text={rate(row.rate)} why={t('topics.why.rate')} />
      </FactBox>
      <FactBox name={t('topic.fact.groups')}>{count(row.groupCount)}</FactBox>
      <FactBox name={t('topics.column.lag')} help={t('topics.column.lag.help')}>
        <Value text={compact(row.lagRecords)} why={t('topics.why.lag')} title={count(row.lagRecords)} />
      </FactBox>
    </dl>
  )
}
