/** Patterns of names: `*` stands for any characters. Linear in the name, whatever the pattern. */

/** Whether a name fits one of the patterns. */
export function fitsAny(name: string, patterns: readonly string[]): boolean {
  return patterns.some(pattern => fits(name, pattern))
}

/** Whether a name fits a pattern, from its beginning to its end. */
export function fits(name: string, pattern: string): boolean {
  const parts = pattern.split('*')
  const first = parts[0] ?? ''
  if (parts.length === 1) return name === first
  const last = parts.at(-1) ?? ''
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false
  // The earliest place for each part leaves the most room for those behind it: nothing has to be tried twice.
  const end = name.length - last.length
  let position = first.length
  for (const part of parts.slice(1, -1)) {
    const found = name.indexOf(part, position)
    if (found === -1 || found + part.length > end) return false
    position = found + part.length
  }
  return true
}
