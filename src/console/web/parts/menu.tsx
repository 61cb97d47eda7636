/** A button that opens a list of actions. Arrows move, Escape closes, the focus returns to the button. */

import './menu.css'

import type { ComponentChildren, VNode } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'

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
  const id = useId()
  const frame = useRef<HTMLDivElement>(null)
  useEffect(() => (isOpen ? closeOutside(frame.current, () => setOpen(false)) : undefined), [isOpen])
  useEffect(() => {
    if (isOpen) itemsOf(frame.current)[0]?.focus()
  }, [isOpen])
  const close = (): void => {
    setOpen(false)
    document.getElementById(id)?.focus()
  }
  return (
    <div class="menu" ref={frame} onKeyDown={event => (isOpen ? onKey(event, frame.current, close) : undefined)}>
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
        <div class="menu-list">
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

function onKey(event: KeyboardEvent, frame: HTMLElement | null, close: () => void): void {
  const items = itemsOf(frame)
  const at = items.findIndex(item => item === document.activeElement)
  const steps: Readonly<Record<string, number>> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }
  const step = steps[event.key]
  if (step !== undefined) {
    event.preventDefault()
    items.at(step % items.length)?.focus()
  } else if (event.key === 'Escape' || event.key === 'Tab') {
    if (event.key === 'Escape') event.preventDefault()
    close()
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
