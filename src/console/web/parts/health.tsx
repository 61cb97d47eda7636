/** How something is: a sign of its own shape, a word, and only then a colour. */

import './health.css'

import type { VNode } from 'preact'

import type { HealthLevel } from '../../api/common.ts'
import { t } from '../base/words.ts'

const shapes: Readonly<Record<HealthLevel, VNode>> = {
  good: <path d="M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13z" />,
  warn: <path d="M8 1.3 15 14.2H1z" />,
  bad: <path d="M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2z" />,
  unknown: <path class="health-ring" d="M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2z" />,
  idle: <path d="M2.5 2.5h11v11h-11z" />
}

const marks: Readonly<Record<HealthLevel, string>> = {
  good: 'M5 8.2l2.1 2.1L11.2 6',
  warn: 'M8 6v4M8 12v.1',
  bad: 'M5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4',
  unknown: 'M6.6 6.6c.1-1 .7-1.5 1.5-1.5.9 0 1.5.5 1.5 1.3 0 1.1-1.6 1.2-1.6 2.5M8 11v.1',
  idle: 'M6.3 5.5v5M9.7 5.5v5'
}

/** What a sign of health is given. `word` is left out only where it stands right beside. */
export interface HealthOptions {
  readonly level: HealthLevel
  readonly word?: string
  readonly isWordHidden?: boolean
  readonly title?: string
}

/** Sign and word of a level. */
export function Health({ level, word, isWordHidden, title }: HealthOptions): VNode {
  const text = word ?? t(`health.${level}`)
  return (
    <span class={`health health-${level}`} title={title ?? (isWordHidden === true ? text : undefined)}>
      <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
        {shapes[level]}
        <path class={level === 'unknown' ? 'health-ring' : 'health-mark'} d={marks[level]} />
      </svg>
      <span class={isWordHidden === true ? 'visually-hidden' : undefined}>{text}</span>
    </span>
  )
}
