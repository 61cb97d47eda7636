/** Rebalances on a line of time, and what happened in each: who came, who left, what moved, how long it took. */

import './timeline.css'

import type { VNode } from 'preact'

import type { RebalanceEntry } from '../../../api/groups.ts'
import { ago, now, seconds, time } from '../../base/format.ts'
import { language, t } from '../../base/words.ts'
import { Badge } from '../badge.tsx'
import { layoutTimeline, LANES_MAX, timeRange, timeTicks } from './timeline-layout.ts'

/** Time after which the line is drawn anew: it does not creep with each second. */
const REDRAW_MS = 5_000
/** Members that are named in an entry. */
const NAMES_MAX = 4

/** See the module. Newest first; `isGroupShown` names the group of each. */
export function Timeline(options: {
  readonly entries: readonly RebalanceEntry[]
  readonly isGroupShown?: boolean
}): VNode {
  const { entries } = options
  return (
    <div class="timeline">
      <Line entries={entries} />
      <ol class="timeline-list">
        {entries.map(entry => (
          <Entry key={entryKey(entry)} entry={entry} isGroupShown={options.isGroupShown === true} />
        ))}
      </ol>
    </div>
  )
}

function Line({ entries }: { readonly entries: readonly RebalanceEntry[] }): VNode {
  const nowMs = Math.ceil(now.value / REDRAW_MS) * REDRAW_MS
  const spans = entries.map(({ afterMs, atMs, settledAtMs }) => ({ fromMs: afterMs || atMs, toMs: settledAtMs }))
  const range = timeRange(spans, nowMs)
  const places = layoutTimeline(spans, range, nowMs)
  const lanes = Math.min(LANES_MAX, 1 + Math.max(0, ...places.map(({ lane }) => lane)))
  return (
    <div class="timeline-line" role="img" aria-label={t('timeline.label', { count: entries.length })}>
      <div class="timeline-track" style={{ height: `${lanes * 18 + 8}px` }}>
        {places.map(({ index, left, width, lane }) => {
          const entry = entries[index]
          if (entry === undefined) return null
          return (
            <span
              key={entryKey(entry)}
              class={`timeline-mark ${entry.settledAtMs === null ? 'timeline-open' : ''}`}
              style={{ left: `${left}%`, width: `${width}%`, top: `${lane * 18 + 5}px` }}
              title={`${time(entry.atMs)} · ${entrySummary(entry)}`}
            />
          )
        })}
      </div>
      <div class="timeline-ticks">
        {timeTicks(range, 6).map(({ atMs, left }) => (
          <span key={atMs} class="timeline-tick" style={{ left: `${left}%` }}>
            {tickText(atMs, range)}
          </span>
        ))}
      </div>
    </div>
  )
}

function tickText(atMs: number, { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number }): string {
  const length = toMs - fromMs
  const form: Intl.DateTimeFormatOptions =
    length > 2 * 86_400_000
      ? { month: 'short', day: 'numeric' }
      : { hour: '2-digit', minute: '2-digit', ...(length < 600_000 ? { second: '2-digit' } : {}) }
  return new Date(atMs).toLocaleString(language.value, form)
}

function Entry({ entry, isGroupShown }: { readonly entry: RebalanceEntry; readonly isGroupShown: boolean }): VNode {
  const { joined, left, moved, settledAtMs, afterMs, atMs } = entry
  const isOpen = settledAtMs === null
  return (
    <li class="timeline-entry">
      <span class="timeline-when">
        <time dateTime={new Date(atMs).toISOString()}>{time(atMs)}</time>
        <span class="soft">{ago(atMs)}</span>
      </span>
      <span class="timeline-what">
        {isGroupShown ? <strong>{entry.groupId}</strong> : null}
        {isOpen ? (
          <Badge level="warn" title={t('timeline.state', { state: entry.state })}>
            {t('timeline.goesOn')} · {entry.state}
          </Badge>
        ) : (
          <Badge>{t('timeline.settledIn', { time: seconds((settledAtMs - (afterMs || atMs)) / 1_000) })}</Badge>
        )}
        {joined.length === 0 ? null : (
          <Names sign="+" text={t('timeline.joined', { count: joined.length })} names={joined} />
        )}
        {left.length === 0 ? null : <Names sign="−" text={t('timeline.left', { count: left.length })} names={left} />}
        <span>{movedText(moved, entry.partitionCount)}</span>
        <span class="soft">{t('timeline.members', { count: entry.memberCount })}</span>
      </span>
    </li>
  )
}

function Names(options: { readonly sign: string; readonly text: string; readonly names: readonly string[] }): VNode {
  const { names, sign, text } = options
  const shown = names.slice(0, NAMES_MAX).join(', ')
  const rest = names.length - NAMES_MAX
  return (
    <span class="timeline-names" title={names.join('\n')}>
      <span aria-hidden="true" class="timeline-sign">
        {sign}
      </span>
      {text}: <span class="mono">{rest > 0 ? t('timeline.names', { names: shown, count: rest }) : shown}</span>
    </span>
  )
}

function movedText(moved: number, all: number): string {
  return moved === 0 ? t('timeline.movedNone') : t('timeline.moved', { count: moved, all })
}

function entrySummary({ joined, left, moved, partitionCount }: RebalanceEntry): string {
  return [
    joined.length === 0 ? '' : t('timeline.joined', { count: joined.length }),
    left.length === 0 ? '' : t('timeline.left', { count: left.length }),
    movedText(moved, partitionCount)
  ]
    .filter(part => part !== '')
    .join(', ')
}

function entryKey({ groupId, atMs }: RebalanceEntry): string {
  return `${atMs} ${groupId}`
}
