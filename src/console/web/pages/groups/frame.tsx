/** What pages about one group or one topic have at their head. */

import type { VNode } from 'preact'

import type { Freshness } from '../../../api/common.ts'
import { lastLook } from '../../base/live.ts'
import { Link } from '../../base/router.ts'
import { t } from '../../base/words.ts'
import { FreshnessStamp } from '../../parts/feedback.tsx'
import { Icon } from '../../parts/icon.tsx'
import { Menu, type MenuItem } from '../../parts/menu.tsx'

/**
 * How old a view is, where that is worth saying: what could not be read, or a view that is older than the last look.
 * The head of every page says when that was.
 */
export function ViewStamp({ freshness }: { readonly freshness: Freshness }): VNode | null {
  const tick = lastLook.value?.tick
  const isOld = tick !== undefined && tick.takenAtMs - freshness.takenAtMs > 2 * tick.intervalMs
  return isOld || freshness.problems.length > 0 ? <FreshnessStamp freshness={freshness} /> : null
}

/** The way back to the list. */
export function WayBack({ to, text }: { readonly to: string; readonly text: string }): VNode {
  return (
    <Link to={to} class="back-link">
      <Icon name="left" size={14} />
      {text}
    </Link>
  )
}

/** The menu of changes. */
export function ChangeMenu({ name, items }: { readonly name: string; readonly items: readonly MenuItem[] }): VNode {
  return (
    <Menu
      label={t('group.change', { name })}
      text={
        <>
          {t('group.actions')}
          <Icon name="down" size={14} />
        </>
      }
      items={items}
    />
  )
}
