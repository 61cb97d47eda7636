/** Runs experiments one after the other, each on a pipeline of its own. */

import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { systemClock } from '../../core/index.ts'
import {
  CHAOS_BATCH_RECORDS,
  type ChaosExperiment,
  type ChaosReport,
  type ChaosSample,
  runExperiment,
  skippedReport,
  type TimelineEntry
} from '../../ops/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { PipelineWorld } from './world.ts'

/** What is asked for. */
export interface ChaosCommandRun {
  readonly experiments: readonly ChaosExperiment[]
  /** Addresses of a cluster; absent = the embedded broker. */
  readonly brokers: string | undefined
  readonly ratePerSecond: number
  readonly steadyMs: number
  readonly recordsMin: number
  readonly logLevel: string
  readonly logger: Logger
  readonly signal: AbortSignal
  /**
   * Folder for logs and ledgers, in which each run gets a new folder of its own; default a temporary one, which is
   * removed where all holds.
   */
  readonly keepIn?: string
  readonly onStart?: (experiment: ChaosExperiment, dir: string) => void
  readonly onEvent?: (entry: TimelineEntry) => void
  readonly onSample?: (sample: ChaosSample) => void
  readonly onReport?: (report: ChaosReport) => void
}

/** Longest age of a batch in the pipeline under test, in milliseconds. */
const BATCH_AGE_MS = 200

/** Runs them. Those that cannot be done here are skipped and say why; after Ctrl-C the rest is left out. */
export async function runChaos(options: ChaosCommandRun): Promise<ChaosReport[]> {
  const base = options.keepIn ?? mkdtempSync(join(tmpdir(), 'comporta-chaos-'))
  const reports: ChaosReport[] = []
  for (const experiment of options.experiments) {
    if (options.signal.aborted) break
    const { isEmbeddedOnly } = experiment.needs
    const report =
      options.brokers !== undefined && isEmbeddedOnly !== undefined
        ? skippedReport(experiment, isEmbeddedOnly)
        : await runOne(experiment, newFolder(base, experiment.name), options)
    reports.push(report)
    options.onReport?.(report)
  }
  const isClean = reports.every(({ verdict }) => verdict === 'holds' || verdict === 'skipped')
  if (isClean && options.keepIn === undefined) rmSync(base, { recursive: true, force: true })
  return reports
}

async function runOne(experiment: ChaosExperiment, dir: string, options: ChaosCommandRun): Promise<ChaosReport> {
  const { brokers, ratePerSecond, steadyMs, recordsMin, logLevel, logger, signal, onEvent, onSample } = options
  const { dispatchers, isProxied, certificateMs, instanceIds } = experiment.needs
  options.onStart?.(experiment, dir)
  // On a cluster of many: whoever runs the same at the same time has topics and a group of his own.
  const name = `comporta-chaos-${randomBytes(4).toString('hex')}-${experiment.name}`
  const world = new PipelineWorld({
    dir,
    logLevel,
    logger,
    groupId: name,
    batch: { recordsMax: CHAOS_BATCH_RECORDS, ageMs: BATCH_AGE_MS },
    ...(brokers === undefined ? {} : { brokers, prefix: `${name}-` }),
    ...(dispatchers === undefined ? {} : { dispatchers }),
    ...(isProxied === undefined ? {} : { isProxied }),
    ...(certificateMs === undefined ? {} : { certificateMs }),
    ...(instanceIds === undefined ? {} : { instanceIds })
  })
  // A second Ctrl-C ends this process at once: nothing that it started may stay behind, frozen or not.
  const onExit = (): void => world.killNow()
  process.once('exit', onExit)
  try {
    return await runExperiment(experiment, {
      world,
      clock: systemClock,
      signal,
      ratePerSecond,
      steadyMs,
      recordsMin,
      ...(onEvent === undefined ? {} : { onEvent }),
      ...(onSample === undefined ? {} : { onSample })
    })
  } finally {
    process.off('exit', onExit)
  }
}

/** A new folder: what an earlier run of the same name has left, ledgers above all, is not this run's. */
export function newFolder(base: string, name: string): string {
  mkdirSync(base, { recursive: true })
  for (let count = 1; ; count += 1) {
    const dir = join(base, count === 1 ? name : `${name}-${count}`)
    try {
      mkdirSync(dir)
      return dir
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}
