/**
 * Dashboards as Grafana's JSON (schema version 41, classic model: newer ones import it).
 *
 * The id of a dashboard is its place (`comporta-<pipeline>-<board>`), so that importing it again replaces it. Colours
 * are Grafana's own, thresholds come with words in the description: never colour alone.
 */

import { METRIC_CATALOGUE, prometheusName } from '../../telemetry/index.ts'
import type { Board, BoardPanel, BoardRow, BoardThresholds, BoardVariable } from './board-types.ts'
import { brokerBoard, lambdaBoard, producerBoard } from './dashboards-ends.ts'
import { dispatcherBoard, lagBoard, overviewBoard } from './dashboards-group.ts'
import type { BoardSettings } from './settings.ts'

/** Version of the classic model. */
const SCHEMA_VERSION = 41
const COLUMNS = 24
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' } as const

/** Every dashboard. */
export function boardsOf(settings: BoardSettings): Board[] {
  return [overviewBoard(settings), lagBoard(settings), dispatcherBoard(), producerBoard(), lambdaBoard(), brokerBoard()]
}

/** A dashboard as JSON text. */
export function grafanaDashboard(board: Board, settings: BoardSettings): string {
  const name = settings.name === 'comporta' ? 'Comporta' : `Comporta ${settings.name}`
  return `${JSON.stringify(
    {
      uid: uidOf(settings.name, board.id),
      title: `${name}: ${board.title}`,
      description: board.description,
      tags: ['comporta'],
      schemaVersion: SCHEMA_VERSION,
      editable: true,
      graphTooltip: 1,
      refresh: '30s',
      time: { from: 'now-1h', to: 'now' },
      timepicker: {},
      timezone: 'browser',
      links: [linkToAll],
      annotations: { list: [] },
      templating: { list: [datasourceVariable, ...board.variables.map(each => variableOf(each, settings))] },
      panels: layOut(board.rows)
    },
    undefined,
    2
  )}\n`
}

const linkToAll = {
  asDropdown: true,
  icon: 'external link',
  includeVars: true,
  keepTime: true,
  tags: ['comporta'],
  targetBlank: false,
  title: 'Comporta',
  tooltip: '',
  type: 'dashboards',
  url: ''
} as const

const datasourceVariable = {
  name: 'datasource',
  label: 'Prometheus',
  type: 'datasource',
  query: 'prometheus',
  regex: '',
  options: [],
  hide: 0,
  includeAll: false,
  multi: false,
  refresh: 1,
  skipUrlSync: false
} as const

/** At most 40 characters: Grafana refuses longer ones. */
function uidOf(name: string, id: string): string {
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9-]/g, '-')
  return (plain === 'comporta' ? `comporta-${id}` : `comporta-${id}-${plain}`).slice(0, 40)
}

function variableOf({ name, label, metric, of }: BoardVariable, { groups }: BoardSettings): Record<string, unknown> {
  const series = prometheusName(metric)
  const definition = `label_values(${series}, ${of})`
  const chosen = name === 'group' && groups.length > 0 ? [...groups] : ['$__all']
  return {
    name,
    label,
    type: 'query',
    datasource: DATASOURCE,
    definition,
    query: { query: definition, refId: 'PrometheusVariableQueryEditor-VariableQuery' },
    current: { selected: true, text: chosen[0] === '$__all' ? ['All'] : chosen, value: chosen },
    options: [],
    regex: '',
    hide: 0,
    includeAll: true,
    // Series of processes without the label (a job that is not set) stay visible.
    allValue: '.*',
    multi: true,
    refresh: 2,
    skipUrlSync: false,
    sort: 1,
    description: METRIC_CATALOGUE[metric].description
  }
}

/** Rows one under the other, panels from left to right. */
function layOut(rows: readonly BoardRow[]): unknown[] {
  const panels: unknown[] = []
  let y = 0
  for (const { title, panels: inRow } of rows) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
      panels: []
    })
    y += 1
    let x = 0
    let height = 0
    for (const panel of inRow) {
      const { width: w = 8, height: h = 8 } = panel
      if (x + w > COLUMNS) {
        y += height
        x = 0
        height = 0
      }
      panels.push(panelOf(panel, panels.length + 1, { x, y, w, h }))
      x += w
      height = Math.max(height, h)
    }
    y += height
  }
  return panels
}

const TYPES = {
  timeseries: 'timeseries',
  bars: 'timeseries',
  stat: 'stat',
  heatmap: 'heatmap',
  state: 'state-timeline'
} as const satisfies Record<BoardPanel['kind'], string>

function panelOf(panel: BoardPanel, id: number, gridPos: Readonly<Record<string, number>>): Record<string, unknown> {
  const { title, description, kind, unit, queries, thresholds, max } = panel
  return {
    id,
    type: TYPES[kind],
    title,
    description,
    gridPos,
    datasource: DATASOURCE,
    targets: queries.map(({ expression, legend }, index) => ({
      refId: String.fromCodePoint(65 + index),
      datasource: DATASOURCE,
      editorMode: 'code',
      expr: expression,
      legendFormat: legend ?? '__auto',
      range: kind !== 'stat',
      instant: kind === 'stat',
      ...(kind === 'heatmap' ? { format: 'heatmap' } : {})
    })),
    fieldConfig: {
      defaults: {
        unit,
        ...(kind === 'stat' || kind === 'state' ? {} : { min: 0 }),
        ...(max === undefined ? {} : { max }),
        color: { mode: thresholds !== undefined && kind !== 'timeseries' ? 'thresholds' : 'palette-classic' },
        thresholds: stepsOf(thresholds),
        custom: customOf(panel),
        mappings: unit === 'bool_yes_no' ? [stateWords] : [],
        noValue: '–'
      },
      overrides: []
    },
    options: optionsOf(panel)
  }
}

const stateWords = {
  type: 'value',
  options: { '0': { text: 'closed', index: 0 }, '1': { text: 'open', index: 1 } }
} as const

function stepsOf({ warn, bad, isLow = false }: BoardThresholds = {}): unknown {
  const steps = isLow
    ? [
        { color: 'red', value: null },
        ...(bad === undefined ? [] : [{ color: 'orange', value: bad }]),
        ...(warn === undefined ? [] : [{ color: 'green', value: warn }])
      ]
    : [
        { color: 'green', value: null },
        ...(warn === undefined ? [] : [{ color: 'orange', value: warn }]),
        ...(bad === undefined ? [] : [{ color: 'red', value: bad }])
      ]
  return { mode: 'absolute', steps }
}

function customOf({ kind, isStacked = false, thresholds }: BoardPanel): Record<string, unknown> {
  if (kind === 'state') return { lineWidth: 0, fillOpacity: 80 }
  if (kind === 'stat' || kind === 'heatmap') return {}
  return {
    drawStyle: kind === 'bars' ? 'bars' : 'line',
    lineWidth: 1,
    fillOpacity: kind === 'bars' ? 80 : isStacked ? 25 : 5,
    showPoints: 'never',
    spanNulls: false,
    stacking: { mode: isStacked ? 'normal' : 'none', group: 'A' },
    thresholdsStyle: { mode: thresholds === undefined ? 'off' : 'dashed' }
  }
}

function optionsOf({ kind, unit }: BoardPanel): Record<string, unknown> {
  const legend = { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [] }
  const tooltip = { mode: 'multi', sort: 'desc' }
  switch (kind) {
    case 'stat':
      return {
        colorMode: 'value',
        graphMode: 'none',
        textMode: 'auto',
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false }
      }
    case 'heatmap':
      return {
        calculate: false,
        cellGap: 1,
        color: { mode: 'scheme', scheme: 'Viridis', steps: 64, exponent: 0.5, fill: 'dark-orange', reverse: false },
        yAxis: { unit },
        tooltip: { mode: 'single', yHistogram: false },
        legend: { show: true }
      }
    case 'state':
      return { mergeValues: true, showValue: 'auto', legend, tooltip: { mode: 'single', sort: 'none' } }
    case 'timeseries':
    case 'bars':
      return { legend, tooltip }
  }
}
