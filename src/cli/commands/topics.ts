/** `comporta topics`: topics listed, described, made, changed, deleted. */

import { type Command, InvalidArgumentError } from 'commander'

import { PipelineError } from '../../core/index.ts'
import type { Change, RecordBound, TopicSummary, WantedConfigs } from '../../ops/index.ts'
import { EXIT } from '../exit-codes.ts'
import {
  type ClusterCommandOptions,
  type OpenCluster,
  withCluster,
  withClusterOptions
} from '../operations/cluster-options.ts'
import { count } from '../operations/format.ts'
import { BOUND_HELP, parseCount, readBound } from '../operations/record-options.ts'
import { type ChangeCommandOptions, runChange, withChangeOptions } from '../operations/run-change.ts'
import { type Column, jsonLine, tableOf } from '../operations/table.ts'
import type { CommandAction } from './action.ts'
import { collect, collectPartition } from '../operations/collect.ts'

type TopicOptions = ClusterCommandOptions & ChangeCommandOptions

interface ListOptions extends ClusterCommandOptions {
  readonly internal?: boolean
}

interface CreateOptions extends TopicOptions {
  readonly partitions?: number
  readonly replicas?: number
  readonly config?: Readonly<Record<string, string>>
}

interface AlterOptions extends TopicOptions {
  readonly set?: Readonly<Record<string, string>>
  readonly unset?: readonly string[]
}

interface DeleteRecordsOptions extends TopicOptions {
  readonly before: RecordBound
  readonly partition?: readonly number[]
}

const EXAMPLES = {
  list: '\nExamples:\n  comporta topics list\n  comporta topics list --brokers 127.0.0.1:9092 --json',
  describe: '\nExamples:\n  comporta topics describe mt-c400\n  comporta topics describe mt-c400 --json',
  create: `
Examples:
  comporta topics create mt-c400 --partitions 12 --replicas 3 --config retention.ms=604800000 --dry-run
  comporta topics create changelog --config cleanup.policy=compact --yes`,
  alter: `
Examples:
  comporta topics alter mt-c400 --set retention.ms=259200000 --dry-run
  comporta topics alter mt-c400 --unset retention.ms --yes`,
  delete: '\nExamples:\n  comporta topics delete old-events --dry-run\n  comporta topics delete old-events',
  recreate:
    '\nExamples:\n  comporta topics recreate test-events --dry-run\n  comporta topics recreate test-events --yes',
  deleteRecords: `
Examples:
  comporta topics delete-records mt-c400 --before 30d --dry-run
  comporta topics delete-records mt-c400 --partition 3 --before 1042 --yes`
}

/** Adds the commands. */
export function addTopics(program: Command, action: CommandAction): void {
  const topics = program
    .command('topics')
    .summary('list, describe, make, change and delete topics')
    .addHelpText('after', '\nExamples:\n  comporta topics list\n  comporta topics describe orders')
  withClusterOptions(
    topics
      .command('list')
      .summary('partitions, replicas, records, bytes, and groups that read them')
      .option('--internal', 'topics of Kafka itself, too')
      .addHelpText('after', EXAMPLES.list)
  ).action(action<ListOptions>(list))
  withClusterOptions(
    topics
      .command('describe <topic>')
      .summary('leaders, replicas, offsets and times of partitions; settings; groups')
      .addHelpText('after', EXAMPLES.describe)
  ).action(action<ClusterCommandOptions>(async (options, topic = '') => await describe(options, topic)))
  const create = topics
    .command('create <topic>')
    .summary('make a topic')
    .option('--partitions <number>', 'how many (default: as the brokers have it)', parseCount)
    .option('--replicas <number>', 'replicas of each (default: as the brokers have it)', parseCount)
    .option('--config <name=value>', 'a setting; may be given again', collectSettings)
    .addHelpText('after', EXAMPLES.create)
  changing(create, action, async (options: CreateOptions, topic, open) => {
    const { planCreateTopic } = await import('../../ops/index.ts')
    return await planCreateTopic(open, {
      topic,
      ...(options.partitions === undefined ? {} : { partitionCount: options.partitions }),
      ...(options.replicas === undefined ? {} : { replicationFactor: options.replicas }),
      ...(options.config === undefined ? {} : { configs: options.config })
    })
  })
  const alter = topics
    .command('alter <topic>')
    .summary('change settings of a topic')
    .option('--set <name=value>', 'a setting; may be given again', collectSettings)
    .option('--unset <name>', 'back to that of the brokers; may be given again', collect)
    .addHelpText('after', EXAMPLES.alter)
  changing(alter, action, async (options: AlterOptions, topic, open) => {
    const { planTopicConfigs } = await import('../../ops/index.ts')
    return await planTopicConfigs(open, topic, wantedOf(options))
  })
  const remove = topics.command('delete <topic>').summary('delete a topic and its records')
  changing(remove.addHelpText('after', EXAMPLES.delete), action, async (_: TopicOptions, topic, open) => {
    const { planDeleteTopic } = await import('../../ops/index.ts')
    return await planDeleteTopic(open, topic)
  })
  const recreate = topics.command('recreate <topic>').summary('delete a topic and make it again, empty')
  changing(recreate.addHelpText('after', EXAMPLES.recreate), action, async (_: TopicOptions, topic, open) => {
    const { planRecreateTopic } = await import('../../ops/index.ts')
    return await planRecreateTopic(open, topic)
  })
  const deleteRecords = topics
    .command('delete-records <topic>')
    .summary('delete old records of a topic')
    .requiredOption('--before <where>', `first record that stays: ${BOUND_HELP}`, readBound)
    .option('--partition <number>', 'only this partition; may be given again', collectPartition)
    .addHelpText('after', EXAMPLES.deleteRecords)
  changing(deleteRecords, action, async (options: DeleteRecordsOptions, topic, open) => {
    const { planDeleteRecords } = await import('../../ops/index.ts')
    const { before, partition } = options
    return await planDeleteRecords(open, {
      topic,
      before,
      ...(partition === undefined ? {} : { partitions: partition })
    })
  })
}

/** Makes a command that plans a change, and runs it. */
function changing<O extends TopicOptions>(
  command: Command,
  action: CommandAction,
  plan: (options: O, topic: string, open: OpenCluster) => Promise<Change>
): void {
  withChangeOptions(withClusterOptions(command)).action(
    action<O>(
      async (options, topic = '') =>
        await withCluster('topics', options, async open => {
          const change = await plan(options, topic, open)
          return await runChange(change, { ...options, clusterId: open.cluster.clusterId, logger: open.logger })
        })
    )
  )
}

async function list(options: ListOptions): Promise<number> {
  return await withCluster('topics', options, async open => {
    const { listTopics } = await import('../../ops/index.ts')
    const found = await listTopics(open, { withInternal: options.internal === true })
    if (options.json === true) process.stdout.write(jsonLine(found))
    else {
      process.stdout.write(tableOf(listColumns, found.topics))
      for (const text of found.unknown) process.stderr.write(`unknown: ${text}\n`)
    }
    return EXIT.ok
  })
}

const listColumns: readonly Column<TopicSummary>[] = [
  { title: 'topic', text: each => each.topic },
  { title: 'partitions', text: each => count(each.partitionCount), align: 'right' },
  { title: 'replicas', text: each => count(each.replicationFactor), align: 'right' },
  { title: 'records', text: each => count(each.records), align: 'right' },
  { title: 'bytes', text: each => (each.leaderBytes === undefined ? '–' : count(each.leaderBytes)), align: 'right' },
  { title: 'groups', text: each => namesText(each.groups) },
  { title: '', text: each => troubleText(each) }
]

function namesText(names: readonly string[]): string {
  return names.length <= 3 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`
}

function troubleText({ leaderlessCount, underReplicatedCount }: TopicSummary): string {
  const parts = [
    leaderlessCount > 0 ? `${leaderlessCount} without a leader` : '',
    underReplicatedCount > 0 ? `${underReplicatedCount} under-replicated` : ''
  ]
  return parts.filter(part => part !== '').join(', ')
}

async function describe(options: ClusterCommandOptions, topic: string): Promise<number> {
  return await withCluster('topics', options, async open => {
    const { describeTopic, timeText } = await import('../../ops/index.ts')
    const found = await describeTopic(open, topic)
    if (options.json === true) {
      process.stdout.write(jsonLine(found))
      return EXIT.ok
    }
    const time = (ms: number | undefined): string => (ms === undefined ? '–' : timeText(ms))
    process.stdout.write(
      tableOf(
        [
          { title: 'partition', text: each => String(each.partition), align: 'right' },
          { title: 'leader', text: each => (each.leaderId < 0 ? 'none' : String(each.leaderId)), align: 'right' },
          { title: 'replicas', text: each => each.replicas.join(',') },
          { title: 'in sync', text: each => each.inSyncReplicas.join(',') },
          { title: 'start', text: each => count(each.logStartOffset), align: 'right' },
          { title: 'end', text: each => count(each.highWatermark), align: 'right' },
          { title: 'oldest', text: each => time(each.oldestMs) },
          { title: 'newest', text: each => time(each.newestMs) }
        ],
        found.partitions
      )
    )
    const own = found.ownConfigs.map(({ name, value }) => `  ${name}=${value ?? '(secret)'}\n`).join('')
    process.stdout.write(own === '' ? 'settings: as the brokers have them\n' : `settings of its own:\n${own}`)
    process.stdout.write(`groups: ${found.groups.length === 0 ? 'none' : found.groups.join(', ')}\n`)
    for (const text of found.unknown) process.stderr.write(`unknown: ${text}\n`)
    return EXIT.ok
  })
}

function wantedOf({ set = {}, unset = [] }: AlterOptions): WantedConfigs {
  const both = unset.find(name => Object.hasOwn(set, name))
  if (both !== undefined) throw new PipelineError('ERR_CLI_USAGE', `${both} is both set and unset`)
  const wanted = { ...set, ...Object.fromEntries(unset.map(name => [name, undefined])) }
  if (Object.keys(wanted).length > 0) return wanted
  throw new PipelineError('ERR_CLI_USAGE', 'say what changes: --set name=value, --unset name')
}

function collectSettings(
  text: string,
  before: Readonly<Record<string, string>> = {}
): Readonly<Record<string, string>> {
  const at = text.indexOf('=')
  if (at > 0) return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
  throw new InvalidArgumentError('It is a name and a value: retention.ms=604800000.')
}
