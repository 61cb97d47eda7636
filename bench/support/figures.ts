/** How benchmarks print: machine, medians and spread. */

import os from 'node:os'

/** The machine in one line. */
export function machine(): string {
  const [cpu] = os.cpus()
  const gib = Math.round(os.totalmem() / 2 ** 30)
  const load = os.loadavg()[0]?.toFixed(1)
  const system = `${os.type()} ${os.release()}, Node ${process.version}`
  return `${os.cpus().length} × ${cpu?.model.trim()}, ${gib} GiB, ${system}, load ${load}`
}

/** The middle of the samples. */
export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((left, right) => left - right)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

/** Median, lowest and highest: `12.0 (11.2 to 14.0)`. */
export function spread(samples: readonly number[], digits = 0): string {
  const show = (value: number): string =>
    value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
  return `${show(median(samples))} (${show(Math.min(...samples))} to ${show(Math.max(...samples))})`
}
