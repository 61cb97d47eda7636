/** What the drain benchmark prints. */

import { median, spread } from '../support/figures.ts'
import type { Usage } from './usage.ts'

/** One run. */
export interface Sample extends Usage {
  readonly sinkCpuSeconds: number
  /** 0 if the broker is not ours to look at. */
  readonly brokerCpuSeconds: number
}

/** All runs of one program. */
export interface Summary {
  readonly name: string
  readonly isPeer: boolean
  readonly recordsPerSecond: readonly number[]
  readonly cpuSecondsPerMillion: readonly number[]
  readonly sinkCpuSecondsPerMillion: readonly number[]
  readonly brokerCpuSecondsPerMillion: readonly number[]
  readonly peakRssMb: readonly number[]
}

/** One table. */
export interface Scenario {
  readonly delayMs: number
  readonly records: number
  readonly concurrency: number
  readonly summaries: readonly Summary[]
}

/** Gathers the runs of a program. */
export function summarize(program: Pick<Summary, 'name' | 'isPeer'>, samples: readonly Sample[]): Summary {
  const perMillion = (pick: (sample: Sample) => number): number[] =>
    samples.map(sample => (pick(sample) / sample.records) * 1e6)
  return {
    ...program,
    recordsPerSecond: samples.map(({ records, seconds }) => records / seconds),
    cpuSecondsPerMillion: perMillion(({ cpuSeconds }) => cpuSeconds),
    sinkCpuSecondsPerMillion: perMillion(({ sinkCpuSeconds }) => sinkCpuSeconds),
    brokerCpuSecondsPerMillion: perMillion(({ brokerCpuSeconds }) => brokerCpuSeconds),
    peakRssMb: samples.map(({ peakRssMb }) => peakRssMb)
  }
}

/** Prints one scenario, with the ratio of our rate to each peer's, and of key order to partition order. */
export function printTable({ delayMs, records, concurrency, summaries }: Scenario): void {
  const delay = delayMs === 0 ? 'at once' : `after ${delayMs} ms`
  console.log(
    `\n${records.toLocaleString('en')} records, sink answers ${delay}, at most ${concurrency} requests at once`
  )
  const [first] = summaries
  for (const summary of summaries) {
    const { name, recordsPerSecond, cpuSecondsPerMillion, peakRssMb } = summary
    const against = first === undefined || first === summary ? '' : `, ${compare(first, summary)}`
    console.log(`${name.padEnd(20)} ${spread(recordsPerSecond)} records/s${against}`)
    const sink = spread(summary.sinkCpuSecondsPerMillion, 2)
    const broker = spread(summary.brokerCpuSecondsPerMillion, 2)
    console.log(
      `${''.padEnd(20)} CPU s per million: ${spread(cpuSecondsPerMillion, 2)}, sink ${sink}, broker ${broker}`
    )
    console.log(`${''.padEnd(20)} peak ${spread(peakRssMb)} MB`)
  }
}

function compare(first: Summary, other: Summary): string {
  const ratio = median(other.recordsPerSecond) / median(first.recordsPerSecond)
  if (ratio >= 1) return `${ratio.toFixed(2)} × as fast as ${first.name}`
  return `${first.name} is ${(1 / ratio).toFixed(2)} × as fast`
}
