/** The plan of a topic's partitions, for people. */

import type { KeyMovement, TopicPlan } from '../../ops/index.ts'
import { count, perSecond } from '../operations/format.ts'
import { type Column, tableOf } from '../operations/table.ts'

/** Partitions that are shown with their rates. */
const LOADS_SHOWN = 20

/** The whole plan. */
export function planText(found: TopicPlan): string {
  const { plan, need, movement, warnings } = found
  const verdicts = {
    grow: `grow from ${plan.partitions} to ${plan.recommended} partitions`,
    enough: `${plan.partitions} partitions are enough`,
    unknown: `it is not known whether ${plan.partitions} partitions are enough: give --per-partition`,
    willNotHelp: `${plan.needed} partitions would be needed, but more of them will not help yet`
  }
  const needs = { needed: 'yes', notNeeded: 'no', unknown: 'not known' }
  const lines = [
    `${plan.topic}: ${verdicts[plan.verdict]}`,
    plan.answer,
    `even shares with ${plan.evenMembers.join(', ')} consumers`,
    ...(plan.verdict === 'enough' || plan.verdict === 'unknown' ? [] : plan.alternatives).map(
      each => `or ${each.count}: even with ${each.evenMembers.join(', ')}`
    ),
    '',
    ...section(
      'needed',
      plan.needs.map(({ count: wanted, reason }) => `${wanted}: ${reason}`)
    ),
    ...section(
      'allowed',
      plan.caps.map(({ count: most, reason, isHard }) => `${most} (${isHard ? 'limit' : 'advice'}): ${reason}`)
    ),
    ...section('more partitions do not help', plan.obstacles),
    ...section(
      `is there a need? ${needs[need.kind]}; ${need.advice}`,
      need.criteria.map(({ holds, reason }) => `${mark(holds)} ${reason}`)
    ),
    ...section('why not simply more', plan.costs),
    ...section(
      'a growth is one rebalance for each group',
      found.groups.map(
        ({ groupId, members, rebalance }) =>
          `${groupId} (${members} ${members === 1 ? 'member' : 'members'}): ${rebalance}`
      )
    ),
    ...section('warning', [...warnings, ...plan.warnings])
  ]
  return `${lines.map(line => `${line}\n`).join('')}${movementText(movement)}${loadsText(found)}`
}

function section(title: string, items: readonly string[]): string[] {
  return items.length === 0 ? [] : [`${title}:`, ...items.map(item => `  ${item}`)]
}

function mark(holds: boolean | 'unknown'): string {
  if (holds === 'unknown') return '?'
  return holds ? 'yes' : 'no '
}

/** Which keys move. */
export function movementText(movement: KeyMovement): string {
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
  const head =
    `keys from ${movement.from} to ${movement.to} partitions: ${percent(movement.theoreticalShare)} ` +
    'of all possible keys move'
  if (movement.sampledKeys === 0) return `${head}; no record with a key was sampled\n`
  const columns: Column<KeyMovement['examples'][number]>[] = [
    { title: 'key', text: each => each.key },
    { title: 'from', text: each => String(each.from), align: 'right' },
    { title: 'to', text: each => String(each.to), align: 'right' },
    { title: 'records', text: each => count(each.records), align: 'right' },
    { title: 'unread', text: each => count(each.unread), align: 'right' }
  ]
  return (
    `${head}\n  of ${count(movement.sampledKeys)} sampled keys ${count(movement.movedKeys)} ` +
    `(${percent(movement.keyShare)}), ` +
    `with ${percent(movement.trafficShare)} of the records and ${percent(movement.byteShare)} of the bytes\n` +
    `  order at risk now: ${count(movement.recordsAtRisk)} unread records of ${count(movement.keysAtRisk)} keys ` +
    'that move\n' +
    (movement.examples.length === 0 ? '' : tableOf(columns, movement.examples))
  )
}

function loadsText({ loads, groupId }: TopicPlan): string {
  if (groupId === undefined) return 'no group reads the topic\n'
  const busiest = loads.toSorted((a, b) => b.lag - a.lag || (b.arrivalRate ?? 0) - (a.arrivalRate ?? 0))
  const columns: Column<TopicPlan['loads'][number]>[] = [
    { title: 'partition', text: each => String(each.partition), align: 'right' },
    { title: 'in', text: each => perSecond(each.arrivalRate), align: 'right' },
    { title: 'out', text: each => perSecond(each.serviceRate), align: 'right' },
    { title: 'lag', text: each => count(each.lag), align: 'right' },
    { title: 'trend', text: each => trendText(each.trend), align: 'right' }
  ]
  const hidden = busiest.length - LOADS_SHOWN
  const more = hidden > 0 ? `… and ${count(hidden)} more (--json shows all)\n` : ''
  return `group ${groupId}:\n${tableOf(columns, busiest.slice(0, LOADS_SHOWN))}${more}`
}

function trendText(trend: number | undefined): string {
  if (trend === undefined) return '–'
  return `${trend > 0 ? '+' : ''}${trend.toFixed(1)}/s`
}
