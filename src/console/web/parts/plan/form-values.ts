/** What is typed into forms, as values: pure. */

/** A whole number within bounds; `undefined` if the text is none. */
export function wholeOf(
  text: string,
  { least, most }: { readonly least: number; readonly most: number }
): number | undefined {
  if (!/^[+-]?\d{1,15}$/.test(text.trim())) return undefined
  const value = Number(text)
  return value >= least && value <= most ? value : undefined
}

/** An offset as decimal text; `undefined` if it is none. */
export function offsetOf(text: string): string | undefined {
  // As it was copied from a table of either language: in groups of three, or without any.
  if (!/^\d+$|^\d{1,3}(?:[.,\s_]\d{3})+$/.test(text.trim())) return undefined
  const digits = text.replaceAll(/\D/g, '')
  return digits.length <= 18 ? String(BigInt(digits)) : undefined
}

/** Milliseconds since 1970 of what a field for a local time holds; `undefined` while it is not whole. */
export function localTimeOf(text: string): number | undefined {
  const atMs = text === '' ? Number.NaN : new Date(text).getTime()
  return Number.isFinite(atMs) && atMs >= 0 ? atMs : undefined
}

/** What a field for a local time holds at a time, by the second. */
export function localTimeText(atMs: number): string {
  const at = new Date(atMs)
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}

/** Partitions of a list such as `0, 3-5`; `undefined` if it is none. Empty = all. */
export function partitionsOf(text: string): readonly number[] | undefined {
  if (text.trim() === '') return []
  const found = new Set<number>()
  for (const part of text.split(',')) {
    const [, from = '', to = from] = /^\s*(\d{1,6})(?:\s*-\s*(\d{1,6}))?\s*$/.exec(part) ?? []
    if (from === '' || Number(to) < Number(from) || Number(to) - Number(from) > 10_000) return undefined
    for (let at = Number(from); at <= Number(to); at += 1) found.add(at)
  }
  return [...found].toSorted((left, right) => left - right)
}
