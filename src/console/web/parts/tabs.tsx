/** Parts of a page of which one is shown. Arrows move between them, as readers of tabs expect. */

import './tabs.css'

import type { ComponentChildren, VNode } from 'preact'

import { useUniqueId } from '../base/unique-id.ts'

/** Tabs; which one is chosen belongs in the address (`useQuery`), so that it can be bookmarked. */
export function Tabs<T extends string>(options: {
  readonly label: string
  readonly chosen: T
  readonly tabs: readonly { readonly value: T; readonly text: ComponentChildren; readonly count?: string }[]
  readonly onChoose: (value: T) => void
  readonly children: ComponentChildren
}): VNode {
  const id = useUniqueId()
  const move = (event: KeyboardEvent): void => {
    const at = options.tabs.findIndex(tab => tab.value === options.chosen)
    const steps: Readonly<Record<string, number>> = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }
    const step = steps[event.key]
    if (step === undefined) return
    event.preventDefault()
    const next = options.tabs.at(step % options.tabs.length)
    if (next === undefined) return
    options.onChoose(next.value)
    document.getElementById(`${id}-${next.value}`)?.focus()
  }
  return (
    <div class="tabs">
      <div class="tabs-list" role="tablist" aria-label={options.label} onKeyDown={move}>
        {options.tabs.map(tab => (
          <button
            key={tab.value}
            type="button"
            id={`${id}-${tab.value}`}
            class="tab"
            role="tab"
            aria-selected={tab.value === options.chosen}
            aria-controls={`${id}-panel`}
            tabIndex={tab.value === options.chosen ? 0 : -1}
            onClick={() => options.onChoose(tab.value)}
          >
            {tab.text}
            {tab.count === undefined ? null : <span class="tab-count">{tab.count}</span>}
          </button>
        ))}
      </div>
      <div id={`${id}-panel`} role="tabpanel" tabIndex={-1} aria-labelledby={`${id}-${options.chosen}`}>
        {options.children}
      </div>
    </div>
  )
}
