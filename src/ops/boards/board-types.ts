/** What a dashboard is, whoever draws it. */

import type { MetricName } from '../../telemetry/index.ts'

/** One line of a panel. */
export interface BoardQuery {
  /** PromQL; `$__rate_interval`, `$group` and the like are filled in by Grafana. */
  readonly expression: string
  /** Its name in the legend, with Grafana's templates for labels. Default: the labels. */
  readonly legend?: string
}

/** Grafana's ids of units. */
export type BoardUnit =
  | 'short'
  | 'none'
  | 's'
  | 'ms'
  | 'bytes'
  | 'Bps'
  | 'cps'
  | 'ops'
  | 'percentunit'
  | 'percent'
  | 'dtdurations'
  | 'bool_yes_no'

/** From which value on something is worth a look, or bad. With `isLow` it is bad below. */
export interface BoardThresholds {
  readonly warn?: number
  readonly bad?: number
  readonly isLow?: boolean
}

/** A panel. */
export interface BoardPanel {
  readonly title: string
  /** What it shows and when to worry, for the mark beside the title. */
  readonly description: string
  readonly kind: 'timeseries' | 'stat' | 'heatmap' | 'state' | 'bars'
  readonly unit: BoardUnit
  readonly queries: readonly BoardQuery[]
  /** Of 24. Default 8. */
  readonly width?: number
  /** Default 8, of a stat 4. */
  readonly height?: number
  readonly thresholds?: BoardThresholds
  readonly isStacked?: boolean
  readonly max?: number
}

/** A heading and the panels under it. */
export interface BoardRow {
  readonly title: string
  readonly panels: readonly BoardPanel[]
}

/** A choice at the top of a dashboard: the values of a label. */
export interface BoardVariable {
  readonly name: string
  readonly label: string
  readonly metric: MetricName
  readonly of: string
}

/** A dashboard. */
export interface Board {
  /** File name and the end of the id. */
  readonly id: string
  readonly title: string
  readonly description: string
  readonly variables: readonly BoardVariable[]
  readonly rows: readonly BoardRow[]
}
