/** Which rows of a long table are seen, and which must be asked for: pure arithmetic. */

/** A stretch of rows. */
export interface RowRange {
  readonly first: number
  readonly count: number
}

/** Rows above and below the seen ones that are drawn, too, so that a quick hand sees no gaps. */
export const OVERSCAN_ROWS = 8

/** Rows asked for at once. */
export const PAGE_ROWS = 100

/** The rows that are drawn. */
export function drawnRows(options: {
  readonly scrollTop: number
  readonly viewHeight: number
  readonly rowHeight: number
  readonly total: number
}): RowRange {
  const { scrollTop, viewHeight, rowHeight, total } = options
  const first = Math.max(0, Math.floor(scrollTop / rowHeight) - OVERSCAN_ROWS)
  const end = Math.min(total, Math.ceil((Math.max(0, scrollTop) + viewHeight) / rowHeight) + OVERSCAN_ROWS)
  return { first: Math.min(first, total), count: Math.max(0, end - Math.min(first, total)) }
}

/** The page to ask for; `undefined` = all drawn rows are there. Its start is rounded: small moves ask for nothing. */
export function missingPage(
  drawn: RowRange,
  loaded: RowRange,
  total: number
): { readonly offset: number; readonly limit: number } | undefined {
  const end = Math.min(drawn.first + drawn.count, total)
  if (drawn.count === 0 || (drawn.first >= loaded.first && end <= loaded.first + loaded.count)) return undefined
  const step = PAGE_ROWS / 2
  const offset = Math.floor(Math.max(0, drawn.first - step / 2) / step) * step
  return { offset, limit: Math.min(500, Math.ceil((end - offset) / PAGE_ROWS) * PAGE_ROWS) }
}

/** Where the active row goes with a key; `undefined` = the key is not one of a table. */
export function movedRow(
  key: string,
  active: number,
  size: { readonly total: number; readonly page: number }
): number | undefined {
  const last = size.total - 1
  const targets: Readonly<Record<string, number>> = {
    ArrowDown: active + 1,
    ArrowUp: active - 1,
    PageDown: active + size.page,
    PageUp: active - size.page,
    Home: 0,
    End: last
  }
  const target = targets[key]
  return target === undefined || last < 0 ? undefined : Math.min(last, Math.max(0, target))
}

/** Where to scroll so that a row is seen whole; the same place if it is. */
export function scrollToRow(
  row: number,
  view: { readonly scrollTop: number; readonly viewHeight: number; readonly rowHeight: number }
): number {
  const top = row * view.rowHeight
  if (top < view.scrollTop) return top
  return Math.max(view.scrollTop, top + view.rowHeight - view.viewHeight)
}
