/** A framed part of a page. */

import './card.css'

import type { ComponentChildren, VNode } from 'preact'

import { useUniqueId } from '../base/unique-id.ts'

/** A card; `isFlush` lets its content reach the frame, for tables. */
export function Card(options: {
  readonly title?: ComponentChildren
  readonly actions?: ComponentChildren
  readonly isFlush?: boolean
  readonly class?: string
  readonly children: ComponentChildren
}): VNode {
  const id = useUniqueId()
  const hasHead = options.title !== undefined || options.actions !== undefined
  return (
    <section
      class={`card ${options.isFlush === true ? 'card-flush' : ''} ${options.class ?? ''}`}
      aria-labelledby={options.title === undefined ? undefined : id}
    >
      {hasHead ? (
        <div class="card-head">
          {options.title === undefined ? null : <h2 id={id}>{options.title}</h2>}
          <div class="row card-actions">{options.actions}</div>
        </div>
      ) : null}
      <div class="card-body">{options.children}</div>
    </section>
  )
}
