/**
 * Whether the items of a list differ, in time linear in the list: comparing each
 * with each would let one event of a megabyte keep the process busy for hours.
 *
 * Items are equal as JSON values are: members of objects in any order, numbers by
 * value. Recursion is bounded by the depth of events, which is checked before.
 */

/** Whether no two items are equal. */
export function hasUniqueItems(items: readonly unknown[]): boolean {
  const seen = new Set<string>()
  for (const item of items) {
    const text = canonical(item)
    if (seen.has(text)) return false
    seen.add(text)
  }
  return true
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`).join(',')}}`
}
