/** `comporta partitions migrate`: a topic with more partitions, without breaking the order of a key. */

import { type Command, Option } from 'commander'

import type { MigrateRequest } from '../../ops/index.ts'
import { type ClusterCommandOptions, withCluster, withClusterOptions } from '../operations/cluster-options.ts'
import { collect } from '../operations/collect.ts'
import { type ChangeCommandOptions, runChange, withChangeOptions } from '../operations/run-change.ts'
import type { CommandAction } from './action.ts'
import { migrationFile, millisecondsOf, present, readCount } from '../operations/partition-options.ts'

interface MigrateOptions extends ClusterCommandOptions, ChangeCommandOptions {
  readonly to: number
  readonly target?: string
  readonly hold: 'producers' | 'consumers'
  readonly group?: readonly string[]
  readonly quiet?: string
  readonly pauseMax?: string
  readonly timeout?: string
  readonly producersSwitched?: boolean
  readonly state?: string
}

const EXAMPLES = `
What you do meanwhile, as it says so: add the new topic to the groups' topics, then switch all producers to it. They
wait until the old topic is read to its end; the command creates the new one then. Ctrl-C at any time; the same command
goes on. To take it back while the new topic is empty: comporta undo.

Exit codes: 0 done and the order of every key is proven, 1 refused, stopped, or not proven, 130 stopped by you.

Examples:
  comporta partitions migrate mt-c400 --to 16 --dry-run
  comporta partitions migrate mt-c400 --to 16 --yes
  comporta partitions migrate mt-c400 --to 16 --hold consumers --target mt-c400-wide --yes`

/** Adds the command. */
export function addPartitionsMigrate(partitions: Command, action: CommandAction): void {
  const command = partitions
    .command('migrate')
    .argument('<topic>', 'the topic')
    .summary('replace the topic by one with more partitions, in order')
    .description(
      'Moves producers and groups to a new topic with more partitions so that every key keeps its order: the ' +
        'new topic ' +
        'is created only when the old one is quiet and, with --hold producers, read to its end by all groups.'
    )
  withChangeOptions(withClusterOptions(command))
    .requiredOption('--to <count>', 'partitions of the new topic', readCount)
    .option('--target <name>', 'name of the new topic (default: the old one with -v2)')
    .addOption(
      new Option(
        '--hold <who>',
        'who waits while the old topic is drained: producers, or consumers where the lag is long'
      )
        .choices(['producers', 'consumers'])
        .default('producers')
    )
    .option('--group <name>', 'a group that has to drain; may be given again (default: all with members)', collect)
    .option('--quiet <duration>', 'silence of the old topic that counts as its end', '5s')
    .option('--pause-max <duration>', 'stop when producers wait for longer', '20s')
    .option('--timeout <duration>', 'stop when it is not done after so long', '4h')
    .option('--producers-switched', 'all producers are switched: silence of a quiet topic is its end')
    .option('--state <file>', 'file of its state (default: .comporta/migrations/<topic>.json beside the pipeline file)')
    .addHelpText('after', EXAMPLES)
    .action(action(migrate))
}

async function migrate(options: MigrateOptions, topic = ''): Promise<number> {
  const { planMigration } = await import('../../ops/index.ts')
  const times = {
    quietMs: await millisecondsOf('--quiet', options.quiet ?? '5s'),
    pauseMaxMs: await millisecondsOf('--pause-max', options.pauseMax ?? '20s'),
    timeoutMs: await millisecondsOf('--timeout', options.timeout ?? '4h')
  }
  return await withCluster('partitions', options, async open => {
    const request: MigrateRequest = {
      cluster: open.cluster,
      topic,
      partitions: options.to,
      hold: options.hold,
      stateFile: options.state ?? migrationFile(options, topic),
      areProducersSwitched: options.producersSwitched === true,
      ...times,
      ...present({ target: options.target, groups: options.group })
    }
    const change = await planMigration(request)
    return await runChange(change, { ...options, clusterId: open.cluster.clusterId, logger: open.logger })
  })
}
