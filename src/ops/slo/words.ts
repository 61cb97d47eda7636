/** Numbers for people, in alerts: the room `cli` has its own for tables. */

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

/** `1,200 records`. */
export function records(count: number | bigint): string {
  return `${grouped.format(count)} ${count === 1 || count === 1n ? 'record' : 'records'}`
}

/** A share, in per cent. */
export function perCent(share: number): string {
  const value = share * 100
  return `${value !== 0 && Math.abs(value) < 10 ? value.toFixed(1) : Math.round(value)} %`
}

const units = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60]
] as const

/** A duration in its largest unit that leaves a whole number or one digit: `6 h`, `1.5 d`, `40 s`. */
export function seconds(value: number): string {
  for (const [name, size] of units) {
    if (value >= size) return `${Number((value / size).toFixed(1))} ${name}`
  }
  return `${Math.round(value)} s`
}
