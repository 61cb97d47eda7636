/** What was changed, by whom, what came of it, and the way back. */

import '../../parts/plan/plan.css'

import type { VNode } from 'preact'
import { useState } from 'preact/hooks'

import type { ChangeEntry } from '../../../api/changes.ts'
import type { HealthLevel, Page as PageOf } from '../../../api/common.ts'
import { time } from '../../base/format.ts'
import { refreshLive, useLive } from '../../base/live.ts'
import { canChange } from '../../base/session.ts'
import { say, t } from '../../base/words.ts'
import { Badge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { Card } from '../../parts/card.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import { Empty, ProblemBox } from '../../parts/feedback.tsx'
import { Health } from '../../parts/health.tsx'
import { Icon } from '../../parts/icon.tsx'
import { Page } from '../../parts/page.tsx'
import { openUndo } from '../../parts/plan/index.ts'
import { Notes } from '../../parts/plan/plan-effects.tsx'
import { type Column, RowCount, VirtualTable } from '../../parts/virtual-table.tsx'

const LEVELS: Readonly<Record<Exclude<ChangeEntry['state'], 'running' | 'undone'>, HealthLevel>> = {
  planned: 'unknown',
  applied: 'good',
  partial: 'warn'
}

/** See the module. */
export default function ChangesPage(): VNode {
  const [range, setRange] = useState({ offset: 0, limit: 100 })
  const { value, problem } = useLive<PageOf<ChangeEntry>>(`/api/changes?offset=${range.offset}&limit=${range.limit}`)
  const [open, setOpen] = useState<ChangeEntry | undefined>(undefined)
  return (
    <Page title={t('changes.title')} aside={<RowCount total={value?.total} />}>
      <div class="stack">
        <p class="soft">{t('changes.text')}</p>
        {problem === undefined ? null : <ProblemBox problem={problem} isKept={value !== undefined} />}
        <Card isFlush>
          <VirtualTable
            label={t('changes.title')}
            columns={columns()}
            total={value?.total}
            offset={value?.offset ?? 0}
            rows={value?.rows ?? []}
            rowKey={row => row.undoId}
            onRange={(offset, limit) => setRange({ offset, limit: Math.min(200, limit) })}
            onOpen={setOpen}
            empty={
              <Empty title={t('changes.empty')} icon="changes">
                {t('changes.empty.text')}
              </Empty>
            }
          />
        </Card>
      </div>
      {open === undefined ? null : <ChangeDetail entry={open} onClose={() => setOpen(undefined)} />}
    </Page>
  )
}

function columns(): readonly Column<ChangeEntry>[] {
  return [
    { key: 'at', title: t('changes.when'), track: 'minmax(96px, 150px)', cell: row => time(row.atMs) },
    {
      key: 'kind',
      title: t('changes.what'),
      track: '224px',
      cell: row => <Badge>{kindText(row)}</Badge>,
      priority: 2
    },
    {
      key: 'summary',
      title: t('changes.details'),
      track: 'minmax(140px, 1fr)',
      cell: row => (
        <span lang="en" title={row.summary}>
          {row.summary}
        </span>
      )
    },
    {
      key: 'state',
      title: t('changes.state'),
      track: '150px',
      cell: row => <StateSign state={row.state} />
    },
    { key: 'by', title: t('changes.by'), track: '110px', priority: 3, cell: byText },
    {
      key: 'undo',
      title: t('changes.undo'),
      track: '156px',
      cell: row => (
        <span onClick={event => event.stopPropagation()}>
          <UndoButton entry={row} />
        </span>
      )
    }
  ]
}

function StateSign({ state }: { readonly state: ChangeEntry['state'] }): VNode {
  const word = t(`changes.state.${state}`)
  if (state !== 'running' && state !== 'undone') return <Health level={LEVELS[state]} word={word} />
  return (
    <span class="state-sign">
      <Icon name={state === 'running' ? 'play' : 'undo'} size={16} />
      {word}
    </span>
  )
}

function kindText({ kind, undoes }: ChangeEntry): string {
  return undoes === null ? say(`changes.kind.${kind}`) : t('changes.kind.undo')
}

function byText({ by }: ChangeEntry): string {
  return by ?? t('changes.commandLine')
}

function UndoButton({ entry, onPress }: { readonly entry: ChangeEntry; readonly onPress?: () => void }): VNode {
  const { undoId, canUndo, noUndoReason } = entry
  if (!canUndo) {
    return (
      <span class="soft" title={noUndoReason ?? ''}>
        {t('changes.noUndo')}
      </span>
    )
  }
  const isAllowed = canChange.value
  return (
    <Button
      icon="undo"
      isDisabled={!isAllowed}
      {...(isAllowed ? {} : { title: t('letters.viewer') })}
      onPress={() => {
        onPress?.()
        openUndo({ undoId }, { onDone: refreshLive })
      }}
    >
      {t('changes.undo')}
    </Button>
  )
}

function ChangeDetail({ entry, onClose }: { readonly entry: ChangeEntry; readonly onClose: () => void }): VNode {
  const { undoId, atMs, summary, state, result, failures, undoes, noUndoReason } = entry
  return (
    <Dialog
      title={kindText(entry)}
      isWide
      onClose={onClose}
      actions={
        <>
          <UndoButton entry={entry} onPress={onClose} />
          <Button onPress={onClose}>{t('plan.close')}</Button>
        </>
      }
    >
      <div class="plan">
        <p class="plan-summary" lang="en">
          {summary}
        </p>
        <p class="row">
          <StateSign state={state} />
          <span class="soft">
            {time(atMs)} · {byText(entry)}
          </span>
        </p>
        {undoes === null ? null : <p>{t('changes.undoes', { id: undoes })}</p>}
        {result === null ? null : <p lang="en">{result}</p>}
        <Notes title="plan.failures" level="bad" texts={failures} />
        {noUndoReason === null ? null : <Notes title="changes.noUndo" level="idle" texts={[noUndoReason]} />}
        <p class="soft">
          {t('changes.id')} <code>{undoId}</code>
        </p>
      </div>
    </Dialog>
  )
}
