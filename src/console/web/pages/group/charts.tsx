/** Lag against what was promised, and what comes in against what is done, over time. */

import type { VNode } from 'preact'

import type { Series } from '../../../api/common.ts'
import type { GroupDetail } from '../../../api/groups.ts'
import { rate, seconds } from '../../base/format.ts'
import { t } from '../../base/words.ts'
import { Card } from '../../parts/card.tsx'
import { type ChartLine, LineChart } from '../../parts/line-chart.tsx'
import { alignedValues } from './aligned.ts'

/** See the module. */
export function GroupCharts({ detail }: { readonly detail: GroupDetail }): VNode {
  const { lagSeconds, arrivalRate, serviceRate, row } = detail
  const lag: ChartLine[] = [{ name: t('group.chart.lagSeconds'), values: lagSeconds.values, colour: 1 }]
  if (row.sloSeconds !== null) {
    const slo = row.sloSeconds
    lag.push({ name: t('group.chart.slo'), values: lagSeconds.timesMs.map(() => slo), colour: 2 })
  }
  return (
    <div class="columns">
      <Card title={t('group.chart.lag')}>
        <LineChart label={t('group.chart.lag')} times={lagSeconds.timesMs} lines={lag} format={seconds} />
      </Card>
      <Card title={t('group.chart.rates')}>
        <LineChart
          label={t('group.chart.rates')}
          times={arrivalRate.timesMs}
          lines={[
            { name: t('group.chart.in'), values: arrivalRate.values, colour: 1 },
            { name: t('group.chart.out'), values: valuesAt(serviceRate, arrivalRate), colour: 3 }
          ]}
          format={rate}
        />
      </Card>
    </div>
  )
}

function valuesAt(series: Series, times: Series): readonly (number | null)[] {
  return alignedValues(series, times.timesMs)
}
