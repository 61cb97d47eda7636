/**
 * Rules compiled so that an event is looked up instead of tried against each.
 *
 * The field that most rules name by values or ranges decides first: its text
 * leads, through one map or one binary search, to the few rules that can still
 * match, in their order. What else those rules demand is tried one by one; a list
 * ends with the first rule that demands nothing else. Rules that do not name that
 * field are in every list.
 *
 * Invariant: the outcome is that of trying all rules in order.
 */

import { decimalOf, type EventPattern, type FieldCondition, type NumberRange } from '../../core/index.ts'
import type { EventFields, FieldSet } from '../event-fields.ts'
import { NumberLine } from './number-line.ts'

/** What an event must be for a rule. Nothing at all: every event. */
export interface RuleCondition {
  /** By the dotted name of the field. All must hold. */
  readonly fields: ReadonlyMap<string, FieldCondition>
  /** Pattern over the whole event. */
  readonly value?: EventPattern | undefined
}

type Test = (event: EventFields) => boolean

/** A rule that may match, and what is still to be tried for it; nothing = it matches. */
interface Step {
  readonly rule: number
  readonly test: Test | undefined
}

type Steps = readonly Step[]

const NONE = -1

/** Finds the first rule that matches. */
export class RuleTable {
  /** The field that decides first; -1 = none. */
  readonly #field: number
  readonly #byText = new Map<string, Steps>()
  readonly #byNumber: NumberLine<Steps> | undefined
  /** For texts that no rule names. */
  readonly #otherwise: Steps
  /** For events without the field. */
  readonly #absent: Steps

  /** @param conditions - One per rule, in order. The fields they name are registered in the set. */
  constructor(conditions: readonly RuleCondition[], fields: FieldSet) {
    const name = leadingField(conditions)
    this.#field = name === undefined ? NONE : fields.add(name)
    const rests = conditions.map(condition => testOf(condition, name, fields))
    const leads = conditions.map(({ fields: named }) => (name === undefined ? undefined : leadOf(named.get(name))))
    const stepsOf = (isPossible: (lead: FieldCondition | undefined, rule: number) => boolean): Steps => {
      const steps: Step[] = []
      for (const [rule, lead] of leads.entries()) {
        if (!isPossible(lead, rule)) continue
        const test = rests[rule]
        steps.push({ rule, test })
        if (test === undefined) break
      }
      return steps
    }
    const ranges: NumberRange[] = []
    const owners: number[] = []
    for (const [rule, lead] of leads.entries()) {
      for (const range of lead?.ranges ?? []) {
        ranges.push(range)
        owners.push(rule)
      }
    }
    for (const text of new Set(leads.flatMap(lead => lead?.texts ?? []))) {
      const number = decimalOf(text)
      this.#byText.set(
        text,
        stepsOf(lead => lead === undefined || lead.texts.includes(text) || isInRange(lead, number))
      )
    }
    const inRanges = (holders: ReadonlySet<number | undefined>): Steps =>
      stepsOf((lead, rule) => lead === undefined || holders.has(rule))
    if (ranges.length > 0) {
      this.#byNumber = new NumberLine(ranges, holders => inRanges(new Set(holders.map(index => owners[index]))))
    }
    this.#otherwise = inRanges(new Set())
    this.#absent = this.#otherwise
  }

  /** The number of the first rule that matches the event, from 0, or -1. */
  find(event: EventFields): number {
    const steps = this.#field === NONE ? this.#otherwise : this.#stepsFor(event.text(this.#field))
    for (const { rule, test } of steps) {
      if (test === undefined || test(event)) return rule
    }
    return NONE
  }

  #stepsFor(text: string | undefined): Steps {
    if (text === undefined) return this.#absent
    const named = this.#byText.get(text)
    if (named !== undefined || this.#byNumber === undefined) return named ?? this.#otherwise
    const number = decimalOf(text)
    return (number === undefined ? undefined : this.#byNumber.at(number)) ?? this.#otherwise
  }
}

/** The field that most rules name by values and ranges alone; the first such one if several do. */
function leadingField(conditions: readonly RuleCondition[]): string | undefined {
  const counts = new Map<string, number>()
  for (const { fields } of conditions) {
    for (const [name, condition] of fields) {
      if (leadOf(condition) !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1)
    }
  }
  const [most] = [...counts].toSorted(([, a], [, b]) => b - a)
  return most?.[0]
}

/** A condition that values and ranges decide; operators have to be tried. */
function leadOf(condition: FieldCondition | undefined): FieldCondition | undefined {
  return condition === undefined || condition.patterns.length > 0 ? undefined : condition
}

function isInRange({ ranges }: FieldCondition, number: number | undefined): boolean {
  return number !== undefined && ranges.some(({ from, to }) => number >= from && number <= to)
}

/** What of a condition the leading field does not decide; `undefined` = nothing. */
function testOf(
  { fields: named, value }: RuleCondition,
  leading: string | undefined,
  fields: FieldSet
): Test | undefined {
  const tests: Test[] = []
  for (const [name, condition] of named) {
    if (name === leading && leadOf(condition) !== undefined) continue
    const field = fields.add(name)
    const matches = matcherOf(condition)
    tests.push(event => matches(event.text(field)))
  }
  if (value !== undefined) {
    fields.expectParsed()
    tests.push(event => value(event.parsed()))
  }
  const [first, ...more] = tests
  if (first === undefined || more.length === 0) return first
  return event => tests.every(test => test(event))
}

/** Tells whether a text meets a condition. */
export function matcherOf(condition: FieldCondition): (text: string | undefined) => boolean {
  const texts = new Set(condition.texts)
  const { ranges, patterns } = condition
  return text => {
    if (text !== undefined && texts.has(text)) return true
    if (text !== undefined && ranges.length > 0 && isInRange(condition, decimalOf(text))) return true
    return patterns.some(matches => matches(text))
  }
}
