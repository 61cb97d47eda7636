/** Which names fit what was typed, the best first: pure. */

/** How well a name fits: 0 = not; the whole name is best, then its beginning, a word's beginning, any part. */
export function matchScore(name: string, typed: string): number {
  const text = name.toLowerCase()
  const find = typed.trim().toLowerCase()
  if (find === '') return 1
  const at = text.indexOf(find)
  if (at === -1) return 0
  if (text === find) return 4
  if (at === 0) return 3
  return /[\s._:/-]/.test(text[at - 1] ?? '') ? 2 : 1
}

/** The fitting ones, best first, then in their order. */
export function bestMatches<T>(all: readonly T[], nameOf: (one: T) => string, typed: string): T[] {
  return all
    .map((one, index) => ({ one, index, score: matchScore(nameOf(one), typed) }))
    .filter(({ score }) => score > 0)
    .toSorted((a, b) => b.score - a.score || a.index - b.index)
    .map(({ one }) => one)
}
