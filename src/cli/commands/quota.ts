/** `comporta quota`: the quota of Kafka that holds the producer's rate, beside the pipeline file. */

import type { Command } from 'commander'

import { PipelineError } from '../../core/index.ts'
import type { QuotaComparison } from '../../producer/index.ts'
import { type CommonOptions, loadPipeline, loggerFor, needSection } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { connectCluster } from '../wiring.ts'
import type { CommandAction } from './action.ts'

interface QuotaOptions extends CommonOptions {
  readonly set?: boolean
}

/** Adds the command. */
export function addQuota(program: Command, action: CommandAction): void {
  program
    .command('quota')
    .summary('compare, or set, the quota that holds the producer’s rate')
    .description(
      'Compares producer_byte_rate of the producer’s client id with producer.rate.bytesPerSecond, divided by the ' +
        'number of brokers, for a pipeline file with `rate.shared: { type: quota }`.'
    )
    .option('--set', 'set the quota to what the pipeline file says')
    .addHelpText(
      'after',
      '\nExit codes: 0 as the pipeline file says, 1 not.\n\nExamples:\n  comporta quota\n  comporta quota --set'
    )
    .action(action(quota))
}

async function quota(options: QuotaOptions): Promise<number> {
  const pipeline = await loadPipeline(options)
  const { rate } = pipeline.producer ?? needSection(pipeline, 'producer', options)
  if (rate?.shared?.type !== 'quota' || rate.bytesPerSecond === undefined) {
    throw new PipelineError('ERR_CLI_USAGE', 'the pipeline file has no `producer.rate.shared: { type: quota }`')
  }
  const logger = loggerFor('quota', options)
  const { compareQuota, ensureQuota } = await import('../../producer/index.ts')
  // The role whose client id the quota is for.
  const cluster = await connectCluster(pipeline.kafka, 'producer', logger)
  try {
    const question = { cluster, config: rate.shared, bytesPerSecond: rate.bytesPerSecond }
    if (options.set === true) await ensureQuota({ ...question, config: { ...rate.shared, manage: true }, logger })
    const found = await compareQuota(question)
    process.stdout.write(`${options.json === true ? JSON.stringify(found) : textOf(found)}\n`)
    return found.actual === found.wanted ? EXIT.ok : EXIT.failed
  } finally {
    await cluster.close()
  }
}

function textOf({ entity, brokerCount, wanted, actual }: QuotaComparison): string {
  const whom = [entity.user && `user ${entity.user}`, entity.clientId && `client id ${entity.clientId}`]
  const is = actual === undefined ? 'no quota is set' : `the quota is ${actual} bytes/s`
  const verdict = actual === wanted ? 'as it should be' : `should be ${wanted} bytes/s; --set sets it`
  const where = brokerCount === 1 ? 'on the one broker' : `on each of ${brokerCount} brokers`
  return `${whom.filter(Boolean).join(', ')}: ${is} ${where}, ${verdict}`
}
