/** The drawing's arrows as a table: for whoever does not see them, or wants to copy them. */

import type { VNode } from 'preact'

import type { Overview } from '../../../api/overview.ts'
import { rate } from '../../base/format.ts'
import { t } from '../../base/words.ts'
import { Value } from '../../parts/feedback.tsx'
import { Health } from '../../parts/health.tsx'

/** Arrows in the table at most. */
const ROWS_MAX = 500

/** See the module. */
export function PipelineTable({ overview }: { readonly overview: Overview }): VNode {
  const names = new Map(overview.nodes.map(({ id, kind, name }) => [id, `${t(`kind.${kind}`)} ${name}`]))
  return (
    <details class="pipeline-table">
      <summary>{t('overview.asTable')}</summary>
      <table>
        <caption class="visually-hidden">{t('overview.drawing.label')}</caption>
        <thead>
          <tr>
            <th scope="col">{t('overview.table.from')}</th>
            <th scope="col">{t('overview.table.to')}</th>
            <th scope="col" class="end">
              {t('overview.table.rate')}
            </th>
            <th scope="col">{t('overview.table.health')}</th>
          </tr>
        </thead>
        <tbody>
          {overview.edges.slice(0, ROWS_MAX).map(edge => (
            <tr key={`${edge.from} ${edge.to}`}>
              <td>{names.get(edge.from) ?? edge.from}</td>
              <td>{names.get(edge.to) ?? edge.to}</td>
              <td class="end">
                <Value text={rate(edge.rate)} />
              </td>
              <td>
                <Health level={edge.health} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  )
}
