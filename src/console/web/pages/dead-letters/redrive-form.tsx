/** Asks how all dead letters of a choice are sent again: how fast, where to, with which time. */

import type { VNode } from 'preact'
import { useState } from 'preact/hooks'

import type { RedriveFilter } from '../../../api/changes.ts'
import { t } from '../../base/words.ts'
import { Button } from '../../parts/button.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import { Field } from '../../parts/field.tsx'
import { Choices } from '../../parts/plan/choices.tsx'
import { showDialog } from '../../parts/plan/dialog-host.tsx'
import { localTimeOf, wholeOf } from '../../parts/plan/form-values.ts'
import { openPlan } from '../../parts/plan/index.ts'

/** What is redriven. */
export interface RedriveFormOptions {
  readonly topic: string
  readonly filter: RedriveFilter
  readonly onDone: () => void
}

/** Opens the form. */
export function openRedriveForm(options: RedriveFormOptions): void {
  showDialog(close => <RedriveForm {...options} onClose={close} />)
}

function RedriveForm({ topic, filter, onDone, onClose }: RedriveFormOptions & { readonly onClose: () => void }): VNode {
  const [rate, setRate] = useState('100')
  const [to, setTo] = useState('')
  const [from, setFrom] = useState('')
  const [until, setUntil] = useState('')
  const [timestamp, setTimestamp] = useState<'original' | 'now'>('original')
  const ratePerSecond = rate === '' ? null : wholeOf(rate, { least: 1, most: 1_000_000 })
  const isSound = ratePerSecond !== undefined && /^[A-Za-z0-9._-]{0,249}$/.test(to)
  const [fromMs, toMs] = [localTimeOf(from), localTimeOf(until)]
  const plan = (): void => {
    if (!isSound) return
    onClose()
    const times = { ...(fromMs === undefined ? {} : { fromMs }), ...(toMs === undefined ? {} : { toMs }) }
    openPlan(
      {
        kind: 'redrive',
        topic,
        filter: { ...filter, ...times },
        ratePerSecond,
        timestamp,
        ...(to === '' ? {} : { to })
      },
      { onDone }
    )
  }
  const times = (['original', 'now'] as const).map(value => ({
    value,
    text: t(`redrive.timestamp.${value}`),
    help: t(`redrive.timestamp.help.${value}`)
  }))
  const actions = (
    <>
      <Button onPress={onClose}>{t('plan.cancel')}</Button>
      <Button kind="main" isDisabled={!isSound} onPress={plan}>
        {t('plan.show')}
      </Button>
    </>
  )
  return (
    <Dialog title={t('redrive.title', { topic })} onClose={onClose} actions={actions}>
      <form
        class="form"
        onSubmit={event => {
          event.preventDefault()
          plan()
        }}
      >
        <p class="soft">{choiceText(filter)}</p>
        <Field
          label={t('redrive.rate')}
          help={t('redrive.rate.help')}
          type="number"
          min={1}
          unit={t('redrive.rate.unit')}
          value={rate}
          problem={ratePerSecond === undefined ? t('redrive.rate.problem') : undefined}
          onValue={setRate}
        />
        <div class="form-row">
          <Field label={t('redrive.from')} type="datetime-local" step={1} value={from} onValue={setFrom} />
          <Field label={t('redrive.until')} type="datetime-local" step={1} value={until} onValue={setUntil} />
        </div>
        <Choices label={t('redrive.timestamp')} value={timestamp} choices={times} onValue={setTimestamp} />
        <Field label={t('redrive.to')} help={t('redrive.to.help')} isMono value={to} onValue={setTo} />
        <button type="submit" hidden />
      </form>
    </Dialog>
  )
}

function choiceText({ class: name, originTopic }: RedriveFilter): string {
  if (name !== undefined && originTopic !== undefined) return t('redrive.choice.both', { name, topic: originTopic })
  if (name !== undefined) return t('redrive.choice.class', { name })
  return originTopic === undefined ? t('redrive.choice.all') : t('redrive.choice.origin', { topic: originTopic })
}
