/** Publishing one source to its end, with progress and a report: what `ingest` and `produce -` share. */

import type { SourceConfig } from '../../config/index.ts'
import { type Timer, systemClock } from '../../core/index.ts'
import { type CommonOptions, loadPipeline, loggerFor, needSection } from '../context.ts'
import { thousands } from '../demo/progress.ts'
import { EXIT } from '../exit-codes.ts'
import { runAlone } from '../process/role.ts'
import type { ProducerRole } from '../roles/producer.ts'

/** Publishes the source as the pipeline file says, and prints what became of it. */
export async function publish(options: CommonOptions, source: SourceConfig): Promise<number> {
  const pipeline = await loadPipeline(options)
  const section = needSection(pipeline, 'producer', options)
  const logger = loggerFor('producer', { ...options, logLevel: options.logLevel ?? 'warn' })
  const { startProducerRole } = await import('../roles/producer.ts')
  const startMs = systemClock.monotonicMs()
  const role = await startProducerRole(
    { kafka: pipeline.kafka, producer: { ...section, sources: [source] }, topics: pipeline },
    logger
  )
  const progress = showProgress(role, options)
  await runAlone(role, logger, 30_000)
  progress.cancel()
  const report = await role.producer.drain()
  const seconds = (systemClock.monotonicMs() - startMs) / 1000
  const { deliveredCount, deadLetteredCount, failedCount } = report.totals
  const result = { published: deliveredCount, deadLettered: deadLetteredCount, failed: failedCount, seconds }
  process.stdout.write(
    options.json === true ? `${JSON.stringify(result)}\n` : describe(result, section.deadLetterTopic)
  )
  if (report.error !== undefined) throw report.error
  return failedCount === 0 ? EXIT.ok : EXIT.unavailable
}

function counted(count: number, what: string): string {
  return `${thousands(count)} ${what}${count === 1 ? '' : 's'}`
}

interface Result {
  readonly published: number
  readonly deadLettered: number
  readonly failed: number
  readonly seconds: number
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
  return `${lines.join('\n')}\n`
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
