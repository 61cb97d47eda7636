/**
 * The menu of a row. A table cuts off what reaches out of it, so that the menu stands beside the table, once for all of
 * its rows, and is placed at the button that was pressed.
 */

import '../../parts/menu.css'
import './row-menu.css'

import type { VNode } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'

import { Icon } from '../../parts/icon.tsx'
import type { MenuItem } from '../../parts/menu.tsx'

/** A menu that is open. */
interface OpenMenu {
  readonly label: string
  readonly items: readonly MenuItem[]
  readonly button: HTMLElement
}

/** Opens the menu of a row, at the button. */
export type OpenRowMenu = (button: HTMLElement, label: string, items: readonly MenuItem[]) => void

/** The menu of a table's rows: what opens it, and the menu itself, which stands outside of the table. */
export function useRowMenu(): readonly [OpenRowMenu, VNode | null] {
  const [menu, setMenu] = useState<OpenMenu | undefined>(undefined)
  const open: OpenRowMenu = (button, label, items) =>
    setMenu(before => (before?.button === button ? undefined : { button, label, items }))
  return [open, menu === undefined ? null : <RowMenu menu={menu} onClose={() => setMenu(undefined)} />]
}

/** The button of a row that opens its menu. */
export function RowMenuButton(options: {
  readonly label: string
  readonly items: () => readonly MenuItem[]
  readonly onOpen: OpenRowMenu
}): VNode {
  return (
    <button
      type="button"
      class="button button-quiet button-sign row-menu-button"
      aria-label={options.label}
      aria-haspopup="menu"
      title={options.label}
      onClick={event => options.onOpen(event.currentTarget, options.label, options.items())}
    >
      <span aria-hidden="true">⋯</span>
    </button>
  )
}

function RowMenu({ menu, onClose }: { readonly menu: OpenMenu; readonly onClose: () => void }): VNode {
  const list = useRef<HTMLDivElement>(null)
  const close = (): void => {
    onClose()
    if (menu.button.isConnected) menu.button.focus()
  }
  useLayoutEffect(() => place(list.current, menu.button), [menu])
  useEffect(() => {
    const leave = (event: Event): void => {
      const target = event.target instanceof Node ? event.target : null
      if (list.current?.contains(target) === true || menu.button.contains(target)) return
      onClose()
    }
    const kinds = ['pointerdown', 'scroll', 'resize'] as const
    for (const kind of kinds) window.addEventListener(kind, leave, true)
    return () => {
      for (const kind of kinds) window.removeEventListener(kind, leave, true)
    }
  }, [menu])
  return (
    <div
      ref={list}
      class="menu-list row-menu"
      role="menu"
      aria-label={menu.label}
      onKeyDown={event => onKey(event, list.current, close)}
    >
      {menu.items.map((item, index) => (
        <button
          key={index}
          type="button"
          role="menuitem"
          tabIndex={-1}
          aria-disabled={item.isDisabled === true ? 'true' : undefined}
          class={`menu-item ${item.isDanger === true ? 'menu-item-danger' : ''}`}
          onClick={() => {
            if (item.isDisabled === true) return
            close()
            item.onPress()
          }}
        >
          {item.icon === undefined ? null : <Icon name={item.icon} size={16} />}
          <span>{item.text}</span>
        </button>
      ))}
    </div>
  )
}

/** Below the button, or above it where there is no room. */
function place(list: HTMLDivElement | null, button: HTMLElement): void {
  if (list === null) return
  const at = button.getBoundingClientRect()
  const { width, height } = list.getBoundingClientRect()
  const isBelow = at.bottom + height + 8 < window.innerHeight
  list.style.top = `${Math.max(8, isBelow ? at.bottom + 4 : at.top - height - 4)}px`
  list.style.left = `${Math.max(8, Math.min(at.right - width, window.innerWidth - width - 8))}px`
  list.querySelector<HTMLElement>('[role="menuitem"]')?.focus()
}

function onKey(event: KeyboardEvent, list: HTMLElement | null, close: () => void): void {
  const items = [...(list?.querySelectorAll<HTMLElement>('[role="menuitem"]') ?? [])]
  const at = items.findIndex(item => item === document.activeElement)
  const steps: Readonly<Record<string, number>> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }
  const step = steps[event.key]
  if (step !== undefined) {
    event.preventDefault()
    items.at(step % items.length)?.focus()
  } else if (event.key === 'Escape' || event.key === 'Tab') {
    event.preventDefault()
    close()
  }
}
