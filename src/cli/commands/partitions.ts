/**
 * `comporta partitions`: how many a topic needs, its growth as a playbook, and a migration that keeps the order of
 * keys.
 */

import { type Command, InvalidArgumentError } from 'commander'

import { PipelineError } from '../../core/index.ts'
import type { TopicPlan, TopicPlanRequest } from '../../ops/index.ts'
import { EXIT } from '../exit-codes.ts'
import { type ClusterCommandOptions, withCluster } from '../operations/cluster-options.ts'
import {
  type MeasureOptions,
  millisecondsOf,
  present,
  readCount,
  withMeasures
} from '../operations/partition-options.ts'
import { jsonLine } from '../operations/table.ts'
import type { CommandAction } from './action.ts'
import { addPartitionsGrow } from './partitions-grow.ts'
import { addPartitionsMigrate } from './partitions-migrate.ts'
import { planText } from './partitions-text.ts'

interface PlanOptions extends ClusterCommandOptions, MeasureOptions {
  readonly to?: number
  readonly peak?: number
  readonly perPartition?: number
  readonly perPartitionIn?: number
  readonly perConsumer?: number
  readonly consumers?: number
  readonly drain?: string
  readonly growth?: number
  readonly targetRate?: number
  readonly sample?: number
}

const EXAMPLES = `
Exit codes: 0 there are enough, 1 more are needed, would not help, or it is not known.

Examples:
  comporta partitions plan mt-c400
  comporta partitions plan mt-c400 --peak 13000 --per-partition 1000 --consumers 12 --drain 10min
  comporta partitions plan mt-c400 --to 16 --profile standard --broker-type kafka.m7g.large --json`

/** Adds the command and its subcommands. */
export function addPartitions(program: Command, action: CommandAction): void {
  const partitions = program
    .command('partitions')
    .summary('how many partitions a topic needs; grow it, or migrate it in order')
    .description(
      'Plans the number of partitions from measured rates, shows which keys would move, grows a topic by a playbook ' +
        'with gates, or replaces it by one with more partitions without breaking the order of a key.'
    )
    .addHelpText('after', '\nExamples:\n  comporta partitions plan orders\n  comporta partitions grow orders --help')
  addPlan(partitions, action)
  addPartitionsGrow(partitions, action)
  addPartitionsMigrate(partitions, action)
  for (const command of partitions.commands)
    command.exitOverride().showHelpAfterError(`(see comporta partitions ${command.name()} --help)`)
}

function addPlan(partitions: Command, action: CommandAction): void {
  const command = partitions
    .command('plan')
    .argument('<topic>', 'the topic')
    .summary('how many partitions it needs, and which keys would move')
    .description(
      'Measures what comes and what leaves, samples keys, and says how many partitions are needed, why not more, ' +
        'whether more would help at all, and what would become of the keys. Changes nothing.'
    )
  withMeasures(command)
    .option('--to <count>', 'show the keys that move with this count (default: the recommended)', readCount)
    .option('--peak <rate>', 'records per second at peak (default: what comes now)', readRate)
    .option('--per-partition <rate>', 'records per second that one partition gives (default: measured)', readRate)
    .option('--per-partition-in <rate>', 'records per second that one partition takes', readRate)
    .option('--per-consumer <rate>', 'records per second of one instance (default: as a partition)', readRate)
    .option('--consumers <count>', 'instances that are to work at the same time', readCount)
    .option('--drain <duration>', 'time in which a backlog is to be gone', '10min')
    .option('--growth <factor>', 'margin for growth', readRate, 1.5)
    .option('--target-rate <rate>', 'records per second that the target takes in all', readRate)
    .option('--sample <count>', 'records of each partition that are sampled for keys, 0 for none', readSample, 1000)
    .addHelpText('after', EXAMPLES)
    .action(action(plan))
}

async function plan(options: PlanOptions, topic = ''): Promise<number> {
  const { planTopicPartitions } = await import('../../ops/index.ts')
  const observeMs = await millisecondsOf('--observe', options.observe ?? '15s')
  const drainMs = await millisecondsOf('--drain', options.drain ?? '10min')
  if (drainMs === 0) throw new PipelineError('ERR_CLI_USAGE', '--drain: longer than nothing')
  return await withCluster('partitions', options, async ({ cluster }) => {
    if (observeMs >= 1000) process.stderr.write(`measuring for ${Math.round(observeMs / 1000)} s …\n`)
    const request: TopicPlanRequest = {
      cluster,
      topic,
      observeMs,
      targetDrainSeconds: drainMs / 1000,
      ...present({
        groupId: options.group,
        to: options.to,
        profile: options.profile,
        brokerType: options.brokerType,
        peakIn: options.peak,
        perPartitionOut: options.perPartition,
        perPartitionIn: options.perPartitionIn,
        perConsumer: options.perConsumer,
        consumersWanted: options.consumers,
        growth: options.growth,
        targetRate: options.targetRate,
        consumerCpu: options.consumerCpu,
        didMoreConsumersHelp: options.moreConsumersDidNotHelp === true ? false : undefined,
        sampleRecords: options.sample
      })
    }
    const found: TopicPlan = await planTopicPartitions(request)
    process.stdout.write(options.json === true ? jsonLine(found) : planText(found))
    return found.plan.verdict === 'enough' ? EXIT.ok : EXIT.failed
  })
}

function readSample(text: string): number {
  return text === '0' ? 0 : readCount(text)
}

function readRate(text: string): number {
  const rate = Number(text)
  if (Number.isFinite(rate) && rate > 0) return rate
  throw new InvalidArgumentError('A rate or factor is a number above 0.')
}
