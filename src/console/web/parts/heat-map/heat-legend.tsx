/** What the colours of a heat map mean. */

import type { VNode } from 'preact'

import type { HeatMetric } from '../../../api/groups.ts'
import { t } from '../../base/words.ts'
import { HEAT_STEPS, type HeatScale, OWNER_COLOURS } from './heat-scale.ts'
import { valueText } from './heat-words.ts'

/** Owners that are named; the others are told by their cells. */
const OWNERS_NAMED = 12

/** See the module. */
export function HeatLegend(options: {
  readonly metric: HeatMetric
  readonly scale: HeatScale
  readonly owners: readonly string[]
  readonly marks: readonly string[]
}): VNode {
  const { metric, scale, owners, marks } = options
  if (metric === 'owner') {
    return (
      <ul class="heat-legend" aria-label={t('heat.legend')}>
        {owners.slice(0, OWNERS_NAMED).map((owner, index) => (
          <li key={owner}>
            <span class={`heat-key ${ownerKey(index)}`}>{marks[index]}</span>
            <span class="cut" title={owner}>
              {owner}
            </span>
          </li>
        ))}
        {owners.length > OWNERS_NAMED ? <li>{t('heat.more', { count: owners.length - OWNERS_NAMED })}</li> : null}
        <Key look="heat-unknown" text={t('heat.nobody')} />
      </ul>
    )
  }
  return (
    <ul class="heat-legend" aria-label={t('heat.legend')}>
      <Key look="heat-unknown" text={t('heat.unknown')} />
      <Key look="heat-0" text={t('heat.zero')} />
      {scale.bounds.map((bound, index) => (
        <Key
          key={bound}
          look={`heat-${index + 1 + HEAT_STEPS - scale.bounds.length}`}
          text={index === 0 ? t('heat.upTo', { bound: valueText(bound, metric) }) : valueText(bound, metric)}
        />
      ))}
    </ul>
  )
}

function Key({ look, text }: { readonly look: string; readonly text: string }): VNode {
  return (
    <li>
      <span class={`heat-key ${look}`} />
      {text}
    </li>
  )
}

function ownerKey(index: number): string {
  const turn = Math.floor(index / OWNER_COLOURS) % 3
  return `owner-${index % OWNER_COLOURS}${turn === 0 ? '' : ` owner-turn-${turn}`}`
}
