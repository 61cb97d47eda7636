/** A table of few rows, all of them in the document. */

import './plain-table.css'

import type { ComponentChildren, VNode } from 'preact'

/** A column. */
export interface PlainColumn<T> {
  readonly title: string
  readonly cell: (row: T) => ComponentChildren
  readonly isNumber?: boolean
}

/** See the module. `isChosen` marks the row that the others are compared with. */
export function PlainTable<T>(options: {
  readonly label: string
  readonly columns: readonly PlainColumn<T>[]
  readonly rows: readonly T[]
  readonly rowKey: (row: T) => string
  readonly isChosen?: (row: T) => boolean
}): VNode {
  const { columns, rows } = options
  const classOf = ({ isNumber }: PlainColumn<T>): string | undefined =>
    isNumber === true ? 'plain-table-number' : undefined
  return (
    <div class="plain-table-frame" role="group" aria-label={options.label} tabIndex={0}>
      <table class="plain-table">
        <thead>
          <tr>
            {columns.map(column => (
              <th key={column.title} scope="col" class={classOf(column)}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(row => (
            <tr key={options.rowKey(row)} data-chosen={options.isChosen?.(row) === true ? '' : undefined}>
              {columns.map(column => (
                <td key={column.title} class={classOf(column)}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
