/** A topic, with those that fit what was typed. */

import type { VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'

import type { Page } from '../../../api/common.ts'
import type { TopicRow } from '../../../api/topics.ts'
import { getJson } from '../../base/api.ts'
import { useUniqueId } from '../../base/unique-id.ts'
import { t } from '../../base/words.ts'
import { Field } from '../field.tsx'

/** See the module. */
export function TopicField(options: {
  readonly value: string
  readonly isFirst?: boolean
  readonly onValue: (topic: string) => void
}): VNode {
  const { value, onValue, isFirst = false } = options
  const id = useUniqueId()
  const [names, setNames] = useState<readonly string[]>([])
  useEffect(() => {
    const cancel = new AbortController()
    const timer = setTimeout(() => {
      const path = `/api/topics?limit=30&sort=topic&find=${encodeURIComponent(value)}`
      getJson<Page<TopicRow>>(path, cancel.signal).then(
        ({ rows }) => setNames(rows.map(row => row.topic)),
        // Names are a help; one that is typed counts all the same.
        () => undefined
      )
    }, 150)
    return () => {
      clearTimeout(timer)
      cancel.abort()
    }
  }, [value])
  return (
    <>
      <Field label={t('records.topic')} value={value} listId={id} isMono isFirst={isFirst} onValue={onValue} />
      <datalist id={id}>
        {names.map(name => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </>
  )
}
