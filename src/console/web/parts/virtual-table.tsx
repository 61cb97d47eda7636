/**
 * A table of any length: only the rows that are seen are part of the document, and only those are asked for. To screen
 * readers it is a grid with its whole count of rows; the active row moves with the arrows, Home, End and the page keys,
 * and Enter opens it. Columns of lower priority give way where there is no room.
 *
 * Limit: a browser's longest element, about 900,000 rows.
 */

import './virtual-table.css'

import type { ComponentChildren, VNode } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'

import { useUniqueId } from '../base/unique-id.ts'
import { t } from '../base/words.ts'
import { Skeleton } from './feedback.tsx'
import { Icon } from './icon.tsx'
import { drawnRows, missingPage, movedRow, type RowRange, scrollToRow } from './virtual-window.ts'

/** A column. */
export interface Column<T> {
  readonly key: string
  readonly title: string
  /** What the title means. */
  readonly help?: string
  readonly cell: (row: T) => ComponentChildren
  /** Numbers stand at the end of their cell. */
  readonly isNumber?: boolean
  /** Width as a track of a CSS grid. Default `minmax(88px, 1fr)`. */
  readonly track?: string
  /** Name by which the server sorts. */
  readonly sortBy?: string
  /** Whether the first press sorts the largest first. Default: for numbers. */
  readonly isLargestFirst?: boolean
  /** 1 is always shown, 2 from a table width of 640 px, 3 from 1000 px, 4 from 1240 px. Default 1. */
  readonly priority?: 1 | 2 | 3 | 4
}

/** How a table is sorted. */
export interface Sorting {
  readonly by: string
  readonly isDescending: boolean
}

/** What a table is given. */
export interface VirtualTableOptions<T> {
  /** Name of the table, read out. */
  readonly label: string
  readonly columns: readonly Column<T>[]
  /** Rows there are; `undefined` = not known yet. */
  readonly total: number | undefined
  /** Index of the first of `rows`. */
  readonly offset: number
  readonly rows: readonly T[]
  readonly rowKey: (row: T) => string
  /** Told which rows are seen that are not there, to be asked for. Default: all rows are there. */
  readonly onRange?: (offset: number, limit: number) => void
  readonly sort?: Sorting
  readonly onSort?: (sort: Sorting) => void
  readonly onOpen?: (row: T) => void
  /** A class for a row, for example of a health. */
  readonly rowClass?: (row: T) => string
  /** In pixels. Default 36. */
  readonly rowHeight?: number
  /** Longest height as CSS. Default: what is left of the window. */
  readonly maxHeight?: string
  /** Shown where there are no rows. */
  readonly empty?: ComponentChildren
}

interface Scrolling {
  readonly scrollTop: number
  readonly viewHeight: number
}

/** See the module. */
export function VirtualTable<T>(options: VirtualTableOptions<T>): VNode {
  const id = useUniqueId()
  const scroller = useRef<HTMLDivElement>(null)
  const rowHeight = options.rowHeight ?? 36
  const total = options.total ?? 8
  const [view, setView] = useScrolling(scroller)
  const [active, setActive] = useState(0)
  const drawn = drawnRows({ ...view, rowHeight, total })
  useMissingRows(options, drawn)

  const onKey = (event: KeyboardEvent): void => {
    if (event.target !== scroller.current) return
    const seen = view.viewHeight - HEAD_HEIGHT
    const next = movedRow(event.key, active, { total, page: Math.max(1, Math.floor(seen / rowHeight)) })
    if (next !== undefined) {
      event.preventDefault()
      setActive(next)
      const top = scrollToRow(next, { scrollTop: view.scrollTop, viewHeight: seen, rowHeight })
      scroller.current?.scrollTo({ top })
      setView({ ...view, scrollTop: top })
    }
    const row = options.rows[active - options.offset]
    if (event.key === 'Enter' && row !== undefined) options.onOpen?.(row)
  }

  if (options.total === 0) return <div class="table-empty">{options.empty}</div>
  const last = Math.max(0, total - 1)
  const isActiveDrawn = active >= drawn.first && active < drawn.first + drawn.count
  return (
    <div
      ref={scroller}
      class={`table ${options.onOpen === undefined ? '' : 'table-opens'}`}
      role="grid"
      aria-label={options.label}
      aria-rowcount={options.total === undefined ? -1 : options.total + 1}
      aria-colcount={options.columns.length}
      aria-busy={options.total === undefined}
      aria-activedescendant={isActiveDrawn ? `${id}-${Math.min(active, last)}` : undefined}
      tabIndex={0}
      style={tableStyle(options)}
      onKeyDown={onKey}
    >
      <TableHead {...options} />
      <div class="table-body" role="rowgroup" style={{ height: `${total * rowHeight}px` }}>
        <DrawnRows
          table={options}
          drawn={drawn}
          id={id}
          active={Math.min(active, last)}
          onActive={index => setActive(index)}
        />
      </div>
    </div>
  )
}

const HEAD_HEIGHT = 36

function TableHead<T>(options: VirtualTableOptions<T>): VNode {
  return (
    <div class="table-head" role="rowgroup">
      <div class="table-row" role="row" aria-rowindex={1}>
        {options.columns.map((column, index) => (
          <HeadCell key={column.key} column={column} index={index} table={options} />
        ))}
      </div>
    </div>
  )
}

function HeadCell<T>(options: {
  readonly column: Column<T>
  readonly index: number
  readonly table: VirtualTableOptions<T>
}): VNode {
  const { column, table } = options
  const sortBy = column.sortBy
  const isSorted = sortBy !== undefined && table.sort?.by === sortBy
  const isDescending = isSorted && table.sort?.isDescending === true
  const press = (): void => {
    const first = column.isLargestFirst ?? column.isNumber ?? false
    if (sortBy !== undefined) table.onSort?.({ by: sortBy, isDescending: isSorted ? !isDescending : first })
  }
  return (
    <div
      class={cellClass(column)}
      role="columnheader"
      aria-colindex={options.index + 1}
      aria-sort={isSorted ? (isDescending ? 'descending' : 'ascending') : undefined}
      title={column.help}
    >
      {sortBy === undefined ? (
        <span class="cut">{column.title}</span>
      ) : (
        <button
          type="button"
          class={`table-sort ${isSorted ? 'table-sorted' : ''}`}
          title={column.help ?? t('part.table.sorted', { column: column.title })}
          onClick={press}
        >
          <span class="cut">{column.title}</span>
          <Icon name={isSorted && !isDescending ? 'sortUp' : 'sortDown'} size={13} />
        </button>
      )}
    </div>
  )
}

function DrawnRows<T>(options: {
  readonly table: VirtualTableOptions<T>
  readonly drawn: RowRange
  readonly id: string
  readonly active: number
  readonly onActive: (index: number) => void
}): VNode {
  const { table, drawn } = options
  const rowHeight = table.rowHeight ?? 36
  const classOf = (row: T | undefined): string => (row === undefined ? '' : (table.rowClass?.(row) ?? ''))
  const indexes = Array.from({ length: drawn.count }, (_, step) => drawn.first + step)
  return (
    <>
      {indexes.map(index => {
        const row = table.rows[index - table.offset]
        return (
          <div
            key={row === undefined ? `#${index}` : table.rowKey(row)}
            id={`${options.id}-${index}`}
            class={`table-row ${index === options.active ? 'table-active' : ''} ${classOf(row)}`}
            role="row"
            aria-rowindex={index + 2}
            style={{ transform: `translateY(${index * rowHeight}px)`, height: `${rowHeight}px` }}
            onClick={event => {
              options.onActive(index)
              if (row !== undefined && !isControl(event)) table.onOpen?.(row)
            }}
          >
            {table.columns.map((column, at) => (
              <div key={column.key} class={cellClass(column)} role="gridcell" aria-colindex={at + 1}>
                {row === undefined ? <Skeleton width="60%" /> : column.cell(row)}
              </div>
            ))}
          </div>
        )
      })}
    </>
  )
}

/** Whether a press meant something in the row, or marked text, and not the row. */
function isControl(event: MouseEvent): boolean {
  const isOwn = event.target instanceof Element && event.target.closest('a, button, input, select, label') !== null
  return isOwn || event.defaultPrevented || getSelection()?.isCollapsed === false
}

function cellClass<T>(column: Column<T>): string {
  return `table-cell table-priority-${column.priority ?? 1} ${column.isNumber === true ? 'table-number' : ''}`
}

/** Tracks of the columns for each width: a hidden column must take no track. */
function tableStyle<T>(options: VirtualTableOptions<T>): Record<string, string> {
  const tracks = (priority: number): string =>
    options.columns
      .filter(column => (column.priority ?? 1) <= priority)
      .map(column => column.track ?? 'minmax(88px, 1fr)')
      .join(' ')
  return {
    '--tracks-1': tracks(1),
    '--tracks-2': tracks(2),
    '--tracks-3': tracks(3),
    '--tracks-4': tracks(4),
    ...(options.maxHeight === undefined ? {} : { maxHeight: options.maxHeight })
  }
}

function useScrolling(scroller: { readonly current: HTMLDivElement | null }): [Scrolling, (view: Scrolling) => void] {
  const [view, setView] = useState<Scrolling>({ scrollTop: 0, viewHeight: 600 })
  useLayoutEffect(() => {
    const element = scroller.current
    if (element === null) return undefined
    const read = (): void => {
      const next = { scrollTop: element.scrollTop, viewHeight: element.clientHeight }
      setView(before => (before.scrollTop === next.scrollTop && before.viewHeight === next.viewHeight ? before : next))
    }
    const observer = new ResizeObserver(read)
    observer.observe(element)
    element.addEventListener('scroll', read, { passive: true })
    return () => {
      observer.disconnect()
      element.removeEventListener('scroll', read)
    }
  }, [scroller.current])
  return [view, setView]
}

function useMissingRows<T>(options: VirtualTableOptions<T>, drawn: RowRange): void {
  const page =
    options.total === undefined
      ? undefined
      : missingPage(drawn, { first: options.offset, count: options.rows.length }, options.total)
  useEffect(() => {
    if (page === undefined || options.onRange === undefined) return undefined
    // A hand that drags the bar passes many pages: only where it rests is asked for.
    const timer = setTimeout(() => options.onRange?.(page.offset, page.limit), 60)
    return () => clearTimeout(timer)
  }, [page?.offset, page?.limit])
}

/** Number of rows, below a table. */
export function RowCount({ total }: { readonly total: number | undefined }): VNode {
  return <span class="soft">{total === undefined ? '' : t('part.table.rows', { count: total })}</span>
}
