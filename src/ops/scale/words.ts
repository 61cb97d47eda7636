/** Numbers as the sentences of a decision say them. */

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const oneDigit = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 })

/** `1,200,000`; below ten with one digit. */
export function number(value: number): string {
  return (Math.abs(value) < 10 ? oneDigit : whole).format(value)
}

/** `13,000/s` */
export function rate(value: number): string {
  return `${number(value)}/s`
}

/** `45 s`, `8 min`, `3.5 h` */
export function seconds(value: number): string {
  if (!Number.isFinite(value)) return 'never'
  if (value < 120) return `${number(value)} s`
  if (value < 7200) return `${number(value / 60)} min`
  return `${oneDigit.format(value / 3600)} h`
}

/** `85 %` */
export function percent(ratio: number): string {
  return `${whole.format(ratio * 100)} %`
}

/** `1 instance`, `3 instances` */
export function instances(count: number): string {
  return `${count} instance${count === 1 ? '' : 's'}`
}
