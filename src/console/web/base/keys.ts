/** Keyboard shortcuts of the whole page: one key, or `g` and then another. They rest while somebody types. */

import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { remember, remembered } from './storage.ts'
import type { WordKey } from './words.ts'

/** A shortcut, as the help shows it. */
export interface Shortcut {
  /** For example `?`, `g o`, `mod+k` (`mod` is Ctrl, or Command on a Mac). */
  readonly keys: string
  readonly title: WordKey
  run(): void
}

/** Whether shortcuts of one key work: whoever speaks to the computer can switch them off (WCAG 2.1.4). */
export const hasSingleKeys = signal(remembered('single-keys') !== 'off')

/** Switches shortcuts of one key on or off, now and for later visits. */
export function chooseSingleKeys(work: boolean): void {
  hasSingleKeys.value = work
  remember('single-keys', work ? 'on' : 'off')
}

const shortcuts = new Map<string, Shortcut>()
let prefix = ''
let prefixTimer: ReturnType<typeof setTimeout> | undefined

/** Shortcuts that work now. */
export function activeShortcuts(): readonly Shortcut[] {
  return [...shortcuts.values()]
}

/** Gives a shortcut to the page for as long as a component is shown. */
export function useShortcut(shortcut: Shortcut): void {
  useEffect(() => {
    shortcuts.set(shortcut.keys, shortcut)
    return () => {
      if (shortcuts.get(shortcut.keys) === shortcut) shortcuts.delete(shortcut.keys)
    }
  })
}

/** Listens to the keyboard. */
export function watchKeys(): void {
  document.addEventListener('keydown', event => {
    const hasModifier = event.ctrlKey || event.metaKey
    if (event.defaultPrevented || event.altKey || (!hasModifier && isTyping(event.target))) return
    if (!hasModifier && (!hasSingleKeys.value || document.querySelector('dialog[open]') !== null)) return
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
    const found = shortcuts.get(hasModifier ? `mod+${key}` : `${prefix}${key}`)
    clearTimeout(prefixTimer)
    prefix = ''
    if (found !== undefined) {
      event.preventDefault()
      found.run()
    } else if (!hasModifier && key === 'g') {
      prefix = 'g '
      prefixTimer = setTimeout(() => (prefix = ''), 1_500)
    }
  })
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  )
}
