/** `comporta broker`: the embedded Kafka broker on its own. */

import { InvalidArgumentError, type Command } from 'commander'

import { type CommonOptions, loggerFor } from '../context.ts'
import { runAlone } from '../process/role.ts'
import type { CommandAction } from './action.ts'
import { brokerOptionsOf, type BrokerSecurityOptions, brokerSecurityOptions, refuseSecret } from './broker-security.ts'
import { endpointOptionsOf, metricsHostOption, metricsPortOption, parsePort } from './options.ts'

const DATA_DIR = '.comporta/data'
const PORT = 9092

interface BrokerCommandOptions extends CommonOptions, BrokerSecurityOptions {
  readonly data?: string
  readonly host?: string
  readonly port?: number
  readonly advertisedHost?: string
  readonly set?: Record<string, string>
  readonly acceptReplicationFactor?: boolean
  readonly poseAs?: string
}

/** Adds the command. */
export function addBroker(program: Command, action: CommandAction): void {
  const command = program
    .command('broker')
    .summary('run the embedded Kafka broker')
    .description(
      'A single-node Kafka broker: any Kafka client can use it. It keeps its log in Kafka’s own file format.'
    )
    .option('--data <dir>', `folder of the log (default: log.dirs, or ${DATA_DIR})`)
    .option('--host <address>', 'address to listen on (default: 127.0.0.1, this machine only)')
    .option('--port <number>', `port to listen on, 0 for any (default: ${PORT})`, parsePort)
    .option('--advertised-host <name>', 'host that clients are told to connect to (default: --host)')
    .option('--set <name=value>', 'a Kafka broker setting; may be repeated', parseSetting)
    .option('--accept-replication-factor', 'take topics that want several copies: they have one, and a warning says so')
    .option('--pose-as <release>', 'show the API versions of an older Kafka, such as 2.8 or 3.9')
    .option(...metricsPortOption)
    .option(...metricsHostOption)
    .addHelpText(
      'after',
      '\nExamples:\n  comporta broker\n' +
        '  comporta broker --data /var/lib/comporta --port 9092 --set log.retention.hours=24\n' +
        '  comporta broker --listener SASL_SSL://0.0.0.0:9093 \\\n' +
        '    --advertised-listener SASL_SSL://kafka.example:9093 \\\n' +
        '    --tls-cert broker.pem --tls-key broker-key.pem --scram-users users.txt\n' +
        '  comporta broker --config server.properties'
    )
  for (const option of brokerSecurityOptions()) command.addOption(option)
  command.action(action(broker))
}

async function broker(options: BrokerCommandOptions): Promise<number> {
  const logger = loggerFor('broker', options)
  const secured = brokerOptionsOf(options, process.env)
  const dataDir = options.data ?? secured.dataDir ?? DATA_DIR
  const { startBrokerRole } = await import('../roles/broker.ts')
  const role = await startBrokerRole(
    {
      ...secured,
      dataDir,
      ...addressOf(options, secured.config),
      ...endpointOptionsOf(options),
      acceptReplicationFactor: options.acceptReplicationFactor ?? false,
      ...(options.poseAs === undefined ? {} : { poseAs: options.poseAs })
    },
    logger
  )
  // It listens to signals before it says that it is there: whoever waits for the line may end it at once.
  const ended = runAlone(role, logger, 30_000)
  process.stdout.write(
    options.json === true
      ? `${JSON.stringify(role.info)}\n`
      : `Kafka broker on ${role.info['listeners']}, data in ${dataDir}. Ctrl-C stops it.\n`
  )
  return await ended
}

/** The one PLAINTEXT listener of the simple options, unless there are others. */
function addressOf(
  { host, port, advertisedHost }: BrokerCommandOptions,
  config: Readonly<Record<string, string>> = {}
): { host?: string; port?: number; advertisedHost?: string } {
  const hasListeners = config['listeners'] !== undefined
  return {
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? (hasListeners ? {} : { port: PORT }) : { port }),
    ...(advertisedHost === undefined ? {} : { advertisedHost })
  }
}

function parseSetting(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=')
  if (at <= 0) throw new InvalidArgumentError('Write name=value, for example log.retention.hours=24.')
  refuseSecret(text.slice(0, at))
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}
