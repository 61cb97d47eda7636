/** Options of commands that are about groups and what they have committed: which groups, which partitions. */

import { type Command, Option } from 'commander'

import { PipelineError, printableText } from '../../core/index.ts'
import type { OffsetsScope } from '../../ops/index.ts'
import { type ClusterCommandOptions, type OpenCluster, withClusterOptions } from './cluster-options.ts'
import { type ChangeCommandOptions, withChangeOptions } from './run-change.ts'
import { collect } from './collect.ts'

/** Which groups, and which partitions of them. */
export interface GroupCommandOptions extends ClusterCommandOptions, ChangeCommandOptions {
  readonly group?: readonly string[]
  readonly allGroups?: boolean
  readonly topic?: readonly string[]
  readonly allTopics?: boolean
  readonly wait?: string
}

/** Adds `--group` and `--all-groups`. */
export function withGroups(command: Command): Command {
  return withClusterOptions(command)
    .option('--group <name>', 'a group; may be given again (default: the dispatcher’s of the pipeline file)', collect)
    .addOption(new Option('--all-groups', 'all consumer groups of the cluster').conflicts('group'))
}

/** Adds `--topic` and `--all-topics`. */
export function withTopics(command: Command): Command {
  return command
    .option('--topic <name>', 'a topic, or some partitions of one: mt-c400:0,1,2; may be given again', collect)
    .addOption(
      new Option('--all-topics', 'all partitions that the group has committed something for').conflicts('topic')
    )
}

/** Adds the options of a change of offsets. */
export function withOffsetsChange(command: Command): Command {
  return withChangeOptions(command).option('--wait <duration>', 'wait until nobody is in the group, for example 60s')
}

/** The groups that are meant. */
export async function groupsOf(options: GroupCommandOptions, open: OpenCluster): Promise<readonly string[]> {
  if (options.allGroups === true) {
    const { allConsumerGroups } = await import('../../ops/index.ts')
    return await allConsumerGroups(open)
  }
  if (options.group !== undefined) return [...new Set(options.group)]
  const own = open.pipeline?.dispatcher?.groupId
  if (own !== undefined) return [own]
  throw new PipelineError('ERR_CLI_USAGE', 'which group? say --group <name>, or --all-groups')
}

/** The one group that is meant. */
export async function oneGroupOf(options: GroupCommandOptions, open: OpenCluster): Promise<string> {
  const [groupId, ...others] = await groupsOf(options, open)
  if (groupId !== undefined && others.length === 0) return groupId
  throw new PipelineError('ERR_CLI_USAGE', 'this is for one group: say --group <name> once')
}

/** The partitions that are meant. */
export async function scopeOfOptions(
  options: GroupCommandOptions,
  { isNeeded }: { readonly isNeeded: boolean }
): Promise<OffsetsScope> {
  if (options.topic !== undefined) {
    const { readTopicScope } = await import('../../ops/index.ts')
    return options.topic.map(readTopicScope)
  }
  if (options.allTopics === true || !isNeeded) return 'all'
  throw new PipelineError('ERR_CLI_USAGE', 'which topics? say --topic <name>, or --all-topics')
}

/** Longest wait that can be asked for, in milliseconds. */
const WAIT_MS_MAX = 86_400_000

/** With `--wait`, waits until nobody is in the groups; who is still there then is told by the plan. */
export async function waitForGroups(
  options: GroupCommandOptions,
  open: OpenCluster,
  groupIds: readonly string[]
): Promise<void> {
  if (options.wait === undefined) return
  const { readDuration, untilIdle } = await import('../../ops/index.ts')
  const wait = readDuration(options.wait)
  if (wait.kind === 'invalid') throw new PipelineError('ERR_CLI_USAGE', `--wait: ${wait.reason}`)
  const onProgress = (text: string): void => void process.stderr.write(`${printableText(text)}\n`)
  await untilIdle(open, groupIds, { waitMs: Math.max(0, Math.min(wait.ms, WAIT_MS_MAX)), onProgress })
}

/** Runs a change with what the options say of the cluster. */
export function changeOn(open: OpenCluster): {
  readonly clusterId: string | null
  readonly logger: OpenCluster['logger']
} {
  return { clusterId: open.cluster.clusterId, logger: open.logger }
}
