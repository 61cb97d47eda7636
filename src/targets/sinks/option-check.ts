/**
 * Checks the settings of a sink by hand: they come as JSON into a function that is loaded on every cold start, where a
 * schema library would cost more than all sinks together. Every problem is collected; none of them repeats a value,
 * which may be a secret.
 */

import { COMMON_SINK_MEMBERS } from './common-settings.ts'

/** Reads an object of settings, member by member. */
export class OptionCheck {
  readonly problems: string[] = []
  readonly #given: Readonly<Record<string, unknown>>
  readonly #known = new Set(COMMON_SINK_MEMBERS)

  constructor(given: unknown) {
    const isObject = typeof given === 'object' && given !== null && !Array.isArray(given)
    if (!isObject) this.problems.push('is not an object of settings')
    // Boundary: every member is looked at before it is used.
    this.#given = isObject ? (given as Readonly<Record<string, unknown>>) : {}
  }

  /** Adds a problem of a member. */
  report(name: string, problem: string): void {
    this.problems.push(`${name}: ${problem}`)
  }

  /** The member as it is; from now on it is a known one. */
  take(name: string): unknown {
    this.#known.add(name)
    return this.#given[name]
  }

  /** Text that is not empty; `pattern` and `hint` say what it looks like. */
  text(name: string, rule: { isRequired?: boolean; pattern?: RegExp; hint?: string } = {}): string | undefined {
    const { isRequired = false, pattern, hint = 'text' } = rule
    const value = this.take(name)
    if (value === undefined) {
      if (isRequired) this.report(name, `is missing: give ${hint}`)
      return undefined
    }
    if (typeof value !== 'string' || value === '' || pattern?.test(value) === false) {
      this.report(name, `is not ${hint}`)
      return undefined
    }
    return value
  }

  /** A whole number within bounds, both included. */
  integer(name: string, min: number, max: number): number | undefined {
    const value = this.take(name)
    if (value === undefined) return undefined
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
    this.report(name, `is not a whole number from ${min} to ${max}`)
    return undefined
  }

  flag(name: string): boolean | undefined {
    const value = this.take(name)
    if (value === undefined || typeof value === 'boolean') return value
    this.report(name, 'is neither true nor false')
    return undefined
  }

  oneOf(name: string, choices: readonly string[]): string | undefined {
    const value = this.take(name)
    if (value === undefined) return undefined
    if (typeof value === 'string' && choices.includes(value)) return value
    this.report(name, `is none of ${choices.join(', ')}`)
    return undefined
  }

  /** Region and endpoint, which all of AWS's services have. */
  awsPlace(): void {
    this.text('region', { pattern: /^[a-z]{2,}(-[a-z]+)+-\d+$/, hint: 'an AWS region such as eu-west-1' })
    this.text('endpoint', { pattern: /^https?:\/\/[^\s/]/, hint: 'an http:// or https:// address' })
  }

  /** All problems, those of members that nothing was asked of included. */
  finish(): string[] {
    for (const name of Object.keys(this.#given)) {
      if (!this.#known.has(name))
        this.report(name, `is no setting of this kind of target (${[...this.#known].join(', ')})`)
    }
    return this.problems
  }
}
