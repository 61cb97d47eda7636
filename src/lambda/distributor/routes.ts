/**
 * Which targets a record goes to: those of every route that takes it.
 *
 * A route names values of the distributor's field, which are looked up in one table however many there are, or
 * conditions on any fields, which are tried one after the other. A record that several routes take goes to the targets
 * of all of them (fan-out), to each once. Compiled once; nothing is made per record.
 */

import { decimalOf, type FieldCondition, type PatternReport, readFieldCondition } from '../../core/index.ts'

/** Names from an object to a field in it: `header.code` is `['header', 'code']`. */
export type FieldPath = readonly string[]

/** A record as routes see it. */
export interface RoutableRecord {
  /** Value of a field, own members only; `undefined` if it is not there. */
  field(path: FieldPath): unknown
}

/** A route with its targets by number. */
export type CompiledRoute =
  | { readonly values: readonly (string | number)[]; readonly targets: readonly number[] }
  | { readonly when: Readonly<Record<string, unknown>>; readonly targets: readonly number[] }

/** From here on a whole number has more digits than `decimalOf` takes. */
const DECIMAL_MAX = 1e15

interface Rule {
  readonly conditions: readonly Condition[]
  readonly targets: readonly number[]
}

interface Condition {
  readonly path: FieldPath
  readonly texts: ReadonlySet<string>
  readonly ranges: FieldCondition['ranges']
  readonly patterns: FieldCondition['patterns']
}

/** Splits the name of a field: a dot goes into an object. */
export function fieldPath(name: string): FieldPath {
  return name.split('.')
}

/** Follows a path; own members only, because "constructor" and the like are no fields of an event. */
export function fieldOf(value: unknown, path: FieldPath, from = 0): unknown {
  let at = value
  for (let index = from; index < path.length; index += 1) {
    const name = path[index] ?? ''
    if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, name)) return undefined
    // Boundary: an own member of an object.
    at = (at as Record<string, unknown>)[name]
  }
  return at
}

/** Routes, ready to be asked. */
export class RouteTable {
  readonly #field: FieldPath
  readonly #byValue = new Map<unknown, readonly number[]>()
  readonly #rules: readonly Rule[]
  /** One list for each set of targets. */
  readonly #lists = new Map<string, readonly number[]>()
  readonly #unions = new Map<readonly number[], Map<readonly number[], readonly number[]>>()

  /** @param routes - Checked by `whenProblems` where they have conditions. */
  constructor(field: FieldPath, routes: readonly CompiledRoute[]) {
    this.#field = field
    for (const route of routes) {
      if (!('values' in route)) continue
      for (const value of route.values) this.#addValue(String(value), route.targets)
    }
    this.#rules = routes.flatMap(route => ('when' in route ? [this.#ruleOf(route)] : []))
  }

  /** Targets of all routes that take the record, in ascending order; `undefined` if there is none. */
  find(record: RoutableRecord): readonly number[] | undefined {
    let found = this.#byValue.size === 0 ? undefined : this.#byValue.get(record.field(this.#field))
    for (const rule of this.#rules) {
      if (!matches(rule, record)) continue
      found = found === undefined ? rule.targets : this.#union(found, rule.targets)
    }
    return found
  }

  /** Why no route takes a record. */
  problemOf(record: RoutableRecord): string {
    if (this.#rules.length > 0) return 'no route takes the event'
    const code = record.field(this.#field)
    const isCode = typeof code === 'string' || typeof code === 'number'
    const field = this.#field.join('.')
    return isCode ? `no route for this ${field}` : `the event has no ${field} to route it by`
  }

  #addValue(text: string, targets: readonly number[]): void {
    const list = this.#listOf([...(this.#byValue.get(text) ?? []), ...targets])
    this.#byValue.set(text, list)
    // The number itself as well, so that no record's code has to be made a text to be looked up.
    const number = Number(text)
    if (String(number) === text) this.#byValue.set(number, list)
  }

  #ruleOf({ when, targets }: Extract<CompiledRoute, { when: unknown }>): Rule {
    const conditions = Object.entries(when).map(([name, list]): Condition => {
      const { texts, ranges, patterns } = readFieldCondition(list, () => undefined)
      return { path: fieldPath(name), texts: new Set(texts), ranges, patterns }
    })
    return { conditions, targets: this.#listOf(targets) }
  }

  #union(left: readonly number[], right: readonly number[]): readonly number[] {
    if (left === right) return left
    const known = this.#unions.get(left)?.get(right)
    if (known !== undefined) return known
    const list = this.#listOf([...left, ...right])
    const ofLeft = this.#unions.get(left) ?? new Map<readonly number[], readonly number[]>()
    this.#unions.set(left, ofLeft.set(right, list))
    return list
  }

  #listOf(targets: readonly number[]): readonly number[] {
    const list = [...new Set(targets)].toSorted((left, right) => left - right)
    const key = list.join()
    const known = this.#lists.get(key)
    if (known === undefined) this.#lists.set(key, list)
    return known ?? list
  }
}

function matches(rule: Rule, record: RoutableRecord): boolean {
  for (const condition of rule.conditions) {
    if (!holds(condition, record.field(condition.path))) return false
  }
  return true
}

/** Numbers and truth values by their JSON text; anything else has none and counts as absent. */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

/** The number that a range is compared with: whole numbers as they are, anything else by its text. */
function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < DECIMAL_MAX) return value
  const text = textOf(value)
  return text === undefined ? undefined : decimalOf(text)
}

/** Loops and no functions: it runs for each record. */
function holds({ texts, ranges, patterns }: Condition, value: unknown): boolean {
  if (ranges.length > 0) {
    const number = numberOf(value)
    if (number !== undefined) {
      for (const { from, to } of ranges) if (from <= number && number <= to) return true
    }
  }
  if (texts.size === 0 && patterns.length === 0) return false
  const text = textOf(value)
  if (text !== undefined && texts.has(text)) return true
  for (const pattern of patterns) if (pattern(text)) return true
  return false
}

/** Reports what is wrong with the conditions of a route. */
export function checkWhen(when: unknown, report: PatternReport): void {
  if (typeof when !== 'object' || when === null || Array.isArray(when)) {
    report([], 'is not an object of fields and their conditions')
    return
  }
  const entries = Object.entries(when)
  if (entries.length === 0) report([], 'names no field; otherwise is for all other events')
  for (const [name, list] of entries) {
    if (name === '') report([], 'has a field without a name')
    readFieldCondition(list, (path, message) => report([name, ...path], message))
  }
}
