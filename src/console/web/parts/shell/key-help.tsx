/** The keyboard shortcuts, in a dialog: `?` opens it. */

import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'

import { activeShortcuts, chooseSingleKeys, hasSingleKeys, useShortcut } from '../../base/keys.ts'
import { turnTheme } from '../../base/theme.ts'
import { t } from '../../base/words.ts'
import { Button } from '../button.tsx'
import { Dialog } from '../dialog.tsx'
import { Check } from '../field.tsx'
import { modKey } from './finder.tsx'

/** The button in the header, and the dialog. */
export function KeyHelp(): VNode {
  const isOpen = useSignal(false)
  const open = (): void => {
    isOpen.value = true
  }
  useShortcut({ keys: '?', title: 'shell.keys.help', run: open })
  useShortcut({ keys: 't', title: 'shell.keys.theme', run: turnTheme })
  return (
    <>
      <Button kind="quiet" icon="keyboard" class="key-button" label={t('shell.keys')} onPress={open} />
      {isOpen.value ? <HelpDialog onClose={() => (isOpen.value = false)} /> : null}
    </>
  )
}

function HelpDialog({ onClose }: { readonly onClose: () => void }): VNode {
  return (
    <Dialog title={t('shell.keys')} onClose={onClose}>
      <dl class="key-list">
        {activeShortcuts().map(({ keys, title }) => (
          <KeyRow key={keys} keys={keys.split(/[ +]/)} text={t(title)} />
        ))}
      </dl>
      <h3 class="key-part">{t('shell.keys.table')}</h3>
      <dl class="key-list">
        <KeyRow keys={['↓', '↑']} text={t('shell.keys.tableMove')} />
        <KeyRow keys={['Home', 'End']} text={t('shell.keys.tableEnds')} />
        <KeyRow keys={['Enter']} text={t('shell.keys.tableOpen')} />
      </dl>
      <Check label={t('shell.keys.single')} isChecked={hasSingleKeys.value} onValue={chooseSingleKeys} />
    </Dialog>
  )
}

function KeyRow({ keys, text }: { readonly keys: readonly string[]; readonly text: string }): VNode {
  return (
    <>
      <dt>
        {keys.map(key => (
          <kbd key={key}>{key === 'mod' ? modKey() : key.length === 1 ? key.toUpperCase() : key}</kbd>
        ))}
      </dt>
      <dd>{text}</dd>
    </>
  )
}
