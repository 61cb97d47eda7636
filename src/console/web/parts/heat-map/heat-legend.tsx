/** What the colours of a heat map mean. */

import type { VNode } from 'preact'

import type { HeatMetric } from '../../../api/groups.ts'
import { t } from '../../base/words.ts'
import { HEAT_STEPS, type HeatScale, OWNER_COLOURS, type OwnerLook } from './heat-scale.ts'
import { valueText } from './heat-words.ts'

/** Owners that are named; the others are told by their cells. */
const OWNERS_NAMED = 12

/** See the module. */
export function HeatLegend(options: {
  readonly metric: HeatMetric
  readonly scale: HeatScale
  readonly owners: readonly string[]
  readonly looks: ReadonlyMap<string, OwnerLook>
}): VNode {
  const { metric, scale, owners, looks } = options
  if (metric === 'owner') {
    return (
      <ul class="heat-legend" aria-label={t('heat.legend')}>
        {owners.slice(0, OWNERS_NAMED).map(owner => (
          <li key={owner}>
            <span class={`heat-key ${ownerClasses(looks.get(owner)).join(' ')}`}>{looks.get(owner)?.mark}</span>
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

/** Classes of an owner's colour and pattern; of nobody those of what is unknown. */
export function ownerClasses(look: OwnerLook | undefined): readonly string[] {
  if (look === undefined) return ['heat-unknown']
  const turn = Math.floor(look.slot / OWNER_COLOURS) % 3
  return [`owner-${look.slot % OWNER_COLOURS}`, ...(turn === 0 ? [] : [`owner-turn-${turn}`])]
}
