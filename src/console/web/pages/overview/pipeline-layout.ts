/**
 * Where the boxes and arrows of the pipeline's drawing stand: pure arithmetic.
 *
 * Sources, producers, topics, groups and targets are layers, from left to right where there is room and from top to
 * bottom on narrow screens; dead letters and retries hang below. A layer shows so many boxes as stay readable, the
 * worst and busiest; one box stands for the rest, and their arrows become its arrows. Boxes keep their places while
 * values change: places depend on which boxes there are, and not on rates.
 */

import type { HealthLevel } from '../../../api/common.ts'
import type { NodeKind, PipelineEdge, PipelineNode } from '../../../api/overview.ts'
import { edgeKey, edgeWidth, placeLabels, routeEdge, spreadPorts, UNDERPASS } from './edge-routes.ts'

/** A box for a node, or for the rest of a layer. */
export interface DrawnBox {
  readonly id: string
  readonly kind: NodeKind
  readonly node: PipelineNode | undefined
  /** How many nodes it stands for: 1, or those that are not drawn. */
  readonly count: number
  readonly health: HealthLevel
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
  readonly layer: number
  readonly isBelow: boolean
}

/** An arrow. */
export interface DrawnEdge {
  readonly key: string
  readonly from: string
  readonly to: string
  readonly rate: number | null
  readonly health: HealthLevel
  readonly width: number
  readonly path: string
  /** Where its rate is written. */
  readonly spot: { readonly x: number; readonly y: number } | undefined
  /** Whether there is room for the rate; where there is none, it is shown with the box that is pointed at. */
  readonly isLabelled: boolean
}

/** The drawing. */
export interface Drawing {
  readonly width: number
  readonly height: number
  readonly isTall: boolean
  readonly boxes: readonly DrawnBox[]
  readonly edges: readonly DrawnEdge[]
}

/** Below this width, in pixels, layers stand below each other. */
export const TALL_BELOW = 760

/** Boxes of a layer, the one for the rest included. */
export const LAYER_BOXES_MAX = 9
const TALL_BOXES_MAX = 2

const BOX_HEIGHT = 72
const ROW_GAP = 16
const BELOW_GAP = 40
const SIDE_CHANNEL = 24
const GAP_MIN = 66
const BOX_WIDTH_MIN = 112
const BOX_WIDTH_GOOD = 164
const BOX_WIDTH_MAX = 300

const layerOf: Readonly<Record<NodeKind, number>> = {
  source: 0,
  producer: 1,
  topic: 2,
  group: 3,
  target: 4,
  retries: 3,
  deadLetters: 4
}

const badness: Readonly<Record<HealthLevel, number>> = { bad: 4, warn: 3, unknown: 2, good: 1, idle: 0 }

interface Cell {
  readonly id: string
  readonly kind: NodeKind
  readonly node: PipelineNode | undefined
  readonly count: number
  readonly health: HealthLevel
  readonly isBelow: boolean
}

/** Lays a pipeline out in a given width. */
export function drawPipeline(options: {
  readonly nodes: readonly PipelineNode[]
  readonly edges: readonly PipelineEdge[]
  readonly width: number
}): Drawing {
  const isTall = options.width < TALL_BELOW
  const { cells, standsFor } = chooseCells(options, isTall ? TALL_BOXES_MAX : LAYER_BOXES_MAX)
  const edges = mergeEdges(options.edges, standsFor)
  const layers = orderLayers(cells, edges)
  const boxes = isTall ? placeTall(layers, options.width) : placeWide(layers, options.width)
  const byId = new Map(boxes.map(box => [box.id, box]))
  const bottom = Math.max(0, ...boxes.map(box => box.top + box.height))
  const ports = spreadPorts(edges, byId, isTall)
  const routed = edges.flatMap(edge => {
    const from = byId.get(edge.from)
    const to = byId.get(edge.to)
    if (from === undefined || to === undefined) return []
    const key = edgeKey(edge)
    const { leave, enter } = ports.get(key) ?? { leave: 0.5, enter: 0.5 }
    return [{ ...edge, key, layer: from.layer, route: routeEdge({ from, to, isTall, boxes, leave, enter }) }]
  })
  const labels = placeLabels(
    routed.map(({ route, ...edge }) => ({ ...edge, spots: route.spots })),
    boxes
  )
  return {
    width: options.width,
    height: bottom + (boxes.some(({ isBelow }) => isBelow) && !isTall ? UNDERPASS : 4),
    isTall,
    boxes,
    edges: routed.map(({ key, from, to, rate, health, route }) => {
      const spot = labels.get(key) ?? route.spots[0]
      return {
        key,
        from,
        to,
        rate,
        health,
        width: edgeWidth(rate),
        path: route.path,
        spot,
        isLabelled: labels.has(key)
      }
    })
  }
}

/** The nodes of each layer that are drawn, and which box stands for each node. */
function chooseCells(
  { nodes, edges }: { readonly nodes: readonly PipelineNode[]; readonly edges: readonly PipelineEdge[] },
  boxesMax: number
): { readonly cells: readonly Cell[]; readonly standsFor: ReadonlyMap<string, string> } {
  const flow = new Map<string, number>()
  for (const { from, to, rate } of edges) {
    flow.set(from, (flow.get(from) ?? 0) + (rate ?? 0))
    flow.set(to, (flow.get(to) ?? 0) + (rate ?? 0))
  }
  const cells: Cell[] = []
  const standsFor = new Map<string, string>()
  for (const kind of ['source', 'producer', 'topic', 'group', 'target', 'retries', 'deadLetters'] as const) {
    const isBelow = kind === 'retries' || kind === 'deadLetters'
    const all = nodes.filter(node => node.kind === kind)
    const room = isBelow ? Math.min(3, boxesMax) : boxesMax
    const ranked = all.toSorted(
      (a, b) =>
        badness[b.health] - badness[a.health] ||
        (flow.get(b.id) ?? 0) - (flow.get(a.id) ?? 0) ||
        a.name.localeCompare(b.name)
    )
    const shown = new Set(all.length <= room ? all : ranked.slice(0, room - 1))
    const rest = all.filter(node => !shown.has(node))
    for (const node of all) standsFor.set(node.id, shown.has(node) ? node.id : `more:${kind}`)
    for (const node of shown) cells.push({ id: node.id, kind, node, count: 1, health: node.health, isBelow })
    if (rest.length > 0)
      cells.push({ id: `more:${kind}`, kind, node: undefined, count: rest.length, health: worst(rest), isBelow })
  }
  return { cells, standsFor }
}

/** Worst health of some. */
function worst(nodes: readonly { readonly health: HealthLevel }[]): HealthLevel {
  return nodes.reduce<HealthLevel>((so, { health }) => (badness[health] > badness[so] ? health : so), 'idle')
}

/** Arrows between boxes: those that begin and end at the same boxes are one, with the sum of what is known. */
function mergeEdges(edges: readonly PipelineEdge[], standsFor: ReadonlyMap<string, string>): PipelineEdge[] {
  const merged = new Map<string, PipelineEdge>()
  for (const edge of edges) {
    const from = standsFor.get(edge.from)
    const to = standsFor.get(edge.to)
    if (from === undefined || to === undefined || from === to) continue
    const key = `${from}→${to}`
    const before = merged.get(key)
    const rate = edge.rate === null ? (before?.rate ?? null) : (before?.rate ?? 0) + edge.rate
    merged.set(key, { from, to, rate, health: worst(before === undefined ? [edge] : [before, edge]) })
  }
  return [...merged.values()]
}

interface Layers {
  /** Layers that have boxes, in order. */
  readonly main: readonly (readonly Cell[])[]
  readonly below: readonly Cell[]
}

/**
 * Orders each layer so that few arrows cross: by names at first, then by the middle of the neighbours, there and back
 * twice. Boxes for the rest come last.
 */
function orderLayers(cells: readonly Cell[], edges: readonly PipelineEdge[]): Layers {
  const layers: Cell[][] = [0, 1, 2, 3, 4]
    .map(layer => cells.filter(cell => !cell.isBelow && layerOf[cell.kind] === layer))
    .filter(layer => layer.length > 0)
    .map(layer => layer.toSorted((a, b) => restLast(a, b) || nameOf(a).localeCompare(nameOf(b))))
  for (const sweep of [1, -1, 1, -1]) {
    const order = sweep === 1 ? layers.keys() : [...layers.keys()].toReversed()
    for (const index of order) {
      const beside = layers[index - sweep]
      const layer = layers[index]
      if (beside === undefined || layer === undefined) continue
      layers[index] = byMiddle(layer, beside, edges)
    }
  }
  const below = cells.filter(cell => cell.isBelow)
  return { main: layers, below }
}

function byMiddle(layer: readonly Cell[], beside: readonly Cell[], edges: readonly PipelineEdge[]): Cell[] {
  const place = new Map(beside.map((cell, index) => [cell.id, (index + 0.5) / beside.length]))
  const middle = (cell: Cell, index: number): number => {
    const places = edges.flatMap(({ from, to }) => {
      const other = from === cell.id ? place.get(to) : to === cell.id ? place.get(from) : undefined
      return other === undefined ? [] : [other]
    })
    return places.length === 0 ? (index + 0.5) / layer.length : places.reduce((sum, at) => sum + at, 0) / places.length
  }
  const middles = new Map(layer.map((cell, index) => [cell.id, middle(cell, index)]))
  return layer.toSorted((a, b) => restLast(a, b) || (middles.get(a.id) ?? 0) - (middles.get(b.id) ?? 0))
}

function restLast(a: Cell, b: Cell): number {
  return Number(a.node === undefined) - Number(b.node === undefined)
}

function nameOf(cell: Cell): string {
  return cell.node?.name ?? ''
}

/** Layers side by side, each in the middle of the height; what hangs below stands under the last of them. */
function placeWide({ main, below }: Layers, width: number): DrawnBox[] {
  const last = Math.max(0, main.length - 1)
  const kinds = (['deadLetters', 'retries'] as const).filter(kind => below.some(cell => cell.kind === kind))
  const hanging = kinds.map((kind, fromEnd) => ({
    column: Math.max(0, last - fromEnd),
    cells: below.filter(cell => cell.kind === kind)
  }))
  const inColumns = (main.length === 0 ? [[]] : main).map((layer, column) => [
    ...layer,
    ...hanging.flatMap(stack => (stack.column === column ? stack.cells : []))
  ])
  const columns = columnsOf(inColumns, width)
  const tallest = Math.max(0, ...main.map(layer => stackHeight(layer.length)))
  const stack = (cells: readonly Cell[], layer: number, top: number): DrawnBox[] =>
    cells.map((cell, row) => ({
      ...cell,
      left: columns[layer]?.left ?? 0,
      top: Math.round(top + row * (BOX_HEIGHT + ROW_GAP)),
      width: columns[layer]?.width ?? BOX_WIDTH_MIN,
      height: BOX_HEIGHT,
      layer
    }))
  return [
    ...main.flatMap((layer, column) => stack(layer, column, (tallest - stackHeight(layer.length)) / 2)),
    ...hanging.flatMap(({ column, cells }) => stack(cells, column, tallest + BELOW_GAP))
  ]
}

interface Column {
  readonly left: number
  readonly width: number
}

/** Columns as wide as their longest name, or what is left for it; what names do not need is room for the arrows. */
function columnsOf(layers: readonly (readonly Cell[])[], width: number): readonly Column[] {
  const needs = layers.map(cells => {
    const longest = Math.max(0, ...cells.map(cell => nameOf(cell).length * 7.6 + (cell.isBelow ? 20 : 0)))
    return Math.min(BOX_WIDTH_MAX, Math.max(BOX_WIDTH_MIN, 54 + Math.ceil(longest)))
  })
  const room = width - GAP_MIN * (layers.length - 1)
  // The widest give way first, all down to one width.
  let widest = BOX_WIDTH_MAX
  let narrowest = BOX_WIDTH_MIN
  const fit = (need: number): number => Math.max(narrowest, Math.min(need, widest))
  const sum = (): number => needs.reduce((total, need) => total + fit(need), 0)
  while (widest > BOX_WIDTH_MIN && sum() > room) widest -= 2
  // Short names leave room for what is written below them.
  while (narrowest < BOX_WIDTH_GOOD && sum() + 2 * needs.length <= room) narrowest += 2
  const gap = layers.length > 1 ? (width - sum()) / (layers.length - 1) : 0
  let left = 0
  return needs.map(need => {
    const column = { left: Math.round(left), width: fit(need) }
    left += column.width + gap
    return column
  })
}

function stackHeight(count: number): number {
  return count * BOX_HEIGHT + Math.max(0, count - 1) * ROW_GAP
}

/** Layers below each other, their boxes side by side; at the left is room for arrows to what hangs below. */
function placeTall({ main, below }: Layers, width: number): DrawnBox[] {
  const rows = [...main, ...pairs(below)]
  const inset = below.length > 0 ? SIDE_CHANNEL : 0
  const room = width - inset
  return rows.flatMap((row, layer) => {
    const boxWidth = Math.floor((room - ROW_GAP * (row.length - 1)) / row.length)
    const shown = Math.min(boxWidth, 340)
    const lead = row.length === 1 ? (room - shown) / 2 : 0
    return row.map((cell, column): DrawnBox => ({
      ...cell,
      left: Math.round(inset + lead + column * (boxWidth + ROW_GAP)),
      top: layer * (BOX_HEIGHT + 52),
      width: shown,
      height: BOX_HEIGHT,
      layer
    }))
  })
}

function pairs(cells: readonly Cell[]): Cell[][] {
  const rows: Cell[][] = []
  for (let at = 0; at < cells.length; at += 2) rows.push(cells.slice(at, at + 2))
  return rows
}
