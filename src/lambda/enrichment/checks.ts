/** Checks of settings by hand: each answers with problems as `name: what is wrong`. */

/** Members that mean nothing: a misspelt one would otherwise be a default. */
export function unknownMembers(given: Readonly<Record<string, unknown>>, known: ReadonlySet<string>): string[] {
  return Object.keys(given)
    .filter(name => !known.has(name))
    .map(name => `${name}: is unknown; there are ${[...known].join(', ')}`)
}

/** Texts that are none of the choices. */
export function choiceProblems(
  given: Readonly<Record<string, unknown>>,
  name: string,
  choices: readonly string[]
): string[] {
  const value = given[name]
  if (value === undefined || (typeof value === 'string' && choices.includes(value))) return []
  return [`${name}: is none of ${choices.join(', ')}`]
}

/** Numbers that are not whole or out of range. */
export function countProblems(
  given: Readonly<Record<string, unknown>>,
  ranges: Readonly<Record<string, readonly [number, number]>>
): string[] {
  return Object.entries(ranges).flatMap(([name, [min, max]]) => {
    const value = given[name]
    if (value === undefined || (Number.isInteger(value) && Number(value) >= min && Number(value) <= max)) return []
    return [`${name}: is not a whole number from ${min} to ${max}`]
  })
}

/** Whether a value is an object with named members. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
