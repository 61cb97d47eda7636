/** `comporta produce`: the sources of the pipeline file, or standard input. */

import type { Command } from 'commander'

import { PipelineError } from '../../core/index.ts'
import { loadPipeline, loggerFor, needSection } from '../context.ts'
import { checkSchemas } from '../schema-check.ts'
import { runAlone } from '../process/role.ts'
import type { CommandAction } from './action.ts'
import { foundOnDisk, leftOnDisk } from './spill-text.ts'
import { endpointOptionsOf, metricsHostOption, metricsPortOption, stateOptions } from './options.ts'
import { publish, type PublishOptions, stateOption } from './publish.ts'

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
    .option(...metricsHostOption)
    .option(...stateOptions[0])
    .option(...stateOptions[1])
    .addHelpText(
      'after',
      '\nWith "-", --state leaves out as many bytes of the input as were published before, if they are the same.\n' +
        '\nExamples:\n  comporta produce\n  cat events.ndjson | comporta produce - --state events.position'
    )
    .action(action(produce))
}

async function produce(options: PublishOptions, source?: string): Promise<number> {
  if (source === '-') return await publish(options, { type: 'stdin', format: 'json', state: stateOption(options) })
  if (source !== undefined) {
    const hint = `"-" is standard input, a file is published with: comporta ingest ${source}`
    const message = `"${source}" is no source: ${hint}`
    throw new PipelineError('ERR_CLI_USAGE', message)
  }
  if (options.state !== undefined || options.restart === true) {
    throw new PipelineError('ERR_CLI_USAGE', '--state and --restart go with "-"; sources of the file have state.file')
  }
  const pipeline = await loadPipeline(options)
  await checkSchemas(pipeline, options)
  const producer = needSection(pipeline, 'producer', options)
  if (producer.sources.length === 0) {
    throw new PipelineError(
      'ERR_CLI_USAGE',
      'producer.sources is empty: add a source, or pipe events to: comporta produce -'
    )
  }
  const logger = loggerFor('producer', options, pipeline.telemetry.logs)
  const { startProducerRole } = await import('../roles/producer.ts')
  const role = await startProducerRole(
    { kafka: pipeline.kafka, producer, topics: pipeline, ...endpointOptionsOf(options, pipeline.telemetry) },
    logger
  )
  // It listens to signals before it says that it runs: whoever waits for the line may end it at once.
  const ended = runAlone(role, logger, 30_000)
  const where = role.info['events'] === undefined ? '' : ` POST events to ${role.info['events']}.`
  const found = foundOnDisk(role.producer)
  const text = `producing.${where}${found} Ctrl-C drains.\n`
  process.stdout.write(options.json === true ? `${JSON.stringify(role.info)}\n` : text)
  const exitCode = await ended
  const report = await role.producer.drain()
  if (options.json !== true) process.stdout.write(leftOnDisk(report))
  if (report.error !== undefined) throw report.error
  return exitCode
}
