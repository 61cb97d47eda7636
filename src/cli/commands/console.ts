/** `comporta console`: the web console, for the cluster of the pipeline file or one that is named. */

import type { Command } from 'commander'

import type { ConsoleConfig } from '../../config/index.ts'
import { loggerFor } from '../context.ts'
import { type ClusterCommandOptions, clusterOf, withClusterOptions } from '../operations/cluster-options.ts'
import { undoFolder } from '../operations/run-change.ts'
import { runAlone } from '../process/role.ts'
import { createToken, needsStartToken } from '../roles/console-token.ts'
import type { CommandAction } from './action.ts'
import { parsePort } from './options.ts'

/** Options of the command. */
interface ConsoleOptions extends ClusterCommandOptions {
  readonly port?: number
  readonly host?: string
  readonly undoDir?: string
}

const drainMs = 5000

const EXAMPLES = `
Without console.auth a token is made at each start; the printed address has it behind the #.
Others than this machine reach it only with a login and TLS: docs/guides/console.md.

Examples:
  comporta console
  comporta console --brokers kafka-1:9092,kafka-2:9092 --port 7071`

/** Adds the command. */
export function addConsole(program: Command, action: CommandAction): void {
  const command = program
    .command('console')
    .summary('look at it, and change it, in a browser')
    .description(
      'Serves the web console: groups and their lag, topics, records, dead letters, the flow of the pipeline, and ' +
        'changes with a plan before and a way back. comporta up runs it, too.'
    )
  withClusterOptions(command)
    .option('--port <number>', 'port, 0 for any (default: console.port, else 7070, or a free one)', parsePort)
    .option('--host <address>', 'address to listen on (default: console.host, 127.0.0.1)')
    .option(
      '--undo-dir <folder>',
      'where the way back is kept (default: .comporta/undo beside the pipeline file, or COMPORTA_UNDO_DIR)'
    )
    .addHelpText('after', EXAMPLES)
    .action(action(serve))
}

async function serve(options: ConsoleOptions): Promise<number> {
  const { kafka, pipeline } = await clusterOf(options)
  const logger = loggerFor('console', options)
  const { consoleDefaults } = await import('../../config/index.ts')
  const settings = settingsOf(pipeline?.console ?? consoleDefaults(), options)
  const { startConsoleRole } = await import('../roles/console.ts')
  const role = await startConsoleRole(
    {
      kafka,
      pipeline,
      settings,
      instances: [],
      startToken: needsStartToken(settings) ? createToken() : undefined,
      undoFolder: undoFolder(options)
    },
    logger
  )
  // It listens to signals before it says that it runs: whoever waits for the line may end it at once.
  const ended = runAlone(role, logger, drainMs)
  process.stdout.write(options.json === true ? `${JSON.stringify(role.info)}\n` : `${textOf(role.info['url'] ?? '')}\n`)
  return await ended
}

/** What the command line says comes before the pipeline file. */
function settingsOf(settings: ConsoleConfig, { port, host }: ConsoleOptions): ConsoleConfig {
  return { ...settings, ...(port === undefined ? {} : { port }), ...(host === undefined ? {} : { host }) }
}

function textOf(url: string): string {
  return `console (process ${process.pid}): ${url}\nCtrl-C stops it`
}
