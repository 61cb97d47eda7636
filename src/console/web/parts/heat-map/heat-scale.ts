/**
 * What a heat map is painted by: pure.
 *
 * Values fall into steps of a scale whose bounds are round (1, 3, 10 for waiting records, 1, 2, 5 for rates, times
 * that people say for lag), so that the legend can be read and does not change with each look. Step 0 is zero itself:
 * nothing unread is not "a little".
 */

import type { HeatCell, HeatMetric } from '../../../api/groups.ts'

/** Steps above zero. */
export const HEAT_STEPS = 6

/** Colours of owners before they repeat with a pattern. */
export const OWNER_COLOURS = 8

/** Upper bounds of the steps, ascending; what is above the last is in its step. Empty = all are zero, or unknown. */
export interface HeatScale {
  readonly bounds: readonly number[]
}

/** The value of a cell by a metric; `null` = unknown. Owners are no values. */
export function heatValue(cell: HeatCell, metric: HeatMetric): number | null {
  if (metric === 'lagSeconds') return cell.lagSeconds
  if (metric === 'lagRecords') return cell.lagRecords
  return metric === 'rate' ? cell.rate : null
}

/** Least top of a scale: half a second of lag must not look like an hour of it. Rates are compared with each other. */
const LEAST_TOPS: Readonly<Record<HeatMetric, number>> = { lagSeconds: 60, lagRecords: 1_000, rate: 0, owner: 0 }

/** Times that people say: up to a month. */
const timeBounds: readonly number[] = [
  0.01, 0.03, 0.1, 0.3, 1, 5, 15, 60, 300, 900, 3_600, 21_600, 86_400, 604_800, 2_592_000
]

/** Round numbers around a power of ten. */
function decades(decade: number, metric: HeatMetric): readonly number[] {
  const marks = metric === 'rate' ? [1, 2, 5] : [1, 3]
  const series: number[] = []
  for (let power = decade - HEAT_STEPS; power <= decade + 1; power += 1) {
    for (const mark of marks) series.push(Number((mark * 10 ** power).toPrecision(1)))
  }
  return series
}

/** The scale of values. */
export function heatScale(values: Iterable<number | null>, metric: HeatMetric): HeatScale {
  let greatest = 0
  for (const value of values) if (value !== null && value > greatest) greatest = value
  if (greatest <= 0 || !Number.isFinite(greatest)) return { bounds: [] }
  const most = Math.max(greatest, LEAST_TOPS[metric])
  const series = metric === 'lagSeconds' ? timeBounds : decades(Math.floor(Math.log10(most)), metric)
  const found = series.findIndex(bound => bound >= most)
  const top = found < 0 ? series.length - 1 : found
  // There is no half a record.
  const least = metric === 'lagRecords' ? 1 : 0
  return { bounds: series.slice(Math.max(0, top - HEAT_STEPS + 1), top + 1).filter(bound => bound >= least) }
}

/** Step of a value: 0 = zero, 1 to `HEAT_STEPS`; `null` = unknown. */
export function heatStep(value: number | null, { bounds }: HeatScale): number | null {
  if (value === null) return null
  if (value <= 0) return 0
  const step = bounds.findIndex(bound => value <= bound)
  return step < 0 ? HEAT_STEPS : step + 1 + HEAT_STEPS - bounds.length
}

/** Side of a cell in pixels: as large as so many can be. With room for two letters where owners are shown. */
export function cellPixels(count: number, metric: HeatMetric): number {
  if (count <= 100) return 40
  if (count <= 400) return 30
  if (metric === 'owner') return 24
  return count <= 1_500 ? 22 : 16
}

/** How an owner is shown: which colour, and two characters. */
export interface OwnerLook {
  /** 0 on; `OWNER_COLOURS` colours, then the same with patterns. */
  readonly slot: number
  readonly mark: string
}

/** Owners that are remembered after they have left. */
const OWNERS_KEPT = 500

/**
 * How owners are shown: who was there before looks as before, so that a rebalance is seen as partitions that change
 * their colour, and not as colours that change their owner.
 */
export function ownerLooks(
  owners: readonly string[],
  before: ReadonlyMap<string, OwnerLook> = new Map()
): ReadonlyMap<string, OwnerLook> {
  const looks = new Map(before.size > OWNERS_KEPT ? [] : before)
  const slots = new Set([...looks.values()].map(({ slot }) => slot))
  const marks = new Set([...looks.values()].map(({ mark }) => mark))
  let slot = 0
  for (const owner of owners) {
    if (looks.has(owner)) continue
    while (slots.has(slot)) slot += 1
    const mark = markWishes(owner).find(wish => wish.length === 2 && !marks.has(wish)) ?? freeMark(marks)
    looks.set(owner, { slot, mark })
    slots.add(slot)
    marks.add(mark)
  }
  return looks
}

/** Of `dispatcher-3`: D3; of `dispatcher-12`: 12; of `dispatcher-3b45d`: 3B. */
function markWishes(owner: string): readonly string[] {
  const name = owner.replace(/[\s@].*$/, '')
  const letters = name.replace(/[^\p{L}]/gu, '').toUpperCase()
  const last = name.split(/[-_.:/]/).at(-1) ?? ''
  if (!/^\d+$/.test(last)) return [/\d/.test(last) ? last.slice(0, 2).toUpperCase() : '', letters.slice(0, 2)]
  return [last.length > 1 ? last.slice(-2) : `${letters.slice(0, 1)}${last}`, letters.slice(0, 2)]
}

/** Where a key leads to from a cell; `undefined` = the key is not one of the map. */
export function movedCell(
  key: string,
  index: number,
  size: { readonly count: number; readonly columns: number }
): number | undefined {
  const last = size.count - 1
  const targets: Readonly<Record<string, number>> = {
    ArrowRight: index + 1,
    ArrowLeft: index - 1,
    ArrowDown: index + size.columns,
    ArrowUp: index - size.columns,
    PageDown: index + size.columns * 10,
    PageUp: index - size.columns * 10,
    Home: 0,
    End: last
  }
  const target = targets[key]
  return target === undefined || last < 0 ? undefined : Math.min(last, Math.max(0, target))
}

function alphabetMark(index: number): string {
  const letter = (at: number): string => String.fromCharCode(65 + (at % 26))
  return `${letter(Math.floor(index / 26))}${letter(index)}`
}

function freeMark(taken: ReadonlySet<string>): string {
  for (let index = 0; index < 676; index += 1) if (!taken.has(alphabetMark(index))) return alphabetMark(index)
  return '··'
}
