/** Light or dark: the system's choice unless the reader makes one; likewise for motion. */

import { effect, signal } from '@preact/signals'

import { remember, remembered } from './storage.ts'

/** What the reader can choose. */
export const THEMES = ['auto', 'light', 'dark'] as const
/** One of them. */
export type Theme = (typeof THEMES)[number]

/** The reader's choice. */
export const theme = signal<Theme>(THEMES.find(name => name === remembered('theme')) ?? 'auto')
/** Whether things may move; the system's wish for less motion is heeded besides. */
export const isMoving = signal(remembered('motion') !== 'off')
/** Changes with the colours that are seen: for what is drawn by script. */
export const paintVersion = signal(0)

/** Changes the theme, now and for later visits. */
export function chooseTheme(chosen: Theme): void {
  theme.value = chosen
  remember('theme', chosen)
}

/** Lets things move, or not. */
export function chooseMotion(moves: boolean): void {
  isMoving.value = moves
  remember('motion', moves ? 'on' : 'off')
}

/** Goes to the other of light and dark than is seen now. */
export function turnTheme(): void {
  const isDark =
    theme.value === 'dark' || (theme.value === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches)
  chooseTheme(isDark ? 'light' : 'dark')
}

/** Puts the choice on the document, and follows the system. */
export function watchTheme(): void {
  effect(() => {
    document.documentElement.dataset['theme'] = theme.value
    document.documentElement.dataset['motion'] = isMoving.value ? 'on' : 'off'
    paintVersion.value = paintVersion.peek() + 1
  })
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    paintVersion.value = paintVersion.peek() + 1
  })
}

/** A colour token as scripts can draw it: `light-dark()` is resolved by the browser. */
export function paintOf(token: string): string {
  const probe = document.createElement('i')
  probe.style.setProperty('color', `var(${token})`)
  probe.hidden = true
  document.body.append(probe)
  const paint = getComputedStyle(probe).color
  probe.remove()
  return paint
}
