/** What a heat map says of a partition. */

import type { HeatCell, HeatMap, HeatMetric } from '../../../api/groups.ts'
import { count, rate, seconds } from '../../base/format.ts'
import { t } from '../../base/words.ts'

/** Name of a metric. */
export function metricText(metric: HeatMetric): string {
  return t(`heat.metric.${metric}`)
}

/** A value of a metric with its unit. */
export function valueText(value: number, metric: HeatMetric): string {
  if (metric === 'lagSeconds') return seconds(value)
  return metric === 'rate' ? rate(value) : count(value)
}

/** All that is known of a cell, in one line. A map of a topic knows no lag and no owner, and says nothing of them. */
export function cellFacts(cell: HeatCell, owners: readonly string[]): string {
  const owner = owners[cell.owner]
  const facts = [
    cell.lagSeconds === null ? '' : t('heat.fact.lagSeconds', { value: seconds(cell.lagSeconds) }),
    cell.lagRecords === null ? '' : t('heat.fact.lagRecords', { value: count(cell.lagRecords) }),
    cell.rate === null ? '' : t('heat.fact.rate', { value: rate(cell.rate) }),
    owner === undefined ? '' : t('heat.fact.owner', { value: owner }),
    cell.isHot ? t('heat.hotSign') : '',
    cell.isPaused ? t('heat.pausedSign') : ''
  ].filter(fact => fact !== '')
  return facts.length === 0 ? t('heat.unknown') : facts.join(', ')
}

/** Why a partition is hot. */
export function hotText({ topic, partition, timesFair }: HeatMap['hot'][number]): string {
  return t('heat.hot', { name: `${topic}-${partition}`, times: Math.round(timesFair * 10) / 10 })
}
