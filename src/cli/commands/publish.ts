/** Publishing one source to its end, with progress and a report: what `ingest` and `produce -` share. */

import { resolve } from 'node:path'

import type { ProducerConfig, SourceConfig } from '../../config/index.ts'
import { PipelineError, type Timer, systemClock } from '../../core/index.ts'
import { type CommonOptions, loadPipeline, loggerFor, needSection } from '../context.ts'
import { thousands } from '../demo/progress.ts'
import { EXIT } from '../exit-codes.ts'
import { runToEnd } from '../process/role.ts'
import type { ProducerRole } from '../roles/producer.ts'
import { endpointOptionsOf } from './options.ts'
import { leftOnDisk } from './spill-text.ts'

/** Options of commands that publish one input. */
export interface PublishOptions extends CommonOptions {
  /** File in which the position is kept. */
  readonly state?: string
  /** Begins anew, whatever the state file says. */
  readonly restart?: boolean
  /** Publishes in transactions, with the position in Kafka. */
  readonly transactional?: boolean
}

/** The state of an input, as the command line names it. */
export function stateOption(
  options: PublishOptions
): { readonly file: string; readonly intervalMs: number } | undefined {
  if (options.state !== undefined && options.transactional === true) {
    throw new PipelineError('ERR_CLI_USAGE', '--transactional keeps the position in Kafka: leave out --state')
  }
  if (options.state !== undefined) return { file: resolve(options.state), intervalMs: 1000 }
  if (options.restart !== true || options.transactional === true) return undefined
  throw new PipelineError('ERR_CLI_USAGE', '--restart forgets the position in a state file: name it with --state')
}

/** Publishes the source as the pipeline file says, and prints what became of it. */
export async function publish(options: PublishOptions, source: SourceConfig): Promise<number> {
  const pipeline = await loadPipeline(options)
  const section = await withTransactions(needSection(pipeline, 'producer', options), options, pipeline.name)
  const logger = loggerFor('producer', { ...options, logLevel: options.logLevel ?? 'warn' })
  const { startProducerRole } = await import('../roles/producer.ts')
  const startMs = systemClock.monotonicMs()
  const role = await startProducerRole(
    {
      kafka: pipeline.kafka,
      producer: { ...section, sources: [source] },
      topics: { ...pipeline, producer: section },
      isRestart: options.restart === true,
      // Only what the command line says: the port of the pipeline file is that of what runs all the time.
      ...endpointOptionsOf(options)
    },
    logger
  )
  const progress = showProgress(role, options)
  const { endedBy } = await runToEnd(role, logger, 30_000).finally(() => progress.cancel())
  const report = await role.producer.drain()
  const seconds = (systemClock.monotonicMs() - startMs) / 1000
  const { deliveredCount, deadLetteredCount, spilledCount, failedCount } = report.totals
  const onDisk = report.spill?.recordCount ?? 0
  const position = report.sources[0]?.progress
  // Whoever removes the file when this ends with 0 must not lose what was not read.
  const isPartial =
    endedBy === 'signal' &&
    source.type !== 'generator' &&
    (position?.totalBytes === undefined || position.safeBytes < position.totalBytes)
  const result = {
    published: deliveredCount + Math.max(0, spilledCount - onDisk),
    deadLettered: deadLetteredCount,
    failed: failedCount,
    ...(onDisk > 0 ? { onDisk } : {}),
    seconds,
    ...(position === undefined ? {} : { safeBytes: position.safeBytes }),
    ...(position?.resumedBytes === undefined ? {} : { resumedBytes: position.resumedBytes })
  }
  process.stdout.write(
    options.json === true
      ? `${JSON.stringify(result)}\n`
      : describe({ ...result, totalBytes: position?.totalBytes, state: options.state }, section.deadLetterTopic)
  )
  if (options.json !== true) process.stdout.write(leftOnDisk(report))
  if (report.error !== undefined) throw report.error
  if (failedCount > 0) return EXIT.unavailable
  return onDisk === 0 && !isPartial ? EXIT.ok : EXIT.incomplete
}

/** The section with transactions, where they are asked for and the pipeline file has none. */
async function withTransactions(
  section: ProducerConfig,
  options: PublishOptions,
  name: string
): Promise<ProducerConfig> {
  if (options.transactional !== true || section.delivery.transaction !== undefined) return section
  const { transactionDefaults } = await import('../../config/index.ts')
  return { ...section, delivery: { ...section.delivery, transaction: transactionDefaults(`${name}-ingest`) } }
}

function counted(count: number, what: string): string {
  return `${thousands(count)} ${what}${count === 1 ? '' : 's'}`
}

interface Result {
  readonly published: number
  readonly deadLettered: number
  readonly failed: number
  readonly seconds: number
  readonly safeBytes?: number
  readonly resumedBytes?: number
  readonly totalBytes: number | undefined
  /** The state file, if there is one. */
  readonly state: string | undefined
}

function describe(result: Result, deadLetterTopic: string): string {
  const rate = result.seconds > 0 ? result.published / result.seconds : 0
  const lines = [
    `published ${counted(result.published, 'event')} in ${result.seconds.toFixed(1)} s (${thousands(rate)}/s)`
  ]
  if (result.deadLettered > 0) {
    const headers = 'the headers comporta-error-reason and comporta-line say why'
    lines.push(`${thousands(result.deadLettered)} went to ${deadLetterTopic}: ${headers}`)
  }
  if (result.failed > 0) lines.push(`${thousands(result.failed)} FAILED: publish them again`)
  lines.push(...describePosition(result))
  return `${lines.join('\n')}\n`
}

/** Where the run went on, and where the next one will. */
function describePosition(result: Result): string[] {
  const { safeBytes, resumedBytes, totalBytes, state } = result
  if (safeBytes === undefined) return []
  const lines: string[] = []
  if (resumedBytes !== undefined && resumedBytes === safeBytes) {
    lines.push(`nothing new: all before byte ${thousands(resumedBytes)} was published earlier`)
  } else if (resumedBytes !== undefined) {
    lines.push(`went on at byte ${thousands(resumedBytes)}: what is before it was published earlier`)
  }
  if (totalBytes !== undefined && safeBytes < totalBytes) {
    const next =
      state === undefined ? 'with --state <file> a run goes on where it stopped' : 'run it again to go on there'
    lines.push(`stopped at byte ${thousands(safeBytes)} of ${thousands(totalBytes)}: ${next}`)
  }
  return lines
}

/** A repainted line on a terminal; a slow reader elsewhere needs only the result. */
function showProgress(role: ProducerRole, options: CommonOptions): Pick<Timer, 'cancel'> {
  if (options.json === true || !process.stderr.isTTY) return { cancel: () => undefined }
  const timer = systemClock.every(500, () => {
    const { totals, sources } = role.producer.status()
    const [source] = sources
    const share =
      source?.totalBytes === undefined
        ? ''
        : ` (${Math.floor((source.safeBytes * 100) / Math.max(1, source.totalBytes))} %)`
    process.stderr.write(`\r\u001B[2Kpublished ${thousands(totals.deliveredCount)}${share}`)
  })
  return {
    cancel: () => {
      timer.cancel()
      process.stderr.write('\r\u001B[2K')
    }
  }
}
