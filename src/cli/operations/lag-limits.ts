/** How often `comporta lag` looks, and from what lag on its answer is no. */

import { PipelineError } from '../../core/index.ts'
import type { LagReport } from '../../ops/index.ts'

/** Options that say how often. */
export interface LookOptions {
  readonly watch?: string | true
  readonly for?: string
  readonly samples?: number
  readonly listen?: string
}

const watchMsDefault = 5_000
const sampleMsDefault = 2_000
const samplesDefault = 5
/** Shortest and longest time between two looks, in milliseconds. */
const intervalMs = { min: 100, max: 3_600_000 }

/** How often it is looked, and how long apart. */
export interface Looks {
  /** `undefined` = until it is stopped. */
  readonly count: number | undefined
  readonly everyMs: number
}

/** What exceeds. */
export type Limit = { readonly kind: 'records' | 'seconds'; readonly value: number } | undefined

/** Reads `--watch`, `--for`, `--samples` and `--listen`. */
export async function looksOf({ watch, for: span, samples, listen }: LookOptions): Promise<Looks> {
  if (watch !== undefined) {
    if (span !== undefined || samples !== undefined) {
      throw new PipelineError('ERR_CLI_USAGE', '--watch goes on until it is stopped: leave --for and --samples out')
    }
    const everyMs = watch === true ? watchMsDefault : await millisecondsOf('--watch', watch)
    return { count: undefined, everyMs: Math.min(intervalMs.max, Math.max(intervalMs.min, everyMs)) }
  }
  if (listen !== undefined && span === undefined && samples === undefined)
    return { count: undefined, everyMs: watchMsDefault }
  if (span === undefined) return { count: samples ?? 1, everyMs: sampleMsDefault }
  const count = Math.max(2, samples ?? samplesDefault)
  const everyMs = (await millisecondsOf('--for', span)) / (count - 1)
  return { count, everyMs: Math.min(intervalMs.max, Math.max(intervalMs.min, everyMs)) }
}

/** Reads `--fail-over`. */
export async function limitOf(text: string | undefined): Promise<Limit> {
  if (text === undefined) return undefined
  if (/^\d+$/u.test(text)) return { kind: 'records', value: Number(text) }
  return { kind: 'seconds', value: (await millisecondsOf('--fail-over', text)) / 1000 }
}

async function millisecondsOf(option: string, text: string): Promise<number> {
  const { readDuration } = await import('../../ops/index.ts')
  const read = readDuration(text)
  if (read.kind === 'invalid') throw new PipelineError('ERR_CLI_USAGE', `${option}: ${read.reason}`)
  if (read.ms <= 0) throw new PipelineError('ERR_CLI_USAGE', `${option}: a duration above 0`)
  return read.ms
}

/** What cannot be told counts as too far behind: a guard that is blind must not say yes. */
export function exceeding({ groups }: LagReport, limit: Limit): boolean {
  if (limit === undefined) return false
  return groups.some(({ lagRecords, lagSeconds, unknownCount, problem }) => {
    if (problem !== undefined || unknownCount > 0) return true
    if (limit.kind === 'records') return Number(lagRecords) > limit.value
    return lagSeconds === undefined ? lagRecords > 0n : lagSeconds > limit.value
  })
}
