/** Numbers as they are sent: what is not known is `null`, and nobody reads a sixth digit. Pure. */

const DIGITS = 4

/** A rate, seconds, a share: four digits are enough. Whole numbers stay as they are. */
export function shortNumber(value: number | null | undefined): number | null {
  if (value === undefined || value === null || !Number.isFinite(value)) return null
  return Number.isInteger(value) ? value : Number(value.toPrecision(DIGITS))
}

/** The values of a series. */
export function shortNumbers(values: readonly (number | null)[]): (number | null)[] {
  return values.map(shortNumber)
}
