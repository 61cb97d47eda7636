/** The line of a sparkline as the path of an SVG: pure. Gaps stay gaps. */

/** A path in a box; empty where nothing is known. The least value is 0, or below it if values are. */
export function sparklinePath(values: readonly (number | null)[], width: number, height: number): string {
  const known = values.filter(value => value !== null)
  if (known.length === 0) return ''
  const least = Math.min(0, ...known)
  const span = Math.max(...known) - least || 1
  const step = values.length > 1 ? width / (values.length - 1) : 0
  const parts: string[] = []
  let isDrawing = false
  for (const [index, value] of values.entries()) {
    if (value === null) {
      isDrawing = false
      continue
    }
    const x = round(values.length > 1 ? index * step : width)
    const y = round(height - ((value - least) / span) * height)
    // A point between two gaps is a stroke of no length, which round caps make a dot.
    const isAlone = !isDrawing && (values[index + 1] ?? null) === null
    parts.push(`${isDrawing ? 'L' : 'M'}${x} ${y}${isAlone ? 'h0' : ''}`)
    isDrawing = true
  }
  return parts.join('')
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
