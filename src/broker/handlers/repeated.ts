/** Names that a request has more than once: found in one pass, since clients may name a hundred thousand. */

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
