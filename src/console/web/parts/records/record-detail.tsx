/** One record in full: where it is, its key, value and headers, to be copied, saved, or passed over by a group. */

import './records.css'

import type { ComponentChildren, VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'

import type { RecordAnswer, RecordShape, ShownBytes, ShownRecord } from '../../../api/records.ts'
import type { TopicDetail } from '../../../api/topics.ts'
import { type ApiProblem, asProblem, getJson } from '../../base/api.ts'
import { count, time } from '../../base/format.ts'
import { canChange, session } from '../../base/session.ts'
import { toast } from '../../base/toasts.ts'
import { t } from '../../base/words.ts'
import { Button } from '../button.tsx'
import { Dialog } from '../dialog.tsx'
import { ProblemBox, Skeleton } from '../feedback.tsx'
import { Select } from '../field.tsx'
import { Icon } from '../icon.tsx'
import { Menu } from '../menu.tsx'
import { PlainTable } from '../plain-table.tsx'
import { openSkip } from '../plan/index.ts'
import { BytesBlock, BytesFacts, BytesLine } from './bytes-view.tsx'
import { shapeChoices } from './shapes.ts'

/** Where a record is. */
export interface RecordPlace {
  readonly topic: string
  readonly partition: number
  readonly offset: string
}

/** What the dialog is given. */
export interface RecordDialogOptions {
  readonly at: RecordPlace
  readonly shape: RecordShape
  readonly onShape: (shape: RecordShape) => void
  readonly onClose: () => void
  /** The records beside it in the list. */
  readonly onBefore?: (() => void) | undefined
  readonly onNext?: (() => void) | undefined
  readonly actions?: ComponentChildren
  /** What is to be said of it before its content. */
  readonly head?: (answer: RecordAnswer) => ComponentChildren
}

/** See the module. */
export function RecordDialog(options: RecordDialogOptions): VNode {
  const { at, shape, onShape, onClose, onBefore, onNext } = options
  const { topic, partition, offset } = at
  const [answer, setAnswer] = useState<RecordAnswer | undefined>(undefined)
  const [problem, setProblem] = useState<ApiProblem | undefined>(undefined)
  const address = new URLSearchParams({ topic, partition: String(partition), offset })
  useEffect(() => {
    const cancel = new AbortController()
    setProblem(undefined)
    getJson<RecordAnswer>(`/api/record?${address}&shape=${shape}`, cancel.signal).then(setAnswer, (error: unknown) => {
      if (!cancel.signal.aborted) setProblem(asProblem(error))
    })
    return () => cancel.abort()
  }, [topic, partition, offset, shape])
  return (
    <Dialog title={`${topic}-${partition} @ ${offset}`} isWide onClose={onClose} actions={options.actions}>
      <div class="record">
        <div class="row record-tools">
          <Button
            icon="left"
            label={t('records.before')}
            isDisabled={onBefore === undefined}
            onPress={() => onBefore?.()}
          />
          <Button
            icon="right"
            label={t('records.after')}
            isDisabled={onNext === undefined}
            onPress={() => onNext?.()}
          />
          <Select label={t('records.shape')} isLabelHidden value={shape} choices={shapeChoices()} onValue={onShape} />
          {answer === undefined ? null : <Tools record={answer.record} address={address} />}
        </div>
        {problem === undefined ? null : <ProblemBox problem={problem} />}
        {answer === undefined ? (
          problem === undefined ? (
            <Skeleton height={240} />
          ) : null
        ) : (
          <>
            {options.head?.(answer)}
            <RecordContent record={answer.record} />
          </>
        )}
      </div>
    </Dialog>
  )
}

function Tools(options: { readonly record: ShownRecord; readonly address: URLSearchParams }): VNode {
  const { record, address } = options
  const isAllowed = session.value?.isExportAllowed === true
  const parts = [
    ...(record.key === null ? [] : (['key'] as const)),
    ...(record.value === null ? [] : (['value'] as const))
  ]
  return (
    <>
      <Button icon="copy" onPress={() => void copy(record.value?.text ?? '')}>
        {t('records.copy')}
      </Button>
      <Button icon="copy" onPress={() => void copy(JSON.stringify(record, null, 2))}>
        {t('records.copyAll')}
      </Button>
      {isAllowed
        ? parts.map(part => (
            <a key={part} class="button button-plain" href={`/api/record/bytes?${address}&part=${part}`} download>
              <Icon name="download" />
              {t(`records.save.${part}`)}
            </a>
          ))
        : null}
      {canChange.value ? <SkipMenu record={record} /> : null}
    </>
  )
}

/** Passes the record over, for one of the groups that read its topic. */
function SkipMenu({ record }: { readonly record: ShownRecord }): VNode | null {
  const { topic, partition, offset } = record
  const [groups, setGroups] = useState<readonly string[]>([])
  useEffect(() => {
    getJson<TopicDetail>(`/api/topic?name=${encodeURIComponent(topic)}`).then(
      detail => setGroups(detail.row.groups.map(({ groupId }) => groupId)),
      // Without groups nothing is offered.
      () => undefined
    )
  }, [topic])
  if (groups.length === 0) return null
  return (
    <Menu
      label={t('records.skip')}
      text={t('records.skip')}
      items={groups.map(group => ({
        text: t('records.skipFor', { group }),
        onPress: () => openSkip({ group, topic, partition, offset })
      }))}
    />
  )
}

async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text)
    toast('good', t('records.copied'))
  } catch (error) {
    toast('bad', asProblem(error).message)
  }
}

function RecordContent({ record }: { readonly record: ShownRecord }): VNode {
  const { key, value, headers, headerCount, timestampMs, timestampType } = record
  return (
    <>
      <p class="soft">
        {time(timestampMs)} · <span class="mono">{isoText(timestampMs)}</span> · {t(`records.time.${timestampType}`)}
      </p>
      <Part title={t('records.key')} bytes={key} />
      <Part title={t('records.value')} bytes={value} />
      <section class="record-part">
        <div class="row">
          <h3>{t('records.headers')}</h3>
          <span class="soft">{count(headerCount)}</span>
        </div>
        {headers.length === 0 ? null : (
          <PlainTable
            label={t('records.headers')}
            rows={headers.map((header, index) => ({ ...header, index }))}
            rowKey={({ index }) => String(index)}
            columns={[
              { title: t('records.header'), cell: each => <span class="mono">{each.key}</span> },
              { title: t('records.value'), cell: each => <BytesLine bytes={each.value} /> }
            ]}
          />
        )}
        {headerCount > headers.length ? <p class="soft">{t('records.headersCut', { count: headers.length })}</p> : null}
      </section>
    </>
  )
}

/** To the millisecond, for comparing with logs. */
function isoText(timestampMs: number): string {
  const isDate = timestampMs >= 0 && timestampMs <= 8_640_000_000_000_000
  return isDate ? new Date(timestampMs).toISOString() : String(timestampMs)
}

function Part({ title, bytes }: { readonly title: string; readonly bytes: ShownBytes | null }): VNode {
  return (
    <section class="record-part" aria-label={title}>
      <div class="row">
        <h3>{title}</h3>
        <BytesFacts bytes={bytes} />
      </div>
      <BytesBlock bytes={bytes} />
    </section>
  )
}
