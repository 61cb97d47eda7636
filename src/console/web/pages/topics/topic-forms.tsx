/** Questions before a topic is made or its settings change; the answers go to a plan. */

import './topics.css'

import { signal } from '@preact/signals'
import type { VNode } from 'preact'
import { useState } from 'preact/hooks'

import { useUniqueId } from '../../base/unique-id.ts'
import { t } from '../../base/words.ts'
import { Field } from '../../parts/field.tsx'
import { openPlan } from '../../parts/plan/index.ts'
import { QuestionDialog } from '../groups/group-actions.tsx'
import { isTopicName, readSettings, wholeNumber } from './settings-text.ts'

interface Altering {
  readonly topic: string
  /** Lines that are there to begin with. */
  readonly lines: string
}

const creating = signal(false)
const altering = signal<Altering | undefined>(undefined)

/** Asks for a new topic. */
export function openCreateForm(): void {
  creating.value = true
}

/** Asks which settings of a topic change. */
export function openAlterForm(topic: string, lines = ''): void {
  altering.value = { topic, lines }
}

/** The forms: part of each page that offers these actions. */
export function TopicForms(): VNode | null {
  if (creating.value) return <CreateForm />
  return altering.value === undefined ? null : <AlterForm {...altering.value} />
}

function CreateForm(): VNode {
  const [topic, setTopic] = useState('')
  const [partitions, setPartitions] = useState('3')
  const [replicas, setReplicas] = useState('')
  const [lines, setLines] = useState('')
  const [isTried, setTried] = useState(false)
  const partitionCount = wholeNumber(partitions, 1, 10_000)
  const replicaCount = replicas.trim() === '' ? undefined : wholeNumber(replicas, 1, 100)
  const isReplicasWrong = replicas.trim() !== '' && replicaCount === undefined
  const read = readSettings(lines)
  const close = (): void => void (creating.value = false)
  const plan = (): void => {
    setTried(true)
    if (!isTopicName(topic) || partitionCount === undefined || isReplicasWrong || read.kind === 'wrong') return
    const named = Object.entries(read.settings).flatMap(([name, value]) => (value === null ? [] : [[name, value]]))
    close()
    openPlan({
      kind: 'topics.create',
      topic,
      partitions: partitionCount,
      ...(replicaCount === undefined ? {} : { replicationFactor: replicaCount }),
      settings: Object.fromEntries(named) as Record<string, string> // pairs of text, as they were made above
    })
  }
  return (
    <QuestionDialog title={t('topics.create.title')} onClose={close} onPlan={plan}>
      <Field
        label={t('topics.create.name')}
        help={t('topics.create.nameHelp')}
        value={topic}
        onValue={setTopic}
        isMono
        isFirst
        isRequired
        problem={(isTried || topic !== '') && !isTopicName(topic) ? t('topics.create.nameWrong') : undefined}
      />
      <div class="columns">
        <Field
          label={t('topics.create.partitions')}
          help={t('topics.create.partitionsHelp')}
          value={partitions}
          onValue={setPartitions}
          problem={partitionCount === undefined ? t('topics.create.partitionsWrong') : undefined}
        />
        <Field
          label={t('topics.create.replicas')}
          help={t('topics.create.replicasHelp')}
          value={replicas}
          onValue={setReplicas}
          problem={isReplicasWrong ? t('topics.create.replicasWrong') : undefined}
        />
      </div>
      <SettingsField help={t('topics.create.settingsHelp')} lines={lines} onLines={setLines} />
    </QuestionDialog>
  )
}

function AlterForm({ topic, lines: first }: Altering): VNode {
  const [lines, setLines] = useState(first)
  const [isTried, setTried] = useState(false)
  const read = readSettings(lines)
  const isNothing = read.kind === 'settings' && Object.keys(read.settings).length === 0
  const close = (): void => void (altering.value = undefined)
  const plan = (): void => {
    setTried(true)
    if (read.kind === 'wrong' || isNothing) return
    close()
    openPlan({ kind: 'topics.alter', topic, settings: read.settings })
  }
  return (
    <QuestionDialog title={t('topics.alter.title', { topic })} onClose={close} onPlan={plan}>
      <SettingsField
        help={t('topics.alter.help')}
        lines={lines}
        onLines={setLines}
        problem={isTried && isNothing ? t('topics.alter.nothing') : undefined}
      />
    </QuestionDialog>
  )
}

function SettingsField(options: {
  readonly help: string
  readonly lines: string
  readonly onLines: (lines: string) => void
  readonly problem?: string | undefined
}): VNode {
  const id = useUniqueId()
  const read = readSettings(options.lines)
  const problem = read.kind === 'wrong' ? t('topics.create.settingsWrong', { line: read.line }) : options.problem
  return (
    <div class="field">
      <label class="field-label" for={id}>
        {t('topics.create.settings')}
      </label>
      <textarea
        id={id}
        class="input mono settings-lines"
        rows={6}
        spellcheck={false}
        value={options.lines}
        aria-invalid={problem === undefined ? undefined : 'true'}
        aria-describedby={`${id}-help${problem === undefined ? '' : ` ${id}-problem`}`}
        onInput={event => options.onLines(event.currentTarget.value)}
      />
      <p class="field-help" id={`${id}-help`}>
        {options.help}
      </p>
      {problem === undefined ? null : (
        <p class="field-problem" id={`${id}-problem`} role="alert">
          {problem}
        </p>
      )}
    </div>
  )
}
