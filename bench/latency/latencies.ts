/** Times from the publisher to a handler, gathered in the process of the handler. */

/** What a program prints at its end. */
export interface Latencies {
  readonly records: number
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
  /** CPU seconds of the program for each 1,000 records. */
  readonly cpuSecondsPerThousand: number
}

/** Records of this time after the first are not counted: programs warm up. */
const WARM_UP_MS = 2000

const samples: number[] = []
let firstMs = 0
let cpu = process.cpuUsage()

/** A handler has got a value that `publish.ts` made. */
export function took(value: { readonly nanos: string }): void {
  const nowMs = performance.now()
  if (firstMs === 0) firstMs = nowMs
  if (nowMs - firstMs < WARM_UP_MS) {
    cpu = process.cpuUsage()
    return
  }
  samples.push(Number(process.hrtime.bigint() - BigInt(value.nanos)) / 1e6)
}

/** Says that the program is ready, and prints its latencies when its input ends; then calls `end`. */
export function reportAtEnd(end: () => Promise<unknown>): void {
  process.stdout.write('{"ready":true}\n')
  process.stdin.resume()
  process.stdin.on('end', () => {
    process.stdout.write(`${JSON.stringify(latencies())}\n`)
    void end().then(() => process.exit(0))
  })
}

function latencies(): Latencies {
  const { user, system } = process.cpuUsage(cpu)
  const sorted = samples.toSorted((left, right) => left - right)
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
  return {
    records: sorted.length,
    p50: at(0.5),
    p99: at(0.99),
    p999: at(0.999),
    max: at(1),
    cpuSecondsPerThousand: ((user + system) / 1e6 / sorted.length) * 1000
  }
}
