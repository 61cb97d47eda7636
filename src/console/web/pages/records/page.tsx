/** Records of a topic: the newest, from a place on, or as they come; searched, opened one by one, and saved. */

import '../../parts/records/records.css'

import type { VNode } from 'preact'
import { useState } from 'preact/hooks'

import type { ShownRecord } from '../../../api/records.ts'
import { bytes, count, time } from '../../base/format.ts'
import { useQuery } from '../../base/router.ts'
import { session } from '../../base/session.ts'
import { t } from '../../base/words.ts'
import { Button } from '../../parts/button.tsx'
import { Card } from '../../parts/card.tsx'
import { Empty, ProblemBox } from '../../parts/feedback.tsx'
import { Menu } from '../../parts/menu.tsx'
import { Page } from '../../parts/page.tsx'
import { BytesLine } from '../../parts/records/bytes-view.tsx'
import { RecordDialog } from '../../parts/records/record-detail.tsx'
import { shapeOf } from '../../parts/records/shapes.ts'
import { type Column, VirtualTable } from '../../parts/virtual-table.tsx'
import { apiQuery, defaults, isWhole, type RecordsPageQuery } from './query.ts'
import { RecordsForm } from './records-form.tsx'
import { useRecords, type RecordsState } from './use-records.ts'
import { type TailState, useTail } from './use-tail.ts'

/** See the module. */
export default function RecordsPage(): VNode {
  const [query, setQuery] = useQuery({ ...defaults, live: 'false' })
  const { live, ...asked } = query
  const isLive = live === 'true'
  const [turn, setTurn] = useState(0)
  const [isPaused, setPaused] = useState(false)
  const reading = useRecords(isLive ? null : asked, turn)
  const tail = useTail(isLive && isWhole({ ...asked, from: 'latest' }) ? tailQuery(asked) : null, isPaused)
  const records = isLive ? tail.records : reading.records
  return (
    <Page title={t('records.title')} actions={<Download query={asked} isOff={isLive} />}>
      <Card>
        <RecordsForm
          query={asked}
          isLive={isLive}
          onQuery={wish => {
            setQuery(wish)
            setTurn(turn + 1)
          }}
        />
      </Card>
      <Problem problem={isLive ? tail.problem : reading.problem} hasRecords={records.length > 0} />
      <Card isFlush>
        <div class="records-state" role="status">
          <Button
            icon={isLive ? 'close' : 'play'}
            isPressed={isLive}
            isDisabled={asked.topic === ''}
            onPress={() => setQuery({ live: String(!isLive) })}
          >
            {isLive ? t('records.live.end') : t('records.live')}
          </Button>
          {isLive ? (
            <TailLine tail={tail} isPaused={isPaused} onPause={setPaused} />
          ) : (
            <ReadingLine reading={reading} isSearch={asked.find !== ''} isAsked={isWhole(asked)} />
          )}
        </div>
        <RecordsTable
          records={records}
          isAsked={isWhole(asked)}
          isWaiting={isLive || reading.isReading}
          shape={asked.shape}
          onShape={shape => setQuery({ shape })}
        />
      </Card>
    </Page>
  )
}

function tailQuery(query: RecordsPageQuery): string {
  return apiQuery({ ...query, from: 'latest', toMs: '' })
}

function Problem(options: { readonly problem: RecordsState['problem']; readonly hasRecords: boolean }): VNode | null {
  return options.problem === undefined ? null : <ProblemBox problem={options.problem} isKept={options.hasRecords} />
}

function ReadingLine(options: {
  readonly reading: ReturnType<typeof useRecords>
  readonly isSearch: boolean
  readonly isAsked: boolean
}): VNode | null {
  const { reading, isSearch, isAsked } = options
  if (!isAsked) return null
  const { records, searched, next, order, isReading, troubles } = reading
  const more = isSearch ? t('records.goOn') : t(order === 'newestFirst' ? 'records.older' : 'records.newer')
  return (
    <>
      <span>{t('records.found', { count: records.length })}</span>
      <span class="soft">
        {isReading && records.length === 0 ? t('records.reading') : t('records.searched', { count: searched })}
      </span>
      {troubles.length === 0 ? null : (
        <span class="soft" title={troubles.join('\n')}>
          {t('records.troubles', { count: troubles.length })}
        </span>
      )}
      <span class="records-state-end row">
        {!isReading && next === null && searched > 0 ? <span class="soft">{t('records.end')}</span> : null}
        {isReading ? <Button onPress={reading.stop}>{t('records.stop')}</Button> : null}
        {!isReading && next !== null ? (
          <Button icon="down" onPress={reading.goOn}>
            {more}
          </Button>
        ) : null}
      </span>
    </>
  )
}

function TailLine(options: {
  readonly tail: TailState
  readonly isPaused: boolean
  readonly onPause: (isPaused: boolean) => void
}): VNode {
  const { tail, isPaused, onPause } = options
  const state = !tail.isConnected ? t('records.live.off') : isPaused ? t('records.live.paused') : t('records.live.on')
  return (
    <>
      <Button icon={isPaused ? 'play' : 'pause'} isPressed={isPaused} onPress={() => onPause(!isPaused)}>
        {isPaused ? t('records.live.goOn') : t('records.live.pause')}
      </Button>
      <span class="row">
        {tail.isConnected && !isPaused ? <span class="records-live" aria-hidden="true" /> : null}
        {state}
      </span>
      {tail.waiting > 0 ? <strong>{t('records.live.waiting', { count: tail.waiting })}</strong> : null}
      <span class="soft">{t('records.searched', { count: tail.searched })}</span>
      {tail.dropped > 0 ? <span class="soft">{t('records.live.dropped', { count: tail.dropped })}</span> : null}
    </>
  )
}

function RecordsTable(options: {
  readonly records: readonly ShownRecord[]
  readonly isAsked: boolean
  readonly isWaiting: boolean
  readonly shape: string
  readonly onShape: (shape: string) => void
}): VNode {
  const { records, isAsked, isWaiting } = options
  const [open, setOpen] = useState<string | undefined>(undefined)
  const at = records.findIndex(record => keyOf(record) === open)
  const opened = records[at]
  const [before, next] = [records[at - 1], records[at + 1]]
  const go = (to: ShownRecord | undefined): (() => void) | undefined =>
    to === undefined ? undefined : () => setOpen(keyOf(to))
  const empty = isAsked ? (isWaiting ? 'records.waiting' : 'records.none') : 'records.choose'
  return (
    <>
      <VirtualTable
        label={t('records.title')}
        columns={columns()}
        total={records.length}
        offset={0}
        rows={records}
        rowKey={keyOf}
        onOpen={record => setOpen(keyOf(record))}
        empty={<Empty title={t(empty)} icon="records" />}
      />
      {opened === undefined ? null : (
        <RecordDialog
          at={opened}
          shape={shapeOf(options.shape)}
          onShape={options.onShape}
          onClose={() => setOpen(undefined)}
          onBefore={go(before)}
          onNext={go(next)}
        />
      )}
    </>
  )
}

function keyOf({ topic, partition, offset }: ShownRecord): string {
  return `${topic}-${partition}@${offset}`
}

function columns(): readonly Column<ShownRecord>[] {
  return [
    { key: 'time', title: t('records.time'), track: 'minmax(96px, 150px)', cell: each => time(each.timestampMs) },
    {
      key: 'partition',
      title: t('records.partition'),
      track: '84px',
      isNumber: true,
      priority: 2,
      cell: each => each.partition
    },
    {
      key: 'offset',
      title: t('records.offset'),
      track: '100px',
      isNumber: true,
      priority: 2,
      cell: each => each.offset
    },
    { key: 'key', title: t('records.key'), track: 'minmax(80px, 1fr)', cell: each => <BytesLine bytes={each.key} /> },
    {
      key: 'value',
      title: t('records.value'),
      track: 'minmax(140px, 4fr)',
      cell: each => <BytesLine bytes={each.value} />
    },
    {
      key: 'headers',
      title: t('records.headers'),
      track: '84px',
      isNumber: true,
      priority: 3,
      cell: each => count(each.headerCount)
    },
    {
      key: 'size',
      title: t('records.size'),
      track: '104px',
      isNumber: true,
      priority: 3,
      cell: each => (each.value === null || each.value.shape === 'masked' ? '–' : bytes(each.value.byteLength))
    }
  ]
}

function Download({ query, isOff }: { readonly query: RecordsPageQuery; readonly isOff: boolean }): VNode | null {
  if (session.value?.isExportAllowed !== true || isOff || !isWhole(query)) return null
  const save = (format: string): void => {
    const link = document.createElement('a')
    link.href = `/api/records/export?${apiQuery(query, { limit: '500', format })}`
    link.download = ''
    link.click()
  }
  return (
    <Menu
      label={t('records.save')}
      button={{ icon: 'download' }}
      text={t('records.save')}
      items={[
        { text: t('records.save.ndjson'), onPress: () => save('ndjson') },
        { text: t('records.save.csv'), onPress: () => save('csv') }
      ]}
    />
  )
}
