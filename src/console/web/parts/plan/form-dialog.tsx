/** A form in a dialog that ends in a plan. */

import './plan.css'

import type { ComponentChildren, VNode } from 'preact'

import type { ChangeRequest } from '../../../api/changes.ts'
import { t } from '../../base/words.ts'
import { Button } from '../button.tsx'
import { Dialog } from '../dialog.tsx'
import { openPlan } from './plan-dialog.tsx'

/** See the module. `request` is `undefined` while something is missing or wrong. */
export function FormDialog(options: {
  readonly title: string
  readonly isWide?: boolean
  readonly request: ChangeRequest | undefined
  readonly onClose: () => void
  readonly children: ComponentChildren
}): VNode {
  const { title, isWide = false, request, onClose } = options
  const go = (): void => {
    if (request === undefined) return
    onClose()
    openPlan(request)
  }
  return (
    <Dialog
      title={title}
      isWide={isWide}
      onClose={onClose}
      actions={
        <>
          <Button onPress={onClose}>{t('plan.cancel')}</Button>
          <Button kind="main" isDisabled={request === undefined} onPress={go}>
            {t('plan.show')}
          </Button>
        </>
      }
    >
      <form
        class="form"
        onSubmit={event => {
          event.preventDefault()
          go()
        }}
      >
        {options.children}
        <button type="submit" hidden />
      </form>
    </Dialog>
  )
}
