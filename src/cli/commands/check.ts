/** `comporta check`: is the pipeline file sound? */

import type { Command } from 'commander'

import type { PipelineConfig } from '../../config/index.ts'
import { type CommonOptions, loadPipeline, pipelinePath } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import type { CommandAction } from './action.ts'

interface CheckOptions extends CommonOptions {
  readonly schema?: boolean
}

/** Adds the command. */
export function addCheck(program: Command, action: CommandAction): void {
  program
    .command('check')
    .summary('check the pipeline file')
    .description('Checks the pipeline file with the environment as it is now. Every problem is listed with its line.')
    .option('--schema', 'print the JSON Schema of the pipeline file, for editors')
    .addHelpText(
      'after',
      '\nExit codes: 0 sound, 78 not.\n\nExamples:\n  comporta check\n  comporta check --file orders.yaml --json'
    )
    .action(action(check))
}

async function check(options: CheckOptions): Promise<number> {
  if (options.schema === true) {
    const { pipelineJsonSchema } = await import('../../config/index.ts')
    process.stdout.write(`${JSON.stringify(pipelineJsonSchema(), null, 2)}\n`)
    return EXIT.ok
  }
  const pipeline = await loadPipeline(options)
  const file = pipelinePath(options)
  const text =
    options.json === true ? JSON.stringify({ file, isSound: true }) : `${file} is sound: ${describe(pipeline)}`
  process.stdout.write(`${text}\n`)
  return EXIT.ok
}

function describe(pipeline: PipelineConfig): string {
  const kafka = pipeline.kafka.isEmbedded ? 'the embedded broker' : pipeline.kafka.bootstrapServers.join(',')
  const sources = pipeline.producer?.sources.map(source => source.type).join(', ')
  const parts = [
    pipeline.producer === undefined ? undefined : `producer (${sources === '' ? 'no source of its own' : sources})`,
    pipeline.dispatcher === undefined
      ? undefined
      : `group ${pipeline.dispatcher.groupId} → ${pipeline.dispatcher.target.type}`,
    pipeline.lambda === undefined ? undefined : `functions ${Object.keys(pipeline.lambda.functions).join(', ')}`
  ]
  return `${pipeline.name} on ${kafka}: ${parts.filter(part => part !== undefined).join('; ')}`
}
