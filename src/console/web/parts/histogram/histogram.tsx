/** A histogram: bars, and what they say in numbers. Bars are also a table for readers who do not see them. */

import './histogram.css'

import type { VNode } from 'preact'

import type { Histogram as HistogramData } from '../../../api/groups.ts'
import { bytes, count, percent, seconds } from '../../base/format.ts'
import { t } from '../../base/words.ts'
import { type HistogramBar, histogramBars, histogramMean, histogramQuantile } from './histogram-bars.ts'

const shares = [0.5, 0.95, 0.99] as const

/** See the module. `histogram` is `null` where nobody has told it. */
export function Histogram(options: { readonly name: string; readonly histogram: HistogramData | null }): VNode {
  const { histogram, name } = options
  if (histogram === null) return <p class="soft">{t('histogram.unknown')}</p>
  const bars = histogramBars(histogram)
  if (bars.length === 0) return <p class="soft">{t('histogram.none')}</p>
  const format = formatOf(histogram.unit)
  return (
    <figure class="histogram">
      <Numbers histogram={histogram} format={format} />
      <div class="histogram-bars" role="img" aria-label={summary(name, histogram, format)}>
        {bars.map(bar => (
          <span key={bar.above} class="histogram-slot" title={barText(bar, format)}>
            <span class="histogram-bar" style={{ height: `${Math.max(bar.count > 0 ? 2 : 0, bar.share * 100)}%` }} />
          </span>
        ))}
      </div>
      <div class="histogram-axis" aria-hidden="true">
        <span>{format(bars[0]?.above ?? 0)}</span>
        {bars.length > 3 ? <span>{format(bars[Math.floor(bars.length / 2)]?.above ?? 0)}</span> : null}
        <span>{lastBound(bars, format)}</span>
      </div>
    </figure>
  )
}

function Numbers(options: {
  readonly histogram: HistogramData
  readonly format: (value: number | null) => string
}): VNode {
  const { histogram, format } = options
  return (
    <figcaption class="histogram-numbers">
      {shares.map(share => (
        <span key={share}>
          <span class="soft">p{share * 100}</span> <strong>{format(histogramQuantile(histogram, share))}</strong>
        </span>
      ))}
      <span class="soft histogram-rest">
        {t('histogram.average', { value: format(histogramMean(histogram)) })} ·{' '}
        {t('histogram.counted', { count: histogram.count })}
      </span>
    </figcaption>
  )
}

function formatOf(unit: HistogramData['unit']): (value: number | null) => string {
  if (unit === 'seconds') return seconds
  return unit === 'bytes' ? bytes : value => count(value === null ? null : Math.round(value))
}

function lastBound(bars: readonly HistogramBar[], format: (value: number | null) => string): string {
  const last = bars.at(-1)
  if (last === undefined) return ''
  return last.upTo === null ? `> ${format(last.above)}` : format(last.upTo)
}

function barText(bar: HistogramBar, format: (value: number | null) => string): string {
  const facts = { from: format(bar.above), count: bar.count, part: percent(bar.part) }
  return bar.upTo === null ? t('histogram.barOpen', facts) : t('histogram.bar', { ...facts, to: format(bar.upTo) })
}

function summary(name: string, histogram: HistogramData, format: (value: number | null) => string): string {
  return t('histogram.summary', {
    name,
    count: histogram.count,
    mean: format(histogramMean(histogram)),
    p50: format(histogramQuantile(histogram, 0.5)),
    p95: format(histogramQuantile(histogram, 0.95)),
    p99: format(histogramQuantile(histogram, 0.99))
  })
}
