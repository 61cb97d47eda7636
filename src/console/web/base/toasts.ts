/** Short messages at the edge of the page, read out by screen readers. */

import { signal } from '@preact/signals'

/** A message. */
export interface ToastMessage {
  readonly id: number
  readonly level: 'good' | 'warn' | 'bad'
  readonly text: string
  /** For example "undo"; ends the message. */
  readonly action?: { readonly text: string; run(): void }
}

/** Messages that are shown, oldest first; at most 4. */
export const toasts = signal<readonly ToastMessage[]>([])

let nextId = 1

/** Shows a message: bad ones stay until they are dismissed, others for 8 seconds. */
export function toast(level: ToastMessage['level'], text: string, action?: ToastMessage['action']): void {
  const message: ToastMessage = { id: nextId++, level, text, ...(action === undefined ? {} : { action }) }
  toasts.value = [...toasts.value, message].slice(-4)
  if (level !== 'bad') setTimeout(() => dismissToast(message.id), 8_000)
}

/** Takes a message away. */
export function dismissToast(id: number): void {
  toasts.value = toasts.value.filter(message => message.id !== id)
}
