/** `comporta ingest`: publish a file of events. */

import { statSync } from 'node:fs'

import type { Command } from 'commander'

import { messageOf, PipelineError } from '../../core/index.ts'
import type { CommandAction } from './action.ts'
import { metricsHostOption, metricsPortOption, stateOptions } from './options.ts'
import { publish, type PublishOptions, stateOption } from './publish.ts'

/** Adds the command. */
export function addIngest(program: Command, action: CommandAction): void {
  program
    .command('ingest')
    .argument('<events.ndjson>', 'file of newline-delimited JSON')
    .summary('publish a file of events')
    .description(
      'Publishes every line of the file as the pipeline file says, and reports what became of it. It ends when all ' +
        'of it is acknowledged by Kafka. Lines that cannot be read, routed or keyed go to the dead letter topic, ' +
        'with the reason.'
    )
    .option(...stateOptions[0])
    .option(...stateOptions[1])
    .option(...metricsPortOption)
    .option(...metricsHostOption)
    .option('--transactional', 'publish in transactions and keep the position in Kafka: each line exactly once')
    .addHelpText(
      'after',
      '\nExit codes: 0 all lines are in Kafka, 65 the file cannot be read, or is not the one of the state,\n' +
        '75 stopped before its end, or some are on disk (producer.spill).\n' +
        '\nExamples:\n  comporta ingest events.ndjson\n  comporta ingest events.ndjson.gz --state events.position'
    )
    .action(action(ingest))
}

async function ingest(options: PublishOptions, path?: string): Promise<number> {
  if (path === undefined) throw new PipelineError('ERR_CLI_USAGE', 'name a file of events')
  checkReadable(path)
  const state = stateOption(options)
  return await publish(options, {
    type: 'file',
    path,
    format: 'json',
    ...(state && { state: { ...state, onChange: 'refuse' } })
  })
}

function checkReadable(path: string): void {
  let isDirectory: boolean
  try {
    isDirectory = statSync(path).isDirectory()
  } catch (error) {
    throw new PipelineError('ERR_CLI_INPUT', `cannot read ${path}: ${messageOf(error)}`, { cause: error })
  }
  if (isDirectory) throw new PipelineError('ERR_CLI_INPUT', `${path} is a folder: name a file of events`)
}
