/** `comporta check`: is the pipeline file sound? */

import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

import type { Command } from 'commander'

import type { PipelineCheck, PipelineConfig, TargetConfig } from '../../config/index.ts'
import { type CommonOptions, loadPipeline, pipelinePath } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { checkSchemas } from '../schema-check.ts'
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
  const warnings: string[] = []
  const files = filesAreThere(dirname(pipelinePath(options)))
  const pipeline = await loadPipeline(options, files, warning => warnings.push(warning))
  await checkSchemas(pipeline, options)
  const { producerWarnings } = await import('../../config/index.ts')
  for (const { path, message } of pipeline.producer === undefined ? [] : producerWarnings(pipeline.producer)) {
    warnings.push(`${path.map(String).join('.')}: ${message}`)
  }
  const file = pipelinePath(options)
  const text =
    options.json === true
      ? JSON.stringify({ file, isSound: true, warnings })
      : `${file} is sound: ${describe(pipeline)}`
  process.stdout.write(`${text}\n`)
  if (options.json !== true) for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`)
  return EXIT.ok
}

/**
 * Reports files that dispatcher and producer would load and that are not there. Only this command looks for all of
 * them: whoever starts one part of a pipeline need not have the files of the others.
 */
function filesAreThere(folder: string): PipelineCheck {
  return ({ dispatcher, producer }, report) => {
    const look = (file: string | undefined, path: PropertyKey[]): void => {
      if (file === undefined) return
      const whole = resolve(folder, file)
      if (!existsSync(whole)) report(path, `there is no file ${whole}`)
    }
    const lookFor = (target: TargetConfig | undefined, path: PropertyKey[]): void => {
      if (target?.type === 'module' || target?.type === 'topic') look(target.file, [...path, 'file'])
    }
    for (const [index, source] of producer?.sources.entries() ?? []) {
      if (source.type !== 'http') continue
      for (const name of ['cert', 'key', 'clientCa'] as const) {
        look(source.tls?.[name], ['producer', 'sources', index, 'tls', name])
      }
    }
    look(producer?.partitioner?.file, ['producer', 'partitioner', 'file'])
    lookFor(dispatcher?.target, ['dispatcher', 'target'])
    look(dispatcher?.transform?.file, ['dispatcher', 'transform', 'file'])
    for (const [index, { target }] of dispatcher?.priorities.entries() ?? []) {
      lookFor(target, ['dispatcher', 'priorities', index, 'target'])
    }
  }
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
