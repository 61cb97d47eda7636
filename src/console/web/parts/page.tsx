/** The frame of a page: its heading, which takes the focus when the page is gone to, its actions and its content. */

import './page.css'

import type { ComponentChildren, VNode } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

import { takeFocusTurn } from '../base/router.ts'
import { session } from '../base/session.ts'
import { t } from '../base/words.ts'

/** See the module. `name` is the title as plain text where `title` is not. */
export function Page(options: {
  readonly title: ComponentChildren
  readonly name?: string
  /** Beside the title: a badge, a state. */
  readonly aside?: ComponentChildren
  readonly actions?: ComponentChildren
  readonly children: ComponentChildren
}): VNode {
  const name = options.name ?? (typeof options.title === 'string' ? options.title : '')
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    if (takeFocusTurn()) heading.current?.focus({ preventScroll: true })
  }, [])
  const pipeline = session.value?.pipeline
  useEffect(() => {
    document.title = [name, pipeline, t('shell.product')].filter(part => part !== undefined && part !== '').join(' · ')
  }, [name, pipeline])
  return (
    <div class="page">
      <div class="page-head">
        <h1 ref={heading} tabIndex={-1}>
          {options.title}
        </h1>
        {options.aside === undefined ? null : <div class="row">{options.aside}</div>}
        {options.actions === undefined ? null : <div class="row page-actions">{options.actions}</div>}
      </div>
      {options.children}
    </div>
  )
}
