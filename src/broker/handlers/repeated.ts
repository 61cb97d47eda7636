/** What a request has more than once: found in one pass, since clients may name a hundred thousand things. */

/** The names that are there more than once. */
export function repeated(names: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>()
  const twice = new Set<string>()
  for (const name of names) {
    if (seen.has(name)) twice.add(name)
    else seen.add(name)
  }
  return twice
}

/** The values without those that say the same as one before. They must have a form in JSON. */
export function distinct<T>(values: readonly T[]): T[] {
  if (values.length < 2) return [...values]
  return [...new Map(values.map(value => [JSON.stringify(value), value])).values()]
}
