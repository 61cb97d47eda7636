/** `comporta partitions grow`: the playbook of a growth, with its gates. */

import { type Command, InvalidArgumentError } from 'commander'

import type { GrowRequest, PartitionCap } from '../../ops/index.ts'
import { type ClusterCommandOptions, type OpenCluster, withCluster } from '../operations/cluster-options.ts'
import { type ChangeCommandOptions, runChange, withChangeOptions } from '../operations/run-change.ts'
import type { CommandAction } from './action.ts'
import {
  type MeasureOptions,
  millisecondsOf,
  present,
  readCount,
  withMeasures
} from '../operations/partition-options.ts'

interface GrowOptions extends ClusterCommandOptions, ChangeCommandOptions, MeasureOptions {
  readonly to?: number
  readonly forceNeed?: string
  readonly acceptOrderBreak?: boolean
  readonly drainFirst?: boolean
  readonly preCommit?: boolean
  readonly step?: number
  readonly stepPause?: string
  readonly quiet?: string
  readonly unstable?: string
  readonly settle?: string
  readonly lagGain?: number
}

const EXAMPLES = `
The playbook: 1 the need is confirmed by metrics, 2 the count is chosen (twice today's), 3 the topic is altered, 4 the
rebalance is watched, 5 it is judged settled. Each gate can stop it. Run again, it goes on where it was.

Exit codes: 0 grown and settled, 1 refused, stopped or not settled, 130 stopped by you.

Examples:
  comporta partitions grow mt-c400 --dry-run
  comporta partitions grow mt-c400 --to 16 --consumer-cpu 35 --accept-order-break
  comporta partitions grow mt-c400 --to 16 --drain-first --force-need "doubles on Monday" --yes`

/** Adds the command. */
export function addPartitionsGrow(partitions: Command, action: CommandAction): void {
  const command = partitions
    .command('grow')
    .argument('<topic>', 'the topic')
    .summary('the playbook: confirm, choose, alter, watch, settle')
    .description(
      'Gives a topic more partitions. Refuses while metrics do not confirm the need, and for topics with keys unless ' +
        'their order may break, or is kept by --drain-first or by comporta partitions migrate.'
    )
  withChangeOptions(withMeasures(command))
    .option('--to <count>', 'partitions afterwards (default: twice today’s)', readCount)
    .option('--force-need <reason>', 'go on although metrics do not confirm the need')
    .option('--accept-order-break', 'new records of keys that move may be read before their old ones')
    .option('--drain-first', 'wait until producers are stopped and all groups have read everything: keeps the order')
    .option('--pre-commit', 'commit offset 0 of new partitions for groups without members')
    .option(
      '--step <count>',
      'partitions that are created at once (default: all; 250 with --profile serverless)',
      readCount
    )
    .option('--step-pause <duration>', 'wait between steps (default: none; 5min with --profile serverless)')
    .option('--quiet <duration>', 'owners have to stay the same for so long to be settled', '10s')
    .option('--unstable <duration>', 'stop when a group is not stable for so long', '2min')
    .option('--settle <duration>', 'stop when it has not settled after so long', '15min')
    .option('--lag-gain <records>', 'stop when a group falls behind by so many records', readGain, 1_000_000)
    .addHelpText('after', EXAMPLES)
    .action(action(grow))
}

async function grow(options: GrowOptions, topic = ''): Promise<number> {
  const { planGrowth } = await import('../../ops/index.ts')
  const times = {
    observeMs: await millisecondsOf('--observe', options.observe ?? '15s'),
    quietMs: await millisecondsOf('--quiet', options.quiet ?? '10s'),
    unstableMaxMs: await millisecondsOf('--unstable', options.unstable ?? '2min'),
    settleMaxMs: await millisecondsOf('--settle', options.settle ?? '15min')
  }
  const pauseMs = options.stepPause === undefined ? undefined : await millisecondsOf('--step-pause', options.stepPause)
  return await withCluster('partitions', options, async open => {
    if (times.observeMs >= 1000) process.stderr.write(`measuring for ${Math.round(times.observeMs / 1000)} s …\n`)
    const request: GrowRequest = {
      cluster: open.cluster,
      topic,
      ...times,
      caps: await capsOf(options, open, topic),
      lagGainMax: BigInt(options.lagGain ?? 1_000_000),
      isServerless: options.profile === 'serverless',
      isOrderBreakAccepted: options.acceptOrderBreak === true,
      isDrainedFirst: options.drainFirst === true,
      isPreCommitted: options.preCommit === true,
      ...present({
        to: options.to,
        groupId: options.group,
        consumerCpu: options.consumerCpu,
        didMoreConsumersHelp: options.moreConsumersDidNotHelp === true ? false : undefined,
        forceNeed: options.forceNeed,
        stepMax: options.step,
        stepPauseMs: pauseMs
      })
    }
    const change = await planGrowth(request)
    return await runChange(change, { ...options, clusterId: open.cluster.clusterId, logger: open.logger })
  })
}

/** What the cluster allows this topic. */
async function capsOf(options: GrowOptions, { cluster }: OpenCluster, topic: string): Promise<readonly PartitionCap[]> {
  const { planTopicPartitions } = await import('../../ops/index.ts')
  const limits = present({ profile: options.profile, brokerType: options.brokerType })
  const { plan } = await planTopicPartitions({ cluster, topic, observeMs: 0, sampleRecords: 0, ...limits })
  return plan.caps
}

function readGain(text: string): number {
  const records = Number(text)
  if (Number.isSafeInteger(records) && records >= 0) return records
  throw new InvalidArgumentError('A number of records is a whole number from 0 on.')
}
