/** What is to be read: topic, place, search. */

import type { VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'

import { t } from '../../base/words.ts'
import { Button } from '../../parts/button.tsx'
import { Check, Field, Select } from '../../parts/field.tsx'
import { localTimeOf, localTimeText } from '../../parts/plan/form-values.ts'
import { shapeChoices, shapeOf } from '../../parts/records/shapes.ts'
import { TopicField } from '../../parts/records/topic-field.tsx'
import { isWhole, type RecordsPageQuery } from './query.ts'

/** See the module. */
export function RecordsForm(options: {
  readonly query: RecordsPageQuery
  readonly isLive: boolean
  readonly onQuery: (query: RecordsPageQuery) => void
}): VNode {
  const { query, isLive, onQuery } = options
  const [wish, setWish] = useState(query)
  useEffect(() => setWish(query), [JSON.stringify(query)])
  const set = (change: Partial<RecordsPageQuery>): void => setWish(before => ({ ...before, ...change }))
  return (
    <form
      class="stack"
      onSubmit={event => {
        event.preventDefault()
        if (isWhole(wish)) onQuery(wish)
      }}
    >
      <div class="records-form">
        <TopicField value={wish.topic} isFirst={query.topic === ''} onValue={topic => set({ topic, partition: '' })} />
        <Field
          label={t('records.partition')}
          type="number"
          min={0}
          placeholder={t('records.all')}
          value={wish.partition}
          onValue={partition => set({ partition })}
        />
        <PlaceFields wish={wish} set={set} isLive={isLive} />
        <Select
          label={t('records.shape')}
          value={shapeOf(wish.shape)}
          choices={shapeChoices()}
          onValue={shape => {
            set({ shape })
            onQuery({ ...query, shape })
          }}
        />
      </div>
      <div class="records-form">
        <Field
          label={t('records.find')}
          type="search"
          placeholder={t('records.find.hint')}
          value={wish.find}
          isMono={wish.isPattern === 'true'}
          onValue={find => set({ find })}
        />
        <FindIn wish={wish} set={set} />
        <Check
          label={t('records.pattern')}
          isChecked={wish.isPattern === 'true'}
          onValue={is => set({ isPattern: String(is) })}
        />
        <Check
          label={t('records.ignoreCase')}
          isChecked={wish.isCaseIgnored === 'true'}
          onValue={is => set({ isCaseIgnored: String(is) })}
        />
        <Button kind="main" type="submit" icon="search" isDisabled={!isWhole(wish)}>
          {wish.find === '' ? t('records.read') : t('records.search')}
        </Button>
      </div>
    </form>
  )
}

interface PartOptions {
  readonly wish: RecordsPageQuery
  readonly set: (change: Partial<RecordsPageQuery>) => void
}

const FROMS = ['latest', 'earliest', 'datetime', 'offset'] as const

function PlaceFields({ wish, set, isLive }: PartOptions & { readonly isLive: boolean }): VNode | null {
  if (isLive) return null
  const from = FROMS.find(each => each === wish.from) ?? 'latest'
  const timeText = (text: string): string => (text === '' ? '' : localTimeText(Number(text)))
  const msText = (text: string): string => String(localTimeOf(text) ?? '')
  return (
    <>
      <Select
        label={t('records.from')}
        value={from}
        choices={FROMS.map(value => ({ value, text: t(`records.from.${value}`) }))}
        onValue={value =>
          set({ from: value, ...(value === 'datetime' && wish.fromMs === '' ? { fromMs: hourAgo() } : {}) })
        }
      />
      {from === 'datetime' ? (
        <Field
          label={t('records.fromTime')}
          type="datetime-local"
          step={1}
          value={timeText(wish.fromMs)}
          onValue={text => set({ fromMs: msText(text) })}
        />
      ) : null}
      {from === 'offset' ? (
        <Field
          label={t('records.offset')}
          isMono
          value={wish.fromOffset}
          onValue={text => set({ fromOffset: text.replaceAll(/\D/g, '') })}
        />
      ) : null}
      <Field
        label={t('records.to')}
        type="datetime-local"
        step={1}
        value={timeText(wish.toMs)}
        onValue={text => set({ toMs: msText(text) })}
      />
    </>
  )
}

function hourAgo(): string {
  return String(Date.now() - 3_600_000)
}

const PARTS = ['any', 'key', 'value', 'headers'] as const

function FindIn({ wish, set }: PartOptions): VNode {
  return (
    <Select
      label={t('records.findIn')}
      value={PARTS.find(part => part === wish.findIn) ?? 'any'}
      choices={PARTS.map(value => ({ value, text: t(`records.findIn.${value}`) }))}
      onValue={findIn => set({ findIn })}
    />
  )
}
