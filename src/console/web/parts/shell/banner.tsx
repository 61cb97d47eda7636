/** What stands between the reader and fresh numbers: said once, above the page, while it lasts. */

import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import { useEffect } from 'preact/hooks'

import { now, time } from '../../base/format.ts'
import { connection, lastLook } from '../../base/live.ts'
import { isLookLate } from '../../base/look-age.ts'
import { LOST_AFTER_MS } from '../../base/old-numbers.ts'
import { serverNow } from '../../base/server-time.ts'
import { t } from '../../base/words.ts'
import { Icon } from '../icon.tsx'

/** See the module. */
export function Banner(): VNode {
  const offlineSince = useOffline()
  const text = bannerText(offlineSince)
  return (
    <div role="status">
      {text === undefined ? null : (
        <p class="shell-banner health-bad">
          <Icon name="away" />
          {text}
        </p>
      )}
    </div>
  )
}

function bannerText(offlineSince: number | null): string | undefined {
  if (offlineSince !== null) return t('shell.offline', { since: time(offlineSince) })
  const { kind, sinceMs } = connection.value
  if (kind === 'lost' && now.value - sinceMs > LOST_AFTER_MS) return t('shell.lost', { since: time(sinceMs) })
  const look = lastLook.value
  if (look === null) return undefined
  if (look.failingSinceMs === null) {
    return isLookLate(look.tick, now.value) ? t('shell.late', { taken: time(look.tick.takenAtMs) }) : undefined
  }
  // Before its first look, the server tells the time of the tick.
  if (look.tick.takenAtMs > look.failingSinceMs - 1_000) return t('shell.kafkaAwayFirst')
  // Since when it fails the page cannot know: it may have been opened later.
  return t('shell.kafkaAway', { taken: time(look.tick.takenAtMs) })
}

function useOffline(): number | null {
  const since = useSignal<number | null>(navigator.onLine ? null : serverNow())
  useEffect(() => {
    const follow = (): void => {
      since.value = navigator.onLine ? null : serverNow()
    }
    window.addEventListener('online', follow)
    window.addEventListener('offline', follow)
    return () => {
      window.removeEventListener('online', follow)
      window.removeEventListener('offline', follow)
    }
  }, [])
  return since.value
}
