/** A short word in a frame: a state, a role, a count. */

import './badge.css'

import type { ComponentChildren, VNode } from 'preact'

import type { HealthLevel } from '../../api/common.ts'

/** A badge; `level` colours it, the word says the same. */
export function Badge(options: {
  readonly level?: HealthLevel
  readonly title?: string
  readonly children: ComponentChildren
}): VNode {
  return (
    <span class={`badge ${options.level === undefined ? '' : `health-${options.level}`}`} title={options.title}>
      {options.children}
    </span>
  )
}
