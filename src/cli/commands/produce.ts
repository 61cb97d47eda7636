/** `comporta produce`: the sources of the pipeline file, or standard input. */

import type { Command } from 'commander'

import { PipelineError } from '../../core/index.ts'
import { type CommonOptions, loadPipeline, loggerFor, needSection } from '../context.ts'
import { runAlone } from '../process/role.ts'
import type { CommandAction } from './action.ts'
import { metricsPortOption } from './options.ts'
import { publish } from './publish.ts'

/** Adds the command. */
export function addProduce(program: Command, action: CommandAction): void {
  program
    .command('produce')
    .argument('[source]', '"-" reads newline-delimited JSON from standard input; default: the sources of the file')
    .summary('publish events from standard input or the file’s sources')
    .description(
      'Routes, keys and publishes events as the pipeline file says. What cannot be read, routed or keyed goes to its ' +
        'dead letter topic. Topics of the file that do not exist are created. Ctrl-C stops reading and waits until ' +
        'what was read is in Kafka.'
    )
    .option(...metricsPortOption)
    .addHelpText('after', '\nExamples:\n  comporta produce\n  cat events.ndjson | comporta produce -')
    .action(action(produce))
}

async function produce(options: CommonOptions, source?: string): Promise<number> {
  if (source === '-') return await publish(options, { type: 'stdin' })
  if (source !== undefined) {
    const hint = `"-" is standard input, a file is published with: comporta ingest ${source}`
    const message = `"${source}" is no source: ${hint}`
    throw new PipelineError('ERR_CLI_USAGE', message)
  }
  const pipeline = await loadPipeline(options)
  const producer = needSection(pipeline, 'producer', options)
  if (producer.sources.length === 0) {
    throw new PipelineError(
      'ERR_CLI_USAGE',
      'producer.sources is empty: add a source, or pipe events to: comporta produce -'
    )
  }
  const logger = loggerFor('producer', options)
  const { startProducerRole } = await import('../roles/producer.ts')
  const role = await startProducerRole(
    { kafka: pipeline.kafka, producer, topics: pipeline, metricsPort: options.metricsPort },
    logger
  )
  // It listens to signals before it says that it runs: whoever waits for the line may end it at once.
  const ended = runAlone(role, logger, 30_000)
  const where = role.info['events'] === undefined ? '' : ` POST events to ${role.info['events']}.`
  process.stdout.write(options.json === true ? `${JSON.stringify(role.info)}\n` : `producing.${where} Ctrl-C drains.\n`)
  const exitCode = await ended
  const { error } = await role.producer.drain()
  if (error !== undefined) throw error
  return exitCode
}
