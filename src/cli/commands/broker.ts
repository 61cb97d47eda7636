/** `comporta broker`: the embedded Kafka broker on its own. */

import { InvalidArgumentError, type Command } from 'commander'

import { type CommonOptions, loggerFor } from '../context.ts'
import { runAlone } from '../process/role.ts'
import type { CommandAction } from './action.ts'
import { metricsPortOption, parsePort } from './options.ts'

interface BrokerCommandOptions extends CommonOptions {
  readonly data: string
  readonly host: string
  readonly port: number
  readonly advertisedHost?: string
  readonly set: Record<string, string>
  readonly acceptReplicationFactor?: boolean
  readonly poseAs?: string
}

/** Adds the command. */
export function addBroker(program: Command, action: CommandAction): void {
  program
    .command('broker')
    .summary('run the embedded Kafka broker')
    .description(
      'A single-node Kafka broker: any Kafka client can use it. It keeps its log in Kafka’s own file format.'
    )
    .option('--data <dir>', 'folder of the log', '.comporta/data')
    .option('--host <address>', 'address to listen on; loopback unless you say otherwise', '127.0.0.1')
    .option('--port <number>', 'port to listen on, 0 for any', parsePort, 9092)
    .option('--advertised-host <name>', 'host that clients are told to connect to (default: --host)')
    .option('--set <name=value>', 'a Kafka broker setting; may be repeated', parseSetting, {})
    .option('--accept-replication-factor', 'take topics that want several copies: they have one, and a warning says so')
    .option('--pose-as <release>', 'show the API versions of an older Kafka, such as 2.8 or 3.9')
    .option(...metricsPortOption)
    .addHelpText(
      'after',
      '\nExamples:\n  comporta broker\n' +
        '  comporta broker --data /var/lib/comporta --port 9092 --set log.retention.hours=24'
    )
    .action(action(broker))
}

async function broker(options: BrokerCommandOptions): Promise<number> {
  const logger = loggerFor('broker', options)
  const { startBrokerRole } = await import('../roles/broker.ts')
  const role = await startBrokerRole(
    {
      dataDir: options.data,
      host: options.host,
      port: options.port,
      config: options.set,
      metricsPort: options.metricsPort,
      acceptReplicationFactor: options.acceptReplicationFactor ?? false,
      ...(options.poseAs === undefined ? {} : { poseAs: options.poseAs }),
      ...(options.advertisedHost === undefined ? {} : { advertisedHost: options.advertisedHost })
    },
    logger
  )
  process.stdout.write(
    options.json === true
      ? `${JSON.stringify(role.info)}\n`
      : `Kafka broker on ${role.info['bootstrapServers']}, data in ${options.data}. Ctrl-C stops it.\n`
  )
  return await runAlone(role, logger, 30_000)
}

function parseSetting(text: string, before: Record<string, string>): Record<string, string> {
  const at = text.indexOf('=')
  if (at <= 0) throw new InvalidArgumentError('Write name=value, for example log.retention.hours=24.')
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}
