/** Small labelled signs of a group or a partition: status, flags, lag against what was promised. */

import './signs.css'

import type { ComponentChildren, VNode } from 'preact'

import type { HealthLevel } from '../../../api/common.ts'
import type { GroupRow, PartitionRow } from '../../../api/groups.ts'
import { count, rate, seconds } from '../../base/format.ts'
import { isWordKey, t } from '../../base/words.ts'
import { Badge } from '../../parts/badge.tsx'
import { Value } from '../../parts/feedback.tsx'
import { Icon, type IconName } from '../../parts/icon.tsx'
import { FLAG_LEVELS, isHeadroomShort, saidFlags, sloWord, type TrendWord, trendWord } from './row-facts.ts'

/** One sign. */
export interface Sign {
  readonly key: string
  readonly level: HealthLevel
  readonly word: string
  readonly help: string
}

/** Burrow's word of a group, with what it means. */
export function GroupStatus({ status }: { readonly status: GroupRow['status'] }): VNode {
  const levels = { OK: 'good', WARN: 'warn', ERR: 'bad', NONE: 'unknown' } as const
  return (
    <Badge level={levels[status]} title={t(`groups.statusHelp.${status}`)}>
      {t(`groups.status.${status}`)}
    </Badge>
  )
}

/** Burrow's word of a partition, with what it means. */
export function PartitionStatus({ status }: { readonly status: string }): VNode {
  const levels: Readonly<Record<string, HealthLevel>> = { OK: 'good', WARN: 'warn', NONE: 'unknown' }
  const key = `groups.partitionStatus.${status}`
  return (
    <Badge level={levels[status] ?? 'bad'} title={isWordKey(key) ? t(key) : status}>
      {status}
    </Badge>
  )
}

/** A lag in time: exact or estimated, or why it is not known. */
export function LagTime(row: Pick<GroupRow, 'lagSeconds' | 'isLagEstimated'>): VNode {
  const isEstimated = row.isLagEstimated && row.lagSeconds !== null && row.lagSeconds > 0
  const text = `${isEstimated ? '≈ ' : ''}${seconds(row.lagSeconds)}`
  if (row.lagSeconds === null) return <Value text={seconds(null)} why={t('groups.why.lag')} />
  return <span title={t(isEstimated ? 'groups.estimated' : 'groups.exact')}>{text}</span>
}

/** What was promised, beside a lag: a sign where it is not kept. */
export function SloNote(row: Pick<GroupRow, 'lagSeconds' | 'sloSeconds'>): VNode | null {
  if (row.sloSeconds === null) return null
  const slo = seconds(row.sloSeconds)
  const word = sloWord(row)
  return (
    <span class={`slo slo-${word}`} title={word === 'none' ? undefined : t(`groups.slo.${word}`, { slo })}>
      {t('groups.slo', { slo })}
      {word === 'broken' ? <span class="visually-hidden"> {t('groups.slo.broken', { slo })}</span> : null}
    </span>
  )
}

const trendIcons: Readonly<Record<TrendWord, IconName>> = {
  rising: 'rising',
  falling: 'falling',
  steady: 'steady',
  unknown: 'steady'
}

/** Which way the lag goes, and how fast. */
export function Trend({ row }: { readonly row: Pick<GroupRow, 'trend' | 'arrivalRate'> }): VNode {
  const word = trendWord(row)
  if (word === 'unknown') return <Value text={rate(null)} why={t('groups.trend.unknown')} />
  const speed = rate(Math.abs(row.trend ?? 0))
  return (
    <span class={`trend trend-${word}`} title={t(`groups.trend.${word}`, { rate: speed })}>
      <span class="visually-hidden">{t(`groups.trendWord.${word}`)}</span>
      {word === 'steady' ? null : speed}
      <Icon name={trendIcons[word]} size={15} />
    </span>
  )
}

/** Records that wait: a lower bound where partitions are unknown. */
export function LagRecords({ row }: { readonly row: Pick<GroupRow, 'lagRecords' | 'unknownCount'> }): VNode {
  const records = count(row.lagRecords)
  if (row.lagRecords === null) return <Value text={records} why={t('groups.why.lagRecords')} />
  if (row.unknownCount === 0) return <span>{records}</span>
  return <span title={t('groups.atLeast', { count: row.unknownCount })}>{t('groups.atLeastSign', { records })}</span>
}

/** What is worth a remark about a group. */
export function groupSigns(row: GroupRow): readonly Sign[] {
  const signs = flagSigns(row.flags)
  if (row.problem !== null) {
    signs.unshift({
      key: 'unreadable',
      level: 'unknown',
      word: t('health.unknown'),
      help: t('groups.flagHelp.unreadable', { problem: row.problem })
    })
  }
  return isHeadroomShort(row) ? [...signs, headroomSign(row)] : signs
}

/** What is worth a remark about a partition. */
export function partitionSigns(row: PartitionRow): readonly Sign[] {
  const signs = flagSigns(row.flags)
  if (row.isPaused === true) {
    signs.unshift({
      key: 'paused',
      level: 'idle',
      word: t('groups.flag.paused'),
      help: t('groups.flagHelp.paused')
    })
  }
  return isHeadroomShort(row) ? [...signs, headroomSign(row)] : signs
}

function flagSigns(flags: readonly string[]): Sign[] {
  return saidFlags(flags).map(flag => ({
    key: flag,
    level: FLAG_LEVELS[flag],
    word: t(`groups.flag.${flag}`),
    help: t(`groups.flagHelp.${flag}`)
  }))
}

function headroomSign(row: Pick<GroupRow, 'headroomSeconds' | 'drainSeconds'>): Sign {
  const time = seconds(row.headroomSeconds)
  const drain = seconds(row.drainSeconds)
  const isTooLate = row.drainSeconds !== null && (row.headroomSeconds ?? 0) < row.drainSeconds
  return {
    key: 'headroom',
    level: isTooLate ? 'bad' : 'warn',
    word: t('groups.flag.headroom', { time }),
    help: isTooLate ? t('groups.flagHelp.headroomDrain', { time, drain }) : t('groups.flagHelp.headroom', { time })
  }
}

/** Signs in a row; more than `most` become a number that names them. */
export function Signs({ signs, most }: { readonly signs: readonly Sign[]; readonly most: number }): VNode | null {
  if (signs.length === 0) return null
  const shown = signs.slice(0, most)
  const rest = signs.slice(most)
  return (
    <span class="signs">
      {shown.map(sign => (
        <Badge key={sign.key} level={sign.level} title={sign.help}>
          {sign.word}
        </Badge>
      ))}
      {rest.length === 0 ? null : (
        <span class="soft" title={rest.map(sign => `${sign.word}: ${sign.help}`).join('\n')}>
          {t('groups.flagMore', { count: rest.length })}
        </span>
      )}
    </span>
  )
}

/** Signs with their explanations, where there is room for them. */
export function SignList({ signs }: { readonly signs: readonly Sign[] }): VNode | null {
  if (signs.length === 0) return null
  return (
    <ul class="sign-list">
      {signs.map(sign => (
        <li key={sign.key}>
          <Badge level={sign.level}>{sign.word}</Badge>
          <span>{sign.help}</span>
        </li>
      ))}
    </ul>
  )
}

/** A fact with its name. */
export function FactBox(options: {
  readonly name: string
  readonly help?: string
  readonly note?: ComponentChildren
  readonly children: ComponentChildren
}): VNode {
  return (
    <div class="fact-box">
      <dt title={options.help}>{options.name}</dt>
      <dd>
        <strong>{options.children}</strong>
        {options.note === undefined || options.note === null ? null : <span class="soft">{options.note}</span>}
      </dd>
    </div>
  )
}
