/** What stands where values are not: not yet, none, not to be had; and how old they are. */

import './feedback.css'

import type { ComponentChildren, VNode } from 'preact'

import type { Freshness } from '../../api/common.ts'
import type { ApiProblem } from '../base/api.ts'
import { ago, seconds, time } from '../base/format.ts'
import { UNKNOWN } from '../base/format-values.ts'
import { dismissToast, toasts } from '../base/toasts.ts'
import { t } from '../base/words.ts'
import { Button } from './button.tsx'
import { Health } from './health.tsx'
import { Icon, type IconName } from './icon.tsx'

/** Room for what is on its way, so that nothing jumps when it comes. `height` in pixels makes it a block. */
export function Skeleton(options: { readonly width?: string; readonly height?: number }): VNode {
  const size = options.height === undefined ? {} : { height: `${options.height}px` }
  return (
    <span
      class={`skeleton ${options.height === undefined ? '' : 'skeleton-block'}`}
      style={{ ...(options.height === undefined ? { width: options.width ?? '6em' } : {}), ...size }}
    >
      <span class="visually-hidden">{t('part.loading')}</span>
    </span>
  )
}

/** Says why there is nothing, and what to do. */
export function Empty(options: {
  readonly title: string
  readonly icon?: IconName
  readonly actions?: ComponentChildren
  readonly children?: ComponentChildren
}): VNode {
  return (
    <div class="empty">
      {options.icon === undefined ? null : <Icon name={options.icon} size={36} />}
      <h2>{options.title}</h2>
      {options.children === undefined ? null : <p>{options.children}</p>}
      {options.actions === undefined ? null : <div class="row">{options.actions}</div>}
    </div>
  )
}

/** Says what could not be read. `isKept`: older values are still shown. */
export function ProblemBox(options: {
  readonly problem: ApiProblem
  readonly isKept?: boolean
  readonly onRetry?: () => void
}): VNode {
  return (
    <div class={`problem ${options.isKept === true ? 'problem-warn' : ''}`} role="alert">
      <Health level={options.isKept === true ? 'warn' : 'bad'} isWordHidden />
      <div>
        <strong>{t('part.problem.title')}</strong>
        <p>
          {options.problem.message} {options.isKept === true ? t('part.problem.keeps') : ''}
        </p>
        <p class="problem-code mono">{options.problem.code}</p>
      </div>
      {options.onRetry === undefined ? null : (
        <div class="problem-actions">
          <Button icon="refresh" onPress={options.onRetry}>
            {t('part.retry')}
          </Button>
        </div>
      )}
    </div>
  )
}

/** A number that may not be known: then a dash that says why. */
export function Value(options: { readonly text: string; readonly why?: string; readonly title?: string }): VNode {
  if (options.text !== UNKNOWN) return <span title={options.title}>{options.text}</span>
  const why = options.why ?? t('part.unknown')
  return (
    <span class="soft" title={why}>
      <span aria-hidden="true">{UNKNOWN}</span>
      <span class="visually-hidden">{why}</span>
    </span>
  )
}

/** How old the numbers are, and what could not be read. */
export function FreshnessStamp({ freshness }: { readonly freshness: Freshness }): VNode {
  const taken = t('shell.takenAt', {
    taken: time(freshness.takenAtMs),
    duration: seconds(freshness.durationMs / 1_000)
  })
  const { problems } = freshness
  return (
    <span class="fresh" title={[taken, ...problems].join('\n')}>
      {problems.length === 0 ? (
        <Icon name="clock" size={15} />
      ) : (
        <Health level="warn" word={t('part.fresh.problems', { count: problems.length })} />
      )}
      {ago(freshness.takenAtMs)}
    </span>
  )
}

/** The place where messages appear: part of the shell, once. */
export function Toasts(): VNode {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(message => (
        <div key={message.id} class={`toast health-${message.level}`}>
          <Health level={message.level} isWordHidden />
          <span class="toast-text">{message.text}</span>
          {message.action === undefined ? null : (
            <Button
              onPress={() => {
                message.action?.run()
                dismissToast(message.id)
              }}
            >
              {message.action.text}
            </Button>
          )}
          <Button kind="quiet" icon="close" label={t('part.dismiss')} onPress={() => dismissToast(message.id)} />
        </div>
      ))}
    </div>
  )
}
