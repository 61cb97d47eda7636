/** How old the numbers of the page are: in the header, always. */

import type { VNode } from 'preact'

import type { Overview } from '../../../api/overview.ts'
import { ago, now, seconds, time } from '../../base/format.ts'
import { connection, lastLook, useLive } from '../../base/live.ts'
import { isLookLate } from '../../base/look-age.ts'
import { healthNow } from '../../base/old-numbers.ts'
import { Link } from '../../base/router.ts'
import { t } from '../../base/words.ts'
import { Health } from '../health.tsx'

/** See the module. */
export function LookStamp(): VNode {
  const look = lastLook.value
  const { kind } = connection.value
  if (kind === 'lost') return <Health level="bad" word={t('shell.lostShort')} />
  if (look === null)
    return <Health level="unknown" word={kind === 'live' ? t('shell.notYet') : t('shell.connecting')} />
  if (look.failingSinceMs !== null) {
    return (
      <Health level="bad" word={t('shell.kafkaAwayShort')} title={look.tick.problem ?? t('shell.kafkaAwayShort')} />
    )
  }
  const { takenAtMs, intervalMs } = look.tick
  const isLate = isLookLate(look.tick, now.value)
  const title = `${time(takenAtMs)} · ${t('shell.looksEvery', { interval: seconds(intervalMs / 1_000) })}`
  return (
    <span class="fresh">
      <Health level={isLate ? 'warn' : 'good'} word={isLate ? t('shell.lateShort') : t('shell.live')} title={title} />
      <span title={title}>{ago(takenAtMs)}</span>
    </span>
  )
}

/** How the pipeline is, on every page; leads to the overview, which says why. */
export function PipelineHealth(): VNode | null {
  const { value } = useLive<Overview>('/api/overview')
  if (value === undefined) return null
  return (
    <Link to="/" class="shell-health">
      <Health level={healthNow(value.health)} />
    </Link>
  )
}
