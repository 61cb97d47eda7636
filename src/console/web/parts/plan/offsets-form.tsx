/** Asks where the committed offsets of a group are to go: by rule, one by one, or as another group has them. */

import type { VNode } from 'preact'
import { useState } from 'preact/hooks'

import type { ChangeRequest, OffsetTarget } from '../../../api/changes.ts'
import { t } from '../../base/words.ts'
import { Field, Select } from '../field.tsx'
import { Choices } from './choices.tsx'
import { showDialog } from './dialog-host.tsx'
import { FormDialog } from './form-dialog.tsx'
import { localTimeOf, localTimeText, offsetOf, partitionsOf, wholeOf } from './form-values.ts'
import { GroupField, OffsetPlaces, type Places } from './offset-places.tsx'

type How = OffsetTarget['to'] | 'place' | 'copy'

interface Wish {
  readonly how: How
  /** Empty = all. */
  readonly topic: string
  readonly partitions: string
  readonly at: string
  readonly offset: string
  readonly by: string
  readonly from: string
  readonly places: Places
}

/** Opens the form; `topics` are those that the group reads. */
export function openOffsetsForm(group: string, topics: readonly string[]): void {
  showDialog(close => <OffsetsForm group={group} topics={topics} onClose={close} />)
}

function OffsetsForm(options: {
  readonly group: string
  readonly topics: readonly string[]
  readonly onClose: () => void
}): VNode {
  const { group, topics, onClose } = options
  const [wish, setWish] = useState<Wish>({
    how: 'earliest',
    topic: topics.length === 1 ? (topics[0] ?? '') : '',
    partitions: '',
    at: localTimeText(Date.now() - 3_600_000),
    offset: '',
    by: '-1',
    from: '',
    places: new Map()
  })
  const set = (change: Partial<Wish>): void => setWish(before => ({ ...before, ...change }))
  const choices = hows.map(value => ({ value, text: t(`offsets.how.${value}`), help: t(`offsets.help.${value}`) }))
  return (
    <FormDialog
      title={t('offsets.title', { group })}
      isWide
      request={requestOf(wish, { group, topics })}
      onClose={onClose}
    >
      <Choices label={t('offsets.how')} value={wish.how} choices={choices} onValue={how => set({ how })} />
      <HowFields group={group} wish={wish} set={set} />
      <Scope topics={topics} wish={wish} set={set} />
    </FormDialog>
  )
}

const hows = ['earliest', 'latest', 'datetime', 'shift', 'offset', 'place', 'copy', 'current'] as const

interface PartOptions {
  readonly wish: Wish
  readonly set: (change: Partial<Wish>) => void
}

function HowFields({ group, wish, set }: PartOptions & { readonly group: string }): VNode | null {
  switch (wish.how) {
    case 'datetime':
      return (
        <Field
          label={t('offsets.at')}
          help={t('offsets.at.help')}
          type="datetime-local"
          step={1}
          value={wish.at}
          onValue={at => set({ at })}
        />
      )
    case 'shift':
      return (
        <Field
          label={t('offsets.by')}
          help={t('offsets.by.help')}
          type="number"
          step={1}
          value={wish.by}
          problem={shiftOf(wish.by) === undefined && wish.by !== '' ? t('offsets.whole') : undefined}
          onValue={by => set({ by })}
        />
      )
    case 'offset':
      return (
        <Field
          label={t('offsets.offset')}
          isMono
          value={wish.offset}
          problem={wish.offset !== '' && offsetOf(wish.offset) === undefined ? t('offsets.digits') : undefined}
          onValue={offset => set({ offset })}
        />
      )
    case 'copy':
      return <GroupField value={wish.from} label={t('offsets.from')} onValue={from => set({ from })} />
    case 'place':
      return <OffsetPlaces group={group} topic={wish.topic} places={wish.places} onPlaces={places => set({ places })} />
    case 'earliest':
    case 'latest':
    case 'current':
      return null
  }
}

function Scope({ topics, wish, set }: PartOptions & { readonly topics: readonly string[] }): VNode {
  const all = { value: '', text: t('offsets.allTopics', { count: topics.length }) }
  const choices = [...(topics.length === 1 ? [] : [all]), ...topics.map(topic => ({ value: topic, text: topic }))]
  const canNarrow = wish.topic !== '' && wish.how !== 'place'
  return (
    <div class="form-row">
      <Select label={t('offsets.topic')} value={wish.topic} choices={choices} onValue={topic => set({ topic })} />
      {canNarrow ? (
        <Field
          label={t('offsets.partitions')}
          help={t('offsets.partitions.help')}
          value={wish.partitions}
          placeholder="0, 3-5"
          problem={partitionsOf(wish.partitions) === undefined ? t('offsets.partitions.problem') : undefined}
          onValue={partitions => set({ partitions })}
        />
      ) : null}
    </div>
  )
}

function shiftOf(text: string): number | undefined {
  const by = wholeOf(text, { least: -1e15, most: 1e15 })
  return by === 0 ? undefined : by
}

function requestOf(
  wish: Wish,
  { group, topics }: { readonly group: string; readonly topics: readonly string[] }
): ChangeRequest | undefined {
  if (wish.how === 'place') {
    const places = [...wish.places.values()].flatMap(place => {
      const offset = offsetOf(place.text)
      return offset === undefined ? [] : [{ topic: place.topic, partition: place.partition, offset }]
    })
    const isWhole = places.length === wish.places.size
    return isWhole && places.length > 0 ? { kind: 'offsets.place', group, places } : undefined
  }
  const scope = scopeOf(wish, topics)
  if (scope === undefined) return undefined
  if (wish.how === 'copy') {
    const from = wish.from.trim()
    return from === '' || from === group ? undefined : { kind: 'offsets.copy', from, to: group, topics: scope }
  }
  const to = targetOf(wish)
  return to === undefined ? undefined : { kind: 'offsets.reset', group, topics: scope, to }
}

function scopeOf({ topic, partitions }: Wish, topics: readonly string[]): readonly string[] | undefined {
  if (topic === '') return topics
  const some = partitionsOf(partitions)
  if (some === undefined) return undefined
  return [some.length === 0 ? topic : `${topic}:${some.join(',')}`]
}

function targetOf({ how, at, offset, by }: Wish): OffsetTarget | undefined {
  switch (how) {
    case 'earliest':
    case 'latest':
    case 'current':
      return { to: how }
    case 'datetime': {
      const atMs = localTimeOf(at)
      return atMs === undefined ? undefined : { to: how, atMs }
    }
    case 'offset': {
      const named = offsetOf(offset)
      return named === undefined ? undefined : { to: how, offset: named }
    }
    case 'shift': {
      const count = shiftOf(by)
      return count === undefined ? undefined : { to: how, by: count }
    }
    case 'place':
    case 'copy':
      return undefined
  }
}
