/**
 * The series of one instrument: one cell for each set of attributes, at most so many.
 *
 * Whoever records names the same set again and again, mostly by the same object: a cell is found by the object first,
 * by its content only when the object is new. So recording costs one look into a `WeakMap`.
 *
 * Invariants: at most `max` cells, the one for the overflow included; a cell, once given, stays for ever. An object
 * that names a set must not be changed afterwards.
 */

import type { Attributes } from '@opentelemetry/api'

import { OVERFLOW } from './collected.ts'

const NONE: Attributes = Object.freeze({})

/** Finds the cell of a set of attributes. */
export class Series<Cell> {
  readonly #byObject = new WeakMap<Attributes, Cell>()
  readonly #byContent = new Map<string, { readonly attributes: Attributes; readonly cell: Cell }>()
  readonly #max: number
  readonly #create: () => Cell
  #overflow: Cell | undefined

  constructor(max: number, create: () => Cell) {
    this.#max = max
    this.#create = create
  }

  /** Whether sets are counted together because there are too many. */
  get hasOverflowed(): boolean {
    return this.#overflow !== undefined
  }

  /** The cell of a set. */
  of(attributes: Attributes = NONE): Cell {
    const known = this.#byObject.get(attributes)
    if (known !== undefined) return known
    const cell = this.#ofContent(attributes)
    this.#byObject.set(attributes, cell)
    return cell
  }

  /** All cells with their sets. */
  *entries(): Generator<readonly [Attributes, Cell]> {
    for (const { attributes, cell } of this.#byContent.values()) yield [attributes, cell]
    if (this.#overflow !== undefined) yield [OVERFLOW, this.#overflow]
  }

  #ofContent(attributes: Attributes): Cell {
    const content = contentOf(attributes)
    const known = this.#byContent.get(content)
    if (known !== undefined) return known.cell
    if (this.#byContent.size >= this.#max - 1) return (this.#overflow ??= this.#create())
    const cell = this.#create()
    this.#byContent.set(content, { attributes: Object.freeze({ ...attributes }), cell })
    return cell
  }
}

/** A text that two sets have in common only if they are the same, in whatever order. */
export function contentOf(attributes: Attributes): string {
  const names = Object.keys(attributes)
  if (names.length > 1) names.sort()
  let content = ''
  // The lengths keep values apart that hold what stands between them.
  for (const name of names) {
    const value = textOf(attributes[name])
    content += `${name.length}:${name}${value.length}:${value}`
  }
  return content
}

/** Texts are by far most of them. What is not text is told apart from the text that looks like it. */
function textOf(value: Attributes[string]): string {
  return typeof value === 'string' ? `"${value}` : JSON.stringify(value ?? null)
}
