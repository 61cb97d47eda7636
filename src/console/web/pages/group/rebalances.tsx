/** The rebalances of a group while the console watched. */

import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'

import type { Page } from '../../../api/common.ts'
import type { RebalanceEntry } from '../../../api/groups.ts'
import { time } from '../../base/format.ts'
import { useLive } from '../../base/live.ts'
import { t } from '../../base/words.ts'
import { Button } from '../../parts/button.tsx'
import { Empty, ProblemBox, Skeleton } from '../../parts/feedback.tsx'
import { Timeline } from '../../parts/timeline/timeline.tsx'
import { useKept } from '../groups/use-steady.ts'

const STEP = 25
const ENTRIES_MAX = 500

/** See the module. */
export function Rebalances(options: { readonly groupId: string; readonly sinceMs: number | undefined }): VNode {
  const { groupId, sinceMs } = options
  const limit = useSignal(STEP)
  const live = useLive<Page<RebalanceEntry>>(
    `/api/rebalances?group=${encodeURIComponent(groupId)}&limit=${limit.value}`
  )
  const page = useKept(groupId, live.value)
  return (
    <div class="group-tab">
      {live.problem === undefined ? null : <ProblemBox problem={live.problem} isKept={page !== undefined} />}
      {page === undefined ? <Skeleton height={120} /> : null}
      {page?.total === 0 ? (
        <Empty title={t('group.rebalances.none')} icon="clock">
          {sinceMs === undefined ? '' : t('group.rebalances.noneText', { since: time(sinceMs) })}
        </Empty>
      ) : null}
      {page === undefined || page.total === 0 ? null : <Timeline entries={page.rows} />}
      {page !== undefined && page.total > page.rows.length && limit.value < ENTRIES_MAX ? (
        <div>
          <Button onPress={() => (limit.value = Math.min(ENTRIES_MAX, limit.value * 2))}>{t('timeline.older')}</Button>
        </div>
      ) : null}
    </div>
  )
}
