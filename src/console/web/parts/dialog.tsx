/** A dialog on the browser's own element, which keeps the focus inside and gives it back. */

import './dialog.css'

import type { ComponentChildren, VNode } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

import { useUniqueId } from '../base/unique-id.ts'
import { t } from '../base/words.ts'
import { Button } from './button.tsx'

/** What a dialog is given; it is shown as long as it is part of the page. */
export interface DialogOptions {
  readonly title: string
  readonly onClose: () => void
  /** Closing by Escape or the sign is not offered: something runs that must not be left. */
  readonly isHeld?: boolean
  readonly isWide?: boolean
  readonly isHeadHidden?: boolean
  /** Buttons, in the order of reading; the main one last. */
  readonly actions?: ComponentChildren
  readonly children: ComponentChildren
}

/** See the module. */
export function Dialog(options: DialogOptions): VNode {
  const id = useUniqueId()
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const shown = dialog.current
    const before = document.activeElement
    if (shown !== null && !shown.open) shown.showModal()
    return () => {
      shown?.close()
      if (before instanceof HTMLElement && before.isConnected) before.focus()
    }
  }, [])
  const close = (): void => {
    if (options.isHeld !== true) options.onClose()
  }
  return (
    <dialog
      ref={dialog}
      class={`dialog ${options.isWide === true ? 'dialog-wide' : ''}`}
      aria-labelledby={id}
      onCancel={event => {
        event.preventDefault()
        close()
      }}
      onClick={event => {
        if (event.target === dialog.current) close()
      }}
    >
      <div class="dialog-body">
        <div class={options.isHeadHidden === true ? 'visually-hidden' : 'dialog-head'}>
          <h2 id={id}>{options.title}</h2>
          {options.isHeld === true ? null : (
            <Button kind="quiet" icon="close" label={t('part.close')} onPress={close} />
          )}
        </div>
        <div class="dialog-content">{options.children}</div>
        {options.actions === undefined ? null : <div class="dialog-actions">{options.actions}</div>}
      </div>
    </dialog>
  )
}
