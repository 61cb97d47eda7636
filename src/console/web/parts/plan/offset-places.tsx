/** Offsets of a group one by one, and the choice of another group. */

import type { VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'

import type { Page } from '../../../api/common.ts'
import type { GroupDetail, GroupRow, PartitionRow } from '../../../api/groups.ts'
import { type ApiProblem, asProblem, getJson } from '../../base/api.ts'
import { count } from '../../base/format.ts'
import { useUniqueId } from '../../base/unique-id.ts'
import { t } from '../../base/words.ts'
import { ProblemBox, Skeleton } from '../feedback.tsx'
import { Field } from '../field.tsx'
import { PlainTable } from '../plain-table.tsx'
import { offsetOf } from './form-values.ts'

/** Offsets that were typed, by `topic/partition`. */
export type Places = ReadonlyMap<string, { readonly topic: string; readonly partition: number; readonly text: string }>

/** Partitions that are offered. */
const ROWS_MAX = 500

/** A field for each partition that the group has; what is left empty stays. */
export function OffsetPlaces(options: {
  readonly group: string
  /** Empty = all. */
  readonly topic: string
  readonly places: Places
  readonly onPlaces: (places: Places) => void
}): VNode {
  const { group, topic, places, onPlaces } = options
  const [rows, setRows] = useState<readonly PartitionRow[] | undefined>(undefined)
  const [problem, setProblem] = useState<ApiProblem | undefined>(undefined)
  useEffect(() => {
    const path = `/api/group?id=${encodeURIComponent(group)}&limit=${ROWS_MAX}&sort=partition`
    getJson<GroupDetail>(path).then(
      detail => setRows(detail.partitions.rows),
      (error: unknown) => setProblem(asProblem(error))
    )
  }, [group])
  if (problem !== undefined) return <ProblemBox problem={problem} />
  if (rows === undefined) return <Skeleton height={160} />
  const set = (row: PartitionRow, text: string): void => {
    const next = new Map(places)
    const key = `${row.topic}/${row.partition}`
    if (text.trim() === '') next.delete(key)
    else next.set(key, { topic: row.topic, partition: row.partition, text })
    onPlaces(next)
  }
  return (
    <div class="form-places">
      <PlainTable
        label={t('offsets.places')}
        rows={rows.filter(row => topic === '' || row.topic === topic)}
        rowKey={row => `${row.topic}/${row.partition}`}
        columns={[
          { title: t('plan.what'), cell: row => <span class="mono">{`${row.topic}-${row.partition}`}</span> },
          { title: t('offsets.committed'), cell: row => count(row.committed), isNumber: true },
          { title: t('offsets.start'), cell: row => count(row.logStartOffset), isNumber: true },
          { title: t('offsets.end'), cell: row => count(row.endOffset), isNumber: true },
          {
            title: t('offsets.new'),
            isNumber: true,
            cell: row => <PlaceField row={row} places={places} onText={text => set(row, text)} />
          }
        ]}
      />
    </div>
  )
}

function PlaceField(options: {
  readonly row: PartitionRow
  readonly places: Places
  readonly onText: (text: string) => void
}): VNode {
  const { row, places, onText } = options
  const text = places.get(`${row.topic}/${row.partition}`)?.text ?? ''
  return (
    <Field
      label={t('offsets.newOf', { partition: `${row.topic}-${row.partition}` })}
      isLabelHidden
      isMono
      value={text}
      placeholder={row.committed ?? ''}
      problem={text !== '' && offsetOf(text) === undefined ? t('offsets.digits') : undefined}
      onValue={onText}
    />
  )
}

/** A group, with those that fit what was typed. */
export function GroupField(options: {
  readonly label: string
  readonly value: string
  readonly onValue: (value: string) => void
}): VNode {
  const { label, value, onValue } = options
  const id = useUniqueId()
  const [names, setNames] = useState<readonly string[]>([])
  useEffect(() => {
    const cancel = new AbortController()
    const timer = setTimeout(() => {
      const path = `/api/groups?limit=20&sort=groupId&find=${encodeURIComponent(value)}`
      getJson<Page<GroupRow>>(path, cancel.signal).then(
        ({ rows }) => setNames(rows.map(row => row.groupId)),
        // Names are a help; one that is typed counts all the same.
        () => undefined
      )
    }, 200)
    return () => {
      clearTimeout(timer)
      cancel.abort()
    }
  }, [value])
  return (
    <>
      <Field label={label} value={value} listId={id} isMono onValue={onValue} />
      <datalist id={id}>
        {names.map(name => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </>
  )
}
