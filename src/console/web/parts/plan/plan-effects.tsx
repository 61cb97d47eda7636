/** What a plan will do, line by line, and what is to be known before. */

import type { VNode } from 'preact'

import type { PlannedChange } from '../../../api/changes.ts'
import type { HealthLevel } from '../../../api/common.ts'
import { count, seconds } from '../../base/format.ts'
import { t, type WordKey } from '../../base/words.ts'
import { Health } from '../health.tsx'
import { type PlainColumn, PlainTable } from '../plain-table.tsx'

type Effect = PlannedChange['effects'][number]

/** The lines of a plan. Columns that nothing is in are left out. */
export function PlanEffects({ plan }: { readonly plan: PlannedChange }): VNode | null {
  const { effects, effectCount } = plan
  if (effects.length === 0) return null
  const hidden = effectCount - effects.length
  return (
    <div class="plan-effects">
      <PlainTable
        label={t('plan.effects')}
        columns={columnsOf(effects)}
        rows={effects.map((effect, index) => ({ ...effect, index }))}
        rowKey={({ index }) => String(index)}
      />
      {hidden > 0 ? <p class="soft">{t('plan.more', { count: hidden })}</p> : null}
    </div>
  )
}

function columnsOf(effects: readonly Effect[]): readonly PlainColumn<Effect>[] {
  const isNumeric = effects.every(({ before, after }) => [before, after].every(text => /^[\d–]*$/.test(text)))
  const value = (text: string): string => (isNumeric && /^\d+$/.test(text) ? count(text) : text)
  const all: (PlainColumn<Effect> & { readonly isEmpty: boolean })[] = [
    { title: t('plan.what'), cell: each => <span class="mono">{each.what}</span>, isEmpty: false },
    {
      title: t('plan.before'),
      cell: each => value(each.before),
      isNumber: isNumeric,
      isEmpty: effects.every(({ before }) => before === '')
    },
    { title: t('plan.after'), cell: each => value(each.after), isNumber: isNumeric, isEmpty: false },
    {
      title: t('plan.records'),
      cell: recordsText,
      isNumber: true,
      isEmpty: effects.every(({ records }) => records === null)
    },
    {
      title: t('plan.time'),
      cell: each => (each.seconds === null ? '' : seconds(each.seconds)),
      isNumber: true,
      isEmpty: effects.every(each => each.seconds === null)
    },
    {
      title: t('plan.note'),
      cell: each => <span lang="en">{each.note}</span>,
      isEmpty: effects.every(({ note }) => note === '')
    }
  ]
  return all.filter(({ isEmpty }) => !isEmpty)
}

function recordsText({ records }: Effect): string {
  if (records === null) return ''
  if (records === '0') return count('0')
  return records.startsWith('-')
    ? t('plan.never', { amount: count(records.slice(1)) })
    : t('plan.redone', { amount: count(records) })
}

/** What is in the way, what others have changed, what a careful person wants to know, and whether it is final. */
export function PlanNotes({ plan }: { readonly plan: PlannedChange }): VNode {
  return (
    <>
      <Notes title="plan.blockers" level="bad" texts={plan.blockers} />
      <Notes title="plan.conflicts" level="warn" texts={plan.conflicts} />
      <Notes title="plan.warnings" level="warn" isCalm texts={plan.warnings} />
      {plan.noUndoReason === null ? null : <Notes title="plan.final" level="warn" texts={[plan.noUndoReason]} />}
    </>
  )
}

/** Sentences of the server under a title. */
export function Notes(options: {
  readonly title: WordKey
  readonly level: HealthLevel
  readonly texts: readonly string[]
  /** On a ground that does not call. */
  readonly isCalm?: boolean
}): VNode | null {
  const { title, level, texts, isCalm = false } = options
  if (texts.length === 0) return null
  return (
    <section class={`plan-notes health-${level} ${isCalm ? 'plan-notes-calm' : ''}`} aria-label={t(title)}>
      <Health level={level} word={t(title)} />
      <ul lang="en">
        {texts.map(text => (
          <li key={text}>{text}</li>
        ))}
      </ul>
    </section>
  )
}
