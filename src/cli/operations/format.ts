/** Numbers and times for people. */

const groups = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

/** A count with thousands marked: `1,200,000`. */
export function count(value: number | bigint): string {
  return groups.format(value)
}

const units = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1]
] as const

/** A duration in its two largest units: `3 h 12 min`, `950 ms`. `undefined` is shown as `–`. */
export function duration(seconds: number | undefined): string {
  if (seconds === undefined || !Number.isFinite(seconds)) return '–'
  if (seconds === 0) return '0 s'
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`
  let left = Math.round(seconds)
  const parts: string[] = []
  for (const [name, size] of units) {
    const amount = Math.floor(left / size)
    left -= amount * size
    if (amount > 0) parts.push(`${amount} ${name}`)
    else if (parts.length > 0) break
    if (parts.length === 2) break
  }
  return parts.join(' ')
}

/** A rate: `13,000/s`; `undefined` is shown as `–`. */
export function perSecond(rate: number | undefined): string {
  if (rate === undefined) return '–'
  return `${Math.abs(rate) < 10 && rate !== 0 ? rate.toFixed(1) : count(rate)}/s`
}
