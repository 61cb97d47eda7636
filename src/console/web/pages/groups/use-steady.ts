/**
 * Hooks for live tables: which part of a list is asked for, whether somebody reads it, and its rows in the order in
 * which they are shown.
 *
 * Somebody reads while the pointer moves over the table, keys are pressed in it or it is scrolled, and for
 * `HELD_INSIDE_MS` after that; once the pointer has left for `HELD_AFTER_MS` the order of the last answer is shown.
 */

import { useSignal } from '@preact/signals'
import { useEffect, useRef, useState } from 'preact/hooks'

import type { Page } from '../../../api/common.ts'
import { steadyRows } from './steady-rows.ts'

/** How long a table waits for a reader whose pointer rests on it, and for one who has left. */
export const HELD_INSIDE_MS = 20_000
/** See above. */
export const HELD_AFTER_MS = 4_000

/** Listeners for the element around a table. */
export interface ReadingHandlers {
  readonly onPointerMove: () => void
  readonly onPointerLeave: () => void
  readonly onKeyDown: () => void
  readonly onWheel: () => void
  readonly onTouchMove: () => void
}

/** Whether somebody reads what the handlers are put on. */
export function useReading(): readonly [boolean, ReadingHandlers] {
  const isReading = useSignal(false)
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  useEffect(() => () => clearTimeout(timer.current), [])
  const holdFor = (ms: number): void => {
    clearTimeout(timer.current)
    isReading.value = true
    timer.current = setTimeout(() => (isReading.value = false), ms)
  }
  const onActive = (): void => holdFor(HELD_INSIDE_MS)
  const handlers: ReadingHandlers = {
    onPointerMove: onActive,
    onKeyDown: onActive,
    onWheel: onActive,
    onTouchMove: onActive,
    onPointerLeave: () => (isReading.peek() ? holdFor(HELD_AFTER_MS) : undefined)
  }
  return [isReading.value, handlers]
}

/** A part of a list. */
export interface ListRange {
  readonly offset: number
  readonly limit: number
}

const firstRange: ListRange = { offset: 0, limit: 100 }

/** The part of a list that is asked for: its beginning whenever the question (filter, sorting) changes. */
export function useRange(question: string): readonly [ListRange, (offset: number, limit: number) => void] {
  const [state, setState] = useState({ question, range: firstRange })
  const range = state.question === question ? state.range : firstRange
  return [range, (offset, limit) => setState({ question, range: { offset, limit } })]
}

/** A page as it is shown. */
export interface SteadyPage<T> {
  /** `undefined` = nothing has come yet. */
  readonly total: number | undefined
  readonly offset: number
  readonly rows: readonly T[]
  /** Whether the order of the last answer is another one. */
  readonly isBehind: boolean
  /** Takes the order of the last answer now. */
  readonly reorder: () => void
}

interface ShownPage<T> {
  readonly question: string
  readonly page: Page<T>
  readonly rows: readonly T[]
  readonly isBehind: boolean
}

/** Keeps rows in their place while somebody reads; until an answer to a new question comes, the old one is shown. */
export function useSteady<T>(options: {
  readonly page: Page<T> | undefined
  /** What was asked, without the part of the list. */
  readonly question: string
  readonly keyOf: (row: T) => string
  readonly isReading: boolean
}): SteadyPage<T> {
  const { page, question, keyOf, isReading } = options
  const shown = useRef<ShownPage<T> | undefined>(undefined)
  const [, redraw] = useState(0)
  const before = shown.current
  if (
    page !== undefined &&
    (before?.page !== page || before.question !== question || (before.isBehind && !isReading))
  ) {
    const isSame = before?.question === question && before.page.offset === page.offset
    const isHeld = isSame && isReading
    const { rows, isBehind } = steadyRows({ shown: before?.rows ?? [], incoming: page.rows, keyOf, isHeld })
    shown.current = { question, page, rows, isBehind }
  }
  const now = shown.current
  const reorder = (): void => {
    if (now !== undefined) shown.current = { ...now, rows: now.page.rows, isBehind: false }
    redraw(count => count + 1)
  }
  return {
    total: now?.page.total,
    offset: now?.page.offset ?? 0,
    rows: now?.rows ?? [],
    isBehind: now?.isBehind ?? false,
    reorder
  }
}

/** The last value that was known for a key: what is shown while another part of it is on its way. */
export function useKept<T>(key: string, value: T | undefined): T | undefined {
  const kept = useRef<{ readonly key: string; readonly value: T } | undefined>(undefined)
  if (value !== undefined) kept.current = { key, value }
  return kept.current?.key === key ? kept.current.value : undefined
}
