/** Dead letters as a table: to be chosen, and opened with their reason, origin and history. */

import { Fragment, type VNode } from 'preact'
import { useState } from 'preact/hooks'

import type { DeadLetterRow, RecordAnswer, RecordShape } from '../../../api/records.ts'
import { count, time } from '../../base/format.ts'
import { Link } from '../../base/router.ts'
import { canChange } from '../../base/session.ts'
import { t } from '../../base/words.ts'
import { Badge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { Empty } from '../../parts/feedback.tsx'
import { BytesLine } from '../../parts/records/bytes-view.tsx'
import { RecordDialog } from '../../parts/records/record-detail.tsx'
import { type Column, VirtualTable } from '../../parts/virtual-table.tsx'

/** What the table is given. */
export interface LettersTableOptions {
  readonly letters: readonly DeadLetterRow[]
  readonly topic: string
  /** `partition@offset`. */
  readonly chosen: ReadonlySet<string>
  readonly onChosen: (chosen: ReadonlySet<string>) => void
  readonly shape: RecordShape
  readonly onShape: (shape: RecordShape) => void
  readonly onRedrive: (letter: DeadLetterRow) => void
}

/** See the module. */
export function LettersTable(options: LettersTableOptions): VNode {
  const { letters, topic, shape, onShape, onRedrive } = options
  const [open, setOpen] = useState<string | undefined>(undefined)
  const at = letters.findIndex(letter => keyOf(letter) === open)
  const letter = letters[at]
  const [before, next] = [letters[at - 1], letters[at + 1]]
  const go = (to: DeadLetterRow | undefined): (() => void) | undefined =>
    to === undefined ? undefined : () => setOpen(keyOf(to))
  return (
    <>
      <VirtualTable
        label={t('letters.title')}
        columns={columns(options)}
        total={letters.length}
        offset={0}
        rows={letters}
        rowKey={keyOf}
        onOpen={row => setOpen(keyOf(row))}
        empty={
          <Empty title={t('letters.none')} icon="deadLetters">
            {t('letters.none.text')}
          </Empty>
        }
      />
      {letter === undefined ? null : (
        <RecordDialog
          at={{ topic, partition: letter.partition, offset: letter.offset }}
          shape={shape}
          onShape={onShape}
          onClose={() => setOpen(undefined)}
          onBefore={go(before)}
          onNext={go(next)}
          head={answer => <LetterFacts answer={answer} />}
          actions={
            <Button
              kind="main"
              icon="retries"
              isDisabled={!canChange.value}
              {...(canChange.value ? {} : { title: t('letters.viewer') })}
              onPress={() => {
                setOpen(undefined)
                onRedrive(letter)
              }}
            >
              {t('letters.redrive')}
            </Button>
          }
        />
      )}
    </>
  )
}

function keyOf({ partition, offset }: DeadLetterRow): string {
  return `${partition}@${offset}`
}

function columns({ letters, chosen, onChosen }: LettersTableOptions): readonly Column<DeadLetterRow>[] {
  const set = (letter: DeadLetterRow, isChosen: boolean): void => {
    const next = new Set(chosen)
    if (isChosen) next.add(keyOf(letter))
    else next.delete(keyOf(letter))
    onChosen(next)
  }
  const choice: Column<DeadLetterRow> = {
    key: 'choice',
    title: t('letters.choose', { count: letters.length }),
    track: '72px',
    cell: each => (
      <span class="letter-choice" onClick={event => event.stopPropagation()}>
        <input
          type="checkbox"
          aria-label={t('letters.chooseOne', { letter: keyOf(each) })}
          checked={chosen.has(keyOf(each))}
          onChange={event => set(each, event.currentTarget.checked)}
        />
      </span>
    )
  }
  return [
    ...(canChange.value ? [choice] : []),
    { key: 'at', title: t('letters.at'), track: 'minmax(96px, 150px)', cell: each => time(each.atMs) },
    {
      key: 'class',
      title: t('letters.class'),
      track: 'minmax(110px, 170px)',
      priority: 2,
      cell: each => <Badge>{each.class === '' ? t('letters.noClass') : each.class}</Badge>
    },
    {
      key: 'reason',
      title: t('letters.reason'),
      track: 'minmax(140px, 3fr)',
      cell: each => <span title={each.reason}>{each.reason}</span>
    },
    {
      key: 'origin',
      title: t('letters.from'),
      track: 'minmax(120px, 1.5fr)',
      priority: 2,
      cell: each => <span class="mono">{originText(each)}</span>
    },
    {
      key: 'key',
      title: t('records.key'),
      track: 'minmax(80px, 1fr)',
      priority: 2,
      cell: each => <BytesLine bytes={each.record.key} />
    },
    {
      key: 'attempts',
      title: t('letters.attempts'),
      track: '92px',
      isNumber: true,
      priority: 3,
      cell: each => count(each.attempts)
    },
    {
      key: 'redrives',
      title: t('letters.redrives'),
      track: '92px',
      isNumber: true,
      priority: 3,
      cell: each => count(each.redrives)
    }
  ]
}

function originText({ originTopic, originPartition, originOffset }: DeadLetterRow): string {
  if (originTopic === null) return '–'
  return originPartition === null || originOffset === null
    ? originTopic
    : `${originTopic}-${originPartition}@${originOffset}`
}

function LetterFacts({ answer }: { readonly answer: RecordAnswer }): VNode | null {
  const { letter } = answer
  if (letter === null) return null
  const { originTopic, originPartition, originOffset } = letter
  const origin =
    originTopic === null ? null : originPartition === null || originOffset === null ? (
      originTopic
    ) : (
      <Link to={originPath(originTopic, originPartition, originOffset)}>{originText(letter)}</Link>
    )
  const facts = [
    ['letters.class', letter.class === '' ? null : letter.class],
    ['letters.reason', letter.reason === '' ? null : letter.reason],
    ['letters.from', origin],
    ['letters.group', letter.group],
    ['letters.attempts', letter.attempts === null ? null : count(letter.attempts)],
    ['letters.first', letter.firstFailureMs === null ? null : time(letter.firstFailureMs)],
    ['letters.last', letter.lastFailureMs === null ? null : time(letter.lastFailureMs)],
    ['letters.redrives', letter.redrives === 0 ? null : count(letter.redrives)],
    ['letters.value', letter.isWhole ? null : t('letters.notWhole')]
  ] as const
  return (
    <dl class="letter-facts">
      {facts.map(([name, value]) =>
        value === null ? null : (
          <Fragment key={name}>
            <dt>{t(name)}</dt>
            <dd>{value}</dd>
          </Fragment>
        )
      )}
    </dl>
  )
}

function originPath(topic: string, partition: number, offset: string): string {
  return `/records?${new URLSearchParams({ topic, partition: String(partition), from: 'offset', fromOffset: offset })}`
}
