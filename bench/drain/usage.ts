/** What one run of a program cost. */

/** One run. */
export interface Usage {
  readonly records: number
  /** From joining the group to the last commit. */
  readonly seconds: number
  /** User and system time of the program in that span. */
  readonly cpuSeconds: number
  /** Peak resident memory of the program's process. */
  readonly peakRssMb: number
}

/**
 * Starts to measure; the function it gives prints the result as a line of JSON.
 *
 * @param more - What else belongs to the result. Default nothing.
 */
export function startUsage(more: () => object = () => ({})): (records: number) => void {
  const startMs = performance.now()
  const cpu = process.cpuUsage()
  return records => {
    const seconds = (performance.now() - startMs) / 1000
    const { user, system } = process.cpuUsage(cpu)
    const usage: Usage = {
      records,
      seconds,
      cpuSeconds: (user + system) / 1e6,
      peakRssMb: process.resourceUsage().maxRSS / 1024
    }
    process.stdout.write(`${JSON.stringify({ ...usage, ...more() })}\n`)
  }
}
