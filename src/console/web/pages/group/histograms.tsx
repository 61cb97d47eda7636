/** Batches and latency of a group, as its dispatchers tell them. */

import type { VNode } from 'preact'

import type { Histograms } from '../../../api/groups.ts'
import { seconds } from '../../base/format.ts'
import { useLive } from '../../base/live.ts'
import { t } from '../../base/words.ts'
import { Empty, ProblemBox, Skeleton } from '../../parts/feedback.tsx'
import { Histogram } from '../../parts/histogram/histogram.tsx'

const names = ['batchRecords', 'batchAge', 'invokeDuration', 'ackDuration'] as const

/** See the module. */
export function GroupHistograms({ groupId }: { readonly groupId: string }): VNode {
  const { value, problem } = useLive<Histograms>(`/api/histograms?group=${encodeURIComponent(groupId)}`)
  const isNothing = value !== undefined && names.every(name => value[name] === null)
  return (
    <div class="group-tab">
      {problem === undefined ? null : <ProblemBox problem={problem} isKept={value !== undefined} />}
      {value === undefined && problem === undefined ? <Skeleton height={180} /> : null}
      {isNothing ? (
        <Empty title={t('group.histograms.none')} icon="flow">
          {t('group.histograms.noneText')}
        </Empty>
      ) : null}
      {value === undefined || isNothing ? null : (
        <>
          <p class="soft">{t('group.histograms.window', { time: seconds(value.windowSeconds) })}</p>
          <div class="columns">
            {names.map(name => (
              <section key={name} class="group-histogram">
                <h3>{t(`group.histogram.${name}`)}</h3>
                <Histogram name={t(`group.histogram.${name}`)} histogram={value[name]} />
              </section>
            ))}
          </div>
        </>
      )}
    </div>
  )
}
