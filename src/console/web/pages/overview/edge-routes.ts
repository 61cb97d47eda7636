/** Ways of the drawing's arrows, and where their rates are written: pure arithmetic. */

/** A rectangle. */
export interface Rect {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/** A box as arrows see it. */
export interface Anchor extends Rect {
  readonly id: string
  readonly layer: number
  readonly isBelow: boolean
}

/** A point. */
export interface Spot {
  readonly x: number
  readonly y: number
}

/** An arrow's path, and places on it where its rate could be written, the best first. */
export interface EdgeRoute {
  readonly path: string
  readonly spots: readonly Spot[]
}

/** Size of a rate that is written on an arrow. */
export const LABEL_WIDTH = 54
/** See `LABEL_WIDTH`. */
export const LABEL_HEIGHT = 17

const HEAD = 8
const BEND = 10

/** Width of an arrow in pixels: by the order of magnitude of its rate, 1.5 to 6. */
export function edgeWidth(rate: number | null): number {
  if (rate === null || rate <= 0) return 1.5
  return Math.round(Math.min(6, 1.5 + Math.log10(1 + rate)) * 10) / 10
}

/** The way from one box to another, ending short of it to leave room for the head. */
export function routeEdge(options: {
  readonly from: Anchor
  readonly to: Anchor
  readonly isTall: boolean
  /** All boxes: an arrow to one that hangs below goes around the others there. */
  readonly boxes: readonly Anchor[]
  /** Share of the side at which the arrow leaves its box, and at which it enters the other. */
  readonly leave: number
  readonly enter: number
}): EdgeRoute {
  const { from, to, isTall } = options
  if (isTall) return to.isBelow || from.isBelow ? aroundLeft(from, to) : downwards(options)
  if (from.isBelow !== to.isBelow) return isInTheWay(options) ? underneath(from, to) : throughChannel(options)
  return to.layer > from.layer ? rightwards(options) : throughChannel(options)
}

interface Ports {
  readonly leave: number
  readonly enter: number
}

/** Name of an arrow. */
export function edgeKey({ from, to }: { readonly from: string; readonly to: string }): string {
  return `${from}→${to}`
}

/** Spreads the arrows of each box over its side, in the order of where they come from and go to. */
export function spreadPorts(
  edges: readonly { readonly from: string; readonly to: string }[],
  boxes: ReadonlyMap<string, Anchor>,
  isTall: boolean
): ReadonlyMap<string, Ports> {
  const place = (id: string): number => (isTall ? boxes.get(id)?.left : boxes.get(id)?.top) ?? 0
  const isForward = ({ from, to }: { readonly from: string; readonly to: string }): boolean =>
    boxes.get(from)?.isBelow === false && boxes.get(to)?.isBelow === false
  const forward = edges.filter(isForward)
  const shares = (end: 'from' | 'to', other: 'from' | 'to'): Map<string, number> => {
    const found = new Map<string, number>()
    for (const id of boxes.keys()) {
      const mine = forward.filter(edge => edge[end] === id).toSorted((a, b) => place(a[other]) - place(b[other]))
      const step = Math.min(0.18, 0.6 / Math.max(1, mine.length - 1))
      for (const [index, edge] of mine.entries()) found.set(edgeKey(edge), 0.5 + (index - (mine.length - 1) / 2) * step)
    }
    return found
  }
  const leaves = shares('from', 'to')
  const enters = shares('to', 'from')
  return new Map(
    forward.map(edge => {
      const key = edgeKey(edge)
      return [key, { leave: leaves.get(key) ?? 0.5, enter: enters.get(key) ?? 0.5 }]
    })
  )
}

function rightwards({ from, to, leave, enter }: Ports & { readonly from: Rect; readonly to: Rect }): EdgeRoute {
  const start = { x: from.left + from.width, y: from.top + from.height * leave }
  const end = { x: to.left - HEAD, y: to.top + to.height * enter }
  const middle = (start.x + end.x) / 2
  const path = `M${start.x} ${start.y}C${middle} ${start.y} ${middle} ${end.y} ${end.x} ${end.y}`
  return { path, spots: spotsOf(start, { x: middle, y: start.y }, { x: middle, y: end.y }, end) }
}

function downwards({ from, to, leave, enter }: Ports & { readonly from: Rect; readonly to: Rect }): EdgeRoute {
  const start = { x: from.left + from.width * leave, y: from.top + from.height }
  const end = { x: to.left + to.width * enter, y: to.top - HEAD }
  const middle = (start.y + end.y) / 2
  const path = `M${start.x} ${start.y}C${start.x} ${middle} ${end.x} ${middle} ${end.x} ${end.y}`
  return { path, spots: spotsOf(start, { x: start.x, y: middle }, { x: end.x, y: middle }, end) }
}

/** Down (or up) between two columns, with round corners: for what hangs below, and for what goes back. */
function throughChannel({ from, to }: { readonly from: Anchor; readonly to: Anchor }): EdgeRoute {
  const isRightwards = to.left > from.left
  // What goes up from below enters its box from the left, as everything else does.
  const isBack = from.isBelow
  const startX = isBack ? from.left : from.left + from.width
  const start = { x: startX, y: from.top + from.height * (isBack ? 0.5 : 0.78) }
  const endsLeft = isBack || isRightwards
  const end = {
    x: endsLeft ? to.left - HEAD : to.left + to.width + HEAD,
    y: to.top + to.height * (isBack ? 0.78 : 0.5)
  }
  const channel = isBack ? Math.min(start.x, end.x) - 14 : start.x + 22
  return { path: orthogonal(start, end, channel), spots: [{ x: channel, y: (start.y + end.y) / 2 }] }
}

/** Whether another box hangs between an arrow's channel and the box below that it leads to. */
function isInTheWay(options: {
  readonly from: Anchor
  readonly to: Anchor
  readonly boxes: readonly Anchor[]
}): boolean {
  const { from, to, boxes } = options
  if (!to.isBelow) return false
  const isBetween = (box: Anchor): boolean => box.left > from.left + from.width && box.left + box.width < to.left
  return boxes.some(box => box.isBelow && isBetween(box))
}

/** Room below the lowest box for arrows that go under it. */
export const UNDERPASS = 16

/** Down, along under what hangs in the way, up a little and in. */
function underneath(from: Rect, to: Rect): EdgeRoute {
  const start = { x: from.left + from.width, y: from.top + from.height * 0.78 }
  const end = { x: to.left - HEAD, y: to.top + to.height * 0.8 }
  const low = to.top + to.height + UNDERPASS - 4
  const channel = start.x + 18
  const last = end.x - 16
  const path = [
    `M${start.x} ${start.y}H${channel - BEND}Q${channel} ${start.y} ${channel} ${start.y + BEND}`,
    `V${low - BEND}Q${channel} ${low} ${channel + BEND} ${low}H${last - BEND}`,
    `Q${last} ${low} ${last} ${low - BEND}V${end.y + BEND / 2}Q${last} ${end.y} ${last + BEND / 2} ${end.y}H${end.x}`
  ].join('')
  return { path, spots: [{ x: channel, y: (start.y + low) / 2 }] }
}

/** On narrow screens: out to the left of everything, down, and in. */
function aroundLeft(from: Rect, to: Rect): EdgeRoute {
  const channel = 8
  const end = { x: to.left - HEAD, y: to.top + to.height / 2 }
  if (from.left <= 40) {
    const start = { x: from.left, y: from.top + from.height / 2 }
    return { path: orthogonal(start, end, channel), spots: [{ x: channel + 30, y: end.y }] }
  }
  // From a box in the middle: first down into the gap between the rows.
  const x = from.left + 24
  const gap = from.top + from.height + 12
  const down = `M${x} ${from.top + from.height}V${gap - BEND / 2}Q${x} ${gap} ${x - BEND / 2} ${gap}`
  const rest = `H${channel + BEND}Q${channel} ${gap} ${channel} ${gap + BEND}V${end.y - BEND}`
  return { path: `${down}${rest}Q${channel} ${end.y} ${channel + BEND} ${end.y}H${end.x}`, spots: [] }
}

/** Along, down or up, along again, the corners round. */
function orthogonal(start: Spot, end: Spot, channel: number): string {
  const down = Math.sign(end.y - start.y) || 1
  const bend = Math.min(BEND, Math.abs(end.y - start.y) / 2)
  const inward = Math.sign(channel - start.x) || 1
  const outward = Math.sign(end.x - channel) || 1
  return [
    `M${start.x} ${start.y}H${channel - inward * bend}`,
    `Q${channel} ${start.y} ${channel} ${start.y + down * bend}`,
    `V${end.y - down * bend}`,
    `Q${channel} ${end.y} ${channel + outward * bend} ${end.y}H${end.x}`
  ].join('')
}

/** Points of a cubic curve: its middle first. */
function spotsOf(...points: readonly [Spot, Spot, Spot, Spot]): Spot[] {
  return [0.5, 0.38, 0.62, 0.28, 0.72].map(t => {
    const weights = [(1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t ** 2, t ** 3]
    const sum = (of: (point: Spot) => number): number =>
      points.reduce((so, point, index) => so + (weights[index] ?? 0) * of(point), 0)
    return { x: sum(({ x }) => x), y: sum(({ y }) => y) }
  })
}

/** An arrow that would like its rate to be written. */
export interface Labelled {
  readonly key: string
  readonly rate: number | null
  /** Of the box where it begins. */
  readonly layer: number
  readonly spots: readonly Spot[]
}

/** Rates written between two layers at most: more would hide the arrows. */
export const LAYER_LABELS_MAX = 12

/** Writes the rates of the busiest arrows first, each where it covers neither a box nor another rate. */
export function placeLabels(edges: readonly Labelled[], boxes: readonly Rect[]): ReadonlyMap<string, Spot> {
  const taken: Rect[] = [...boxes]
  const labels = new Map<string, Spot>()
  const written = new Map<number, number>()
  for (const edge of edges.toSorted((a, b) => (b.rate ?? -1) - (a.rate ?? -1) || a.key.localeCompare(b.key))) {
    const before = written.get(edge.layer) ?? 0
    for (const spot of before < LAYER_LABELS_MAX && edge.rate !== null ? edge.spots : []) {
      const rect = {
        left: spot.x - LABEL_WIDTH / 2,
        top: spot.y - LABEL_HEIGHT / 2,
        width: LABEL_WIDTH,
        height: LABEL_HEIGHT
      }
      if (taken.some(other => overlaps(rect, other))) continue
      taken.push(rect)
      labels.set(edge.key, spot)
      written.set(edge.layer, before + 1)
      break
    }
  }
  return labels
}

function overlaps(a: Rect, b: Rect): boolean {
  return a.left < b.left + b.width && b.left < a.left + a.width && a.top < b.top + b.height && b.top < a.top + a.height
}
