/** Asks which part of the topics is to be delivered again. */

import type { VNode } from 'preact'
import { useState } from 'preact/hooks'

import { t } from '../../base/words.ts'
import { Check, Field } from '../field.tsx'
import { showDialog } from './dialog-host.tsx'
import { FormDialog } from './form-dialog.tsx'
import { localTimeOf, localTimeText } from './form-values.ts'

/** Opens the form; `topics` are those that the group reads. */
export function openReplayForm(group: string, topics: readonly string[]): void {
  showDialog(close => <ReplayForm group={group} topics={topics} onClose={close} />)
}

function ReplayForm(options: {
  readonly group: string
  readonly topics: readonly string[]
  readonly onClose: () => void
}): VNode {
  const { group, topics, onClose } = options
  const [from, setFrom] = useState(localTimeText(Date.now() - 3_600_000))
  const [to, setTo] = useState(localTimeText(Date.now()))
  const [as, setAs] = useState(`${group}-replay`)
  const [isRestarted, setRestarted] = useState(false)
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set())
  const chosen = topics.filter(topic => !left.has(topic))
  const fromMs = from === '' ? null : localTimeOf(from)
  const toMs = to === '' ? null : localTimeOf(to)
  const isTimeWrong = fromMs !== null && toMs !== null && (fromMs ?? 0) >= (toMs ?? 0)
  const name = as.trim()
  const isNameWrong = name === '' || name === group
  const isSound = fromMs !== undefined && toMs !== undefined && !isTimeWrong && !isNameWrong && chosen.length > 0
  const request = isSound
    ? { kind: 'replay' as const, group, topics: chosen, fromMs, toMs, as: name, isRestarted }
    : undefined
  const choose = (topic: string, isChosen: boolean): void => {
    const next = new Set(left)
    if (isChosen) next.delete(topic)
    else next.add(topic)
    setLeft(next)
  }
  return (
    <FormDialog title={t('replay.title', { group })} request={request} onClose={onClose}>
      <p class="soft">{t('replay.text')}</p>
      <div class="form-row">
        <Field
          label={t('replay.from')}
          help={t('replay.from.help')}
          type="datetime-local"
          step={1}
          value={from}
          onValue={setFrom}
        />
        <Field
          label={t('replay.to')}
          help={t('replay.to.help')}
          type="datetime-local"
          step={1}
          value={to}
          problem={isTimeWrong ? t('replay.to.problem') : undefined}
          onValue={setTo}
        />
      </div>
      <fieldset class="form-choices">
        <legend>{t('replay.topics')}</legend>
        {topics.map(topic => (
          <Check key={topic} label={topic} isChecked={!left.has(topic)} onValue={value => choose(topic, value)} />
        ))}
      </fieldset>
      <Field
        label={t('replay.as')}
        help={t('replay.as.help')}
        isMono
        value={as}
        problem={isNameWrong ? t('replay.as.problem') : undefined}
        onValue={setAs}
      />
      <Check label={t('replay.restart')} isChecked={isRestarted} onValue={setRestarted} />
    </FormDialog>
  )
}
