/** A small line beside a number: its shape, not its values, which the text alternative says. */

import './charts.css'

import type { VNode } from 'preact'

import { t } from '../base/words.ts'
import { sparklinePath } from './sparkline-path.ts'

/** What a sparkline is given. */
export interface SparklineOptions {
  readonly values: readonly (number | null)[]
  /** What is drawn, for readers who do not see it. */
  readonly label: string
  readonly format: (value: number) => string
  /** In pixels. Default 80 by 20. */
  readonly width?: number
  readonly height?: number
  /** A line that must not be passed, as the promised lag is. */
  readonly limit?: number | null
}

/** See the module. */
export function Sparkline(options: SparklineOptions): VNode {
  const width = options.width ?? 80
  const height = options.height ?? 20
  const text = seriesText(options.label, options.values, options.format)
  const most = Math.max(0, ...options.values.map(value => value ?? 0))
  const limit = options.limit ?? null
  const limitY = limit === null || most === 0 || limit > most ? null : height - (limit / most) * height
  return (
    <svg class="sparkline" width={width} height={height + 4} viewBox={`-2 -2 ${width + 4} ${height + 4}`} role="img">
      <title>{text}</title>
      {limitY === null ? null : <path class="sparkline-limit" d={`M0 ${limitY}h${width}`} />}
      <path d={sparklinePath(options.values, width, height)} />
    </svg>
  )
}

/** A line in words: its last, least and greatest value. */
export function seriesText(
  name: string,
  values: readonly (number | null)[],
  format: (value: number) => string
): string {
  const known = values.filter(value => value !== null)
  const last = values.at(-1) ?? null
  if (known.length === 0) return t('part.chart.nothing', { name })
  return t('part.chart.lately', {
    name,
    last: last === null ? t('part.unknown') : format(last),
    least: format(Math.min(...known)),
    most: format(Math.max(...known))
  })
}
