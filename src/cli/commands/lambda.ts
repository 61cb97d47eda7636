/** `comporta lambda`: the embedded Lambda runtime on its own. */

import type { Command } from 'commander'

import { type CommonOptions, loadPipeline, loggerFor, needSection } from '../context.ts'
import { runAlone } from '../process/role.ts'
import type { CommandAction } from './action.ts'
import { addLambdaControl } from './lambda-control.ts'
import { addLambdaPackage } from './lambda-package.ts'
import { endpointOptionsOf, metricsHostOption, metricsPortOption, parsePort } from './options.ts'

interface LambdaCommandOptions extends CommonOptions {
  readonly watch?: boolean
  readonly port?: number
}

/** Adds the command. */
export function addLambda(program: Command, action: CommandAction): void {
  const command = program
    .command('lambda')
    .summary('run the embedded Lambda runtime')
    .description('Serves AWS’s Invoke API for the functions of the pipeline file. The AWS SDK and CLI work against it.')
    .option('--port <number>', 'port to listen on, 0 for any (default: lambda.port)', parsePort)
    .option('--no-watch', 'keep the code as it is now: changed files make no new environments')
    .option(...metricsPortOption)
    .option(...metricsHostOption)
    .addHelpText(
      'after',
      '\nExamples:\n  comporta lambda\n' +
        '  aws lambda invoke --endpoint-url http://127.0.0.1:9001 --function-name distributor out.json'
    )
    .action(action(lambda))
  addLambdaControl(command, action)
  addLambdaPackage(command, action)
}

async function lambda(options: LambdaCommandOptions): Promise<number> {
  const pipeline = await loadPipeline(options)
  const section = needSection(pipeline, 'lambda', options)
  const logger = loggerFor('lambda', options, pipeline.telemetry.logs)
  const { startLambdaRole } = await import('../roles/lambda.ts')
  const role = await startLambdaRole(
    {
      ...section,
      port: options.port ?? section.port,
      watch: section.watch && options.watch !== false,
      ...endpointOptionsOf(options, pipeline.telemetry)
    },
    logger
  )
  // It listens to signals before it says that it runs: whoever waits for the line may end it at once.
  const ended = runAlone(role, logger, 10_000)
  const names = Object.keys(section.functions).join(', ')
  const text = `Lambda runtime on ${role.info['endpoint']}: ${names}. Ctrl-C stops it.`
  process.stdout.write(options.json === true ? `${JSON.stringify(role.info)}\n` : `${text}\n`)
  return await ended
}
