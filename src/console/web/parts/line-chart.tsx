/**
 * Lines over time, on uPlot. Lines differ by dashes as well as by colour; values under the pointer stand in the legend,
 * the latest otherwise; screen readers are told the latest, least and greatest. Gaps stay gaps.
 */

import './charts.css'
import 'uplot/dist/uPlot.min.css'

import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'

import { paintOf, paintVersion } from '../base/theme.ts'
import { time } from '../base/format.ts'
import { UNKNOWN } from '../base/format-values.ts'
import { language, t } from '../base/words.ts'
import { seriesText } from './sparkline.tsx'

/** A line. */
export interface ChartLine {
  readonly name: string
  readonly values: readonly (number | null)[]
  /** Which of the five colours. Default: by order. */
  readonly colour?: 1 | 2 | 3 | 4 | 5
}

/** What a chart is given. */
export interface LineChartOptions {
  /** What is drawn. */
  readonly label: string
  /** Of all lines, oldest first; milliseconds, or what `formatX` reads. */
  readonly times: readonly number[]
  readonly lines: readonly ChartLine[]
  /** A value with its unit. */
  readonly format: (value: number) => string
  /** A value of the other axis. Default: the time. */
  readonly formatX?: (value: number) => string
  /** Values are seconds: lines of the grid stand at 5 s, 1 min, 1 h and so on. */
  readonly isDuration?: boolean
  /** In pixels. Default 160. */
  readonly height?: number
}

const dashes: readonly (readonly number[])[] = [[], [7, 4], [2, 3], [10, 3, 2, 3], [4, 4]]

/** See the module. */
export function LineChart(options: LineChartOptions): VNode {
  const frame = useRef<HTMLDivElement>(null)
  const hovered = useSignal<number | null>(null)
  const height = options.height ?? 160
  const isEmpty = options.lines.every(line => line.values.every(value => value === null))
  usePlot(frame, options, { height, isEmpty, onHover: index => (hovered.value = index) })
  const at = hovered.value ?? options.times.length - 1
  const timeAt = options.times[at]
  const formatX = options.formatX ?? time
  return (
    <figure class="chart" aria-label={options.label}>
      <div ref={frame} class="chart-plot" aria-hidden="true" style={{ height: `${height}px` }}>
        {isEmpty ? (
          <p class="chart-empty" style={{ height: `${height}px` }}>
            {t('part.chart.empty')}
          </p>
        ) : null}
      </div>
      <ul class="chart-legend" aria-hidden="true">
        {options.lines.map((line, index) => (
          <li key={line.name}>
            <svg width="22" height="8">
              <path
                class={`series-${line.colour ?? index + 1}`}
                d="M0 4h22"
                stroke-dasharray={dashOf(index).join(' ')}
              />
            </svg>
            <span>{line.name}</span>
            <strong>{valueText(line.values[at], options.format)}</strong>
          </li>
        ))}
        {hovered.value === null || timeAt === undefined ? null : <li class="chart-time">{formatX(timeAt)}</li>}
      </ul>
      <figcaption class="visually-hidden">
        {options.lines.map(line => `${seriesText(line.name, line.values, options.format)}. `).join('')}
      </figcaption>
    </figure>
  )
}

function dashOf(index: number): readonly number[] {
  return dashes[index % dashes.length] ?? []
}

function valueText(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? UNKNOWN : format(value)
}

interface PlotState {
  readonly height: number
  readonly isEmpty: boolean
  readonly onHover: (index: number | null) => void
}

function usePlot(
  frame: { readonly current: HTMLDivElement | null },
  options: LineChartOptions,
  state: PlotState
): void {
  const plot = useRef<uPlot | undefined>(undefined)
  const latest = useRef(options)
  latest.current = options
  const shape = options.lines.map(line => `${line.name}${line.colour ?? ''}`).join('\n')
  useEffect(() => {
    const element = frame.current
    if (element === null || state.isEmpty) return undefined
    const made = new uPlot(plotOptions(latest, state, element.clientWidth), dataOf(latest.current), element)
    plot.current = made
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: state.height }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      made.destroy()
      plot.current = undefined
    }
  }, [shape, state.isEmpty, state.height, paintVersion.value, language.value])
  useEffect(() => plot.current?.setData(dataOf(options)), [options.times, options.lines])
}

function dataOf(options: LineChartOptions): uPlot.AlignedData {
  return [options.times.slice(), ...options.lines.map(line => line.values.slice())]
}

function plotOptions(latest: { readonly current: LineChartOptions }, state: PlotState, width: number): uPlot.Options {
  const text = paintOf('--text-soft')
  const grid = { stroke: paintOf('--line'), width: 1 }
  const font = `12px ${getComputedStyle(document.body).fontFamily}`
  const axis = { stroke: text, font, grid, ticks: { show: false } }
  const formatX = latest.current.formatX
  return {
    width,
    height: state.height,
    ms: 1,
    padding: [8, 26, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    scales: { x: { time: formatX === undefined }, y: { range: (_, least, most) => [Math.min(0, least), top(most)] } },
    axes: [
      {
        ...axis,
        size: 28,
        space: 80,
        values: (_, splits) => splits.map(at => (formatX === undefined ? clockText(at) : formatX(at)))
      },
      {
        ...axis,
        size: axisSize,
        space: 32,
        ...(latest.current.isDuration === true ? { incrs: [...durationSteps] } : {}),
        values: (_, splits) => splits.map(value => latest.current.format(value))
      }
    ],
    series: [{}, ...latest.current.lines.map((line, index) => seriesOf(line, index))],
    hooks: { setCursor: [shown => state.onHover(shown.cursor.idx ?? null)] }
  }
}

const durationSteps = [
  0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 604_800
]

/** As wide as the longest value of the axis needs. */
function axisSize(_: uPlot, values: readonly string[] | null): number {
  return 14 + 6.6 * Math.max(3, ...(values ?? []).map(value => value.length))
}

/** Room above the highest value; a line of zeros lies at the bottom and not in the middle. */
function top(most: number): number {
  return most > 0 ? most * 1.1 : 1
}

function seriesOf(line: ChartLine, index: number): uPlot.Series {
  return {
    label: line.name,
    stroke: paintOf(`--series-${line.colour ?? index + 1}`),
    width: 2,
    dash: [...dashOf(index)],
    points: { show: false },
    spanGaps: false
  }
}

const clockOptions = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' } as const

function clockText(atMs: number): string {
  return new Date(atMs).toLocaleTimeString(language.peek(), clockOptions)
}
