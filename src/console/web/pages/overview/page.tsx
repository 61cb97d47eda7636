/** The overview. */

import type { VNode } from 'preact'

import type { Overview } from '../../../api/overview.ts'
import { useLive } from '../../base/live.ts'
import { t } from '../../base/words.ts'
import { ProblemBox, Skeleton } from '../../parts/feedback.tsx'
import { Page } from '../../parts/page.tsx'

/** See the module. */
export default function OverviewPage(): VNode {
  const { value, problem } = useLive<Overview>('/api/overview')
  return (
    <Page title={t('overview.title')}>
      {problem === undefined ? null : <ProblemBox problem={problem} isKept={value !== undefined} />}
      {value === undefined ? <Skeleton height={320} /> : <p>{value.clusterId}</p>}
    </Page>
  )
}
