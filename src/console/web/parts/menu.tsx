/**
 * A button that opens a list of actions. Arrows move, Escape closes, the focus returns to the button. The list is in
 * the browser's top layer, so that no table or card cuts it off.
 */

import './menu.css'

import type { ComponentChildren, VNode } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'

import { useUniqueId } from '../base/unique-id.ts'
import { Button, type ButtonOptions } from './button.tsx'
import { Icon, type IconName } from './icon.tsx'

/** One action of a menu. */
export interface MenuItem {
  readonly text: ComponentChildren
  readonly icon?: IconName
  readonly isDisabled?: boolean
  readonly isDanger?: boolean
  /** Of a choice: whether it is the one in force. */
  readonly isChosen?: boolean
  readonly onPress: () => void
}

/** A menu; `label` names the button where it shows only a sign, `head` stands above the actions. */
export function Menu(options: {
  readonly label: string
  readonly button?: ButtonOptions
  readonly text?: ComponentChildren
  readonly head?: ComponentChildren
  readonly items: readonly MenuItem[]
}): VNode {
  const [isOpen, setOpen] = useState(false)
  const id = useUniqueId()
  const frame = useRef<HTMLDivElement>(null)
  useEffect(() => (isOpen ? closeOutside(frame.current, () => setOpen(false)) : undefined), [isOpen])
  useLayoutEffect(() => (isOpen ? showList(frame.current) : undefined), [isOpen])
  const close = (): void => {
    setOpen(false)
    document.getElementById(id)?.focus()
  }
  return (
    <div
      class="menu"
      ref={frame}
      onKeyDown={event => (isOpen ? onKey(event, frame.current, close) : undefined)}
      onFocusOut={event => {
        const next = event.relatedTarget
        if (isOpen && next instanceof Node && frame.current?.contains(next) !== true) setOpen(false)
      }}
    >
      <Button
        {...options.button}
        id={id}
        label={options.label}
        hasMenu
        isExpanded={isOpen}
        onPress={() => setOpen(!isOpen)}
      >
        {options.text}
      </Button>
      {isOpen ? (
        <div class="menu-list" popover="manual">
          {options.head}
          <div role="menu" aria-label={options.label}>
            {options.items.map((item, index) => (
              <Item key={index} item={item} onDone={close} />
            ))}
          </div>
        </div>
      ) : null}
    </div>
  )
}

function Item({ item, onDone }: { readonly item: MenuItem; readonly onDone: () => void }): VNode {
  const isChoice = item.isChosen !== undefined
  return (
    <button
      type="button"
      role={isChoice ? 'menuitemradio' : 'menuitem'}
      aria-checked={isChoice ? item.isChosen : undefined}
      aria-disabled={item.isDisabled === true ? 'true' : undefined}
      tabIndex={-1}
      class={`menu-item ${item.isDanger === true ? 'menu-item-danger' : ''}`}
      onClick={() => {
        if (item.isDisabled === true) return
        onDone()
        item.onPress()
      }}
    >
      {item.icon === undefined ? null : <Icon name={item.icon} size={16} />}
      <span>{item.text}</span>
    </button>
  )
}

function itemsOf(frame: HTMLElement | null): readonly HTMLElement[] {
  return [...(frame?.querySelectorAll<HTMLElement>('[role^="menuitem"]') ?? [])]
}

/** Opens the list below its button, or above it where there is more room, and keeps it there. */
function showList(frame: HTMLElement | null): (() => void) | undefined {
  const list = frame?.querySelector<HTMLElement>('.menu-list')
  if (frame === null || list === null || list === undefined) return undefined
  list.showPopover()
  const place = (): void => {
    const button = frame.getBoundingClientRect()
    const { offsetWidth: width, offsetHeight: height } = list
    const isBelow = button.bottom + height + 8 < innerHeight || button.top < innerHeight - button.bottom
    list.style.top = `${isBelow ? button.bottom + 4 : Math.max(4, button.top - height - 4)}px`
    list.style.left = `${Math.max(8, Math.min(button.right - width, innerWidth - width - 8))}px`
  }
  place()
  // The first control, not the first action: what is chosen above the actions comes first.
  list.querySelector<HTMLElement>('select, input, [role^="menuitem"]')?.focus()
  addEventListener('scroll', place, { capture: true, passive: true })
  addEventListener('resize', place)
  return () => {
    removeEventListener('scroll', place, { capture: true })
    removeEventListener('resize', place)
  }
}

function onKey(event: KeyboardEvent, frame: HTMLElement | null, close: () => void): void {
  if (event.key === 'Escape') {
    event.preventDefault()
    event.stopPropagation()
    close()
    return
  }
  const items = itemsOf(frame)
  const at = items.findIndex(item => item === document.activeElement)
  // Fields above the actions keep their own keys.
  if (at === -1) return
  const steps: Readonly<Record<string, number>> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }
  const step = steps[event.key]
  if (step !== undefined) {
    event.preventDefault()
    items.at(step % items.length)?.focus()
  }
}

function closeOutside(frame: HTMLElement | null, close: () => void): () => void {
  const listener = (event: PointerEvent): void => {
    if (event.target instanceof Node && frame?.contains(event.target) === true) return
    close()
  }
  document.addEventListener('pointerdown', listener)
  return () => document.removeEventListener('pointerdown', listener)
}
