/** The overview: the pipeline as it is, and the numbers that tell whether it keeps up. */

import type { VNode } from 'preact'

import type { Overview } from '../../../api/overview.ts'
import type { ApiProblem } from '../../base/api.ts'
import { useLive } from '../../base/live.ts'
import { healthNow } from '../../base/old-numbers.ts'
import { chooseMotion, isMoving } from '../../base/theme.ts'
import { t } from '../../base/words.ts'
import { Button } from '../../parts/button.tsx'
import { Card } from '../../parts/card.tsx'
import { Empty, FreshnessStamp, ProblemBox, Skeleton } from '../../parts/feedback.tsx'
import { Health } from '../../parts/health.tsx'
import { Page } from '../../parts/page.tsx'
import { Hints } from './hints.tsx'
import { PipelineDrawing } from './pipeline-drawing.tsx'
import { PipelineTable } from './pipeline-table.tsx'
import { GroupsByStatus, Totals, WorstGroups } from './totals.tsx'

/** See the module. */
export default function OverviewPage(): VNode {
  const { value, problem } = useLive<Overview>('/api/overview')
  return (
    <Page
      title={t('overview.title')}
      aside={value === undefined ? undefined : <Health level={healthNow(value.health)} />}
      actions={value === undefined ? undefined : <Counts overview={value} />}
    >
      {value === undefined ? (
        <NothingYet problem={problem} />
      ) : (
        <>
          {problem === undefined ? null : <ProblemBox problem={problem} isKept />}
          <Content overview={value} />
        </>
      )}
    </Page>
  )
}

function Counts({ overview }: { readonly overview: Overview }): VNode {
  const { brokerCount, topicCount, groupCount, freshness } = overview
  return (
    <>
      <span class="soft">
        {t('overview.brokers', { count: brokerCount })} · {t('overview.topics', { count: topicCount })} ·{' '}
        {t('overview.groups', { count: groupCount })}
      </span>
      <FreshnessStamp freshness={freshness} />
    </>
  )
}

function NothingYet({ problem }: { readonly problem: ApiProblem | undefined }): VNode {
  if (problem === undefined) {
    return (
      <Card>
        <div role="status">
          <Empty title={t('overview.noLook.title')} icon="clock">
            {t('overview.noLook.text')}
          </Empty>
        </div>
        <Skeleton height={240} />
      </Card>
    )
  }
  return (
    <Card>
      <Empty title={t('overview.away.title')} icon="away">
        {t('overview.away.text', { message: problem.message })}
      </Empty>
    </Card>
  )
}

function Content({ overview }: { readonly overview: Overview }): VNode {
  return (
    <>
      <Card title={t('overview.drawing')} actions={<MotionButton />}>
        {overview.nodes.length === 0 ? (
          <Empty title={t('overview.noTopics.title')} icon="topics">
            {t('overview.noTopics.text')}
          </Empty>
        ) : (
          <>
            <PipelineDrawing overview={overview} />
            <PipelineTable overview={overview} />
          </>
        )}
      </Card>
      <Totals overview={overview} />
      <div class="columns">
        <WorstGroups overview={overview} />
        <GroupsByStatus overview={overview} />
        <Hints overview={overview} />
      </div>
    </>
  )
}

function MotionButton(): VNode {
  return (
    <Button
      kind="quiet"
      icon={isMoving.value ? 'pause' : 'play'}
      label={isMoving.value ? t('overview.stopMotion') : t('overview.startMotion')}
      onPress={() => chooseMotion(!isMoving.value)}
    />
  )
}
