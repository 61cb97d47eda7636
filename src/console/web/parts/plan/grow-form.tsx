/** Asks for a growth of a topic: to how many partitions, and what may be done about order and groups. */

import type { VNode } from 'preact'
import { useState } from 'preact/hooks'

import { t } from '../../base/words.ts'
import { Check, Field } from '../field.tsx'
import { Choices } from './choices.tsx'
import { showDialog } from './dialog-host.tsx'
import { FormDialog } from './form-dialog.tsx'
import { wholeOf } from './form-values.ts'

/** Opens the form. `partitions` = how many it has now. */
export function openGrowForm(topic: string, partitions: number): void {
  showDialog(close => <GrowForm topic={topic} partitions={partitions} onClose={close} />)
}

type Order = 'keep' | 'drain' | 'accept'

function GrowForm(options: {
  readonly topic: string
  readonly partitions: number
  readonly onClose: () => void
}): VNode {
  const { topic, partitions, onClose } = options
  const [to, setTo] = useState(String(partitions * 2))
  const [order, setOrder] = useState<Order>('keep')
  const [reason, setReason] = useState('')
  const [isPreCommitted, setPreCommitted] = useState(true)
  const count = wholeOf(to, { least: partitions, most: 100_000 })
  const orders = (['keep', 'drain', 'accept'] as const).map(value => ({
    value,
    text: t(`grow.order.${value}`),
    help: t(`grow.help.${value}`)
  }))
  const forceNeed = reason.trim()
  const request =
    count === undefined
      ? undefined
      : {
          kind: 'partitions.grow' as const,
          topic,
          count,
          isPreCommitted,
          ...(order === 'drain' ? { isDrainedFirst: true } : {}),
          ...(order === 'accept' ? { isOrderBreakAccepted: true } : {}),
          ...(forceNeed === '' ? {} : { forceNeed })
        }
  return (
    <FormDialog title={t('grow.title', { topic })} request={request} onClose={onClose}>
      <p class="soft">{t('grow.text')}</p>
      <Field
        label={t('grow.to')}
        help={t('grow.to.help', { count: partitions })}
        type="number"
        min={partitions}
        step={1}
        value={to}
        problem={count === undefined ? t('grow.to.problem', { count: partitions }) : undefined}
        onValue={setTo}
      />
      <Choices label={t('grow.order')} value={order} choices={orders} onValue={setOrder} />
      <Field label={t('grow.reason')} help={t('grow.reason.help')} value={reason} onValue={setReason} />
      <Check label={t('grow.preCommit')} isChecked={isPreCommitted} onValue={setPreCommitted} />
    </FormDialog>
  )
}
