/** How close rows stand, remembered by the browser; and the note that the order of rows waits for the reader. */

import { signal } from '@preact/signals'
import type { VNode } from 'preact'

import { remember, remembered } from '../../base/storage.ts'
import { t } from '../../base/words.ts'
import { Button } from '../../parts/button.tsx'
import { Check } from '../../parts/field.tsx'

const isDense = signal(remembered('density') === 'dense')

/** Height of a row, in pixels. */
export function rowHeightOf(): number {
  return isDense.value ? 29 : 38
}

/** The switch. */
export function DensitySwitch(): VNode {
  return (
    <Check
      label={t('groups.density')}
      isChecked={isDense.value}
      onValue={chosen => {
        isDense.value = chosen
        remember('density', chosen ? 'dense' : 'normal')
      }}
    />
  )
}

/** Says that a new order waits; keeps its place while it does not. */
export function HeldNote({ onReorder }: { readonly onReorder: (() => void) | undefined }): VNode {
  return (
    <span class="list-held" role="status">
      {onReorder === undefined ? null : (
        <>
          {t('groups.held')}
          <Button kind="quiet" icon="refresh" onPress={onReorder}>
            {t('groups.reorder')}
          </Button>
        </>
      )}
    </span>
  )
}
