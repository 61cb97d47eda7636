/** `comporta replay`: a part of a topic through the dispatcher's path again, under a group of its own. */

import { type Command, InvalidArgumentError } from 'commander'

import type { Admin } from '../../client/index.ts'
import type { PipelineConfig } from '../../config/index.ts'
import { PipelineError } from '../../core/index.ts'
import type { ReplayBound, ReplayPlan } from '../../dispatcher/index.ts'
import type { OffsetsBefore } from '../../ops/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { confirmByTyping } from '../confirm.ts'
import { loadPipeline, loggerFor, needSection } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { count } from '../operations/format.ts'
import { isoTimeMs } from '../operations/iso-time.ts'
import { endText, nameOf, overwrittenOf, type ReplayTotals, resultOf, runReplay } from '../operations/replay-run.ts'
import { type ChangeCommandOptions, openUndoStore } from '../operations/run-change.ts'
import { jsonLine, tableOf } from '../operations/table.ts'
import { goOnWithoutReader } from '../process/lost-reader.ts'
import { onFirstSignal } from '../process/signals.ts'
import { connectCluster, dispatcherWithEndpoint } from '../wiring.ts'
import type { CommandAction } from './action.ts'
import { collect, collectPartition } from '../operations/collect.ts'

interface ReplayOptions extends ChangeCommandOptions {
  readonly from: ReplayBound
  readonly to: ReplayBound
  readonly topic?: readonly string[]
  readonly partition?: readonly number[]
  readonly group?: string
  readonly restart?: boolean
  readonly deleteGroup?: boolean
}

const EXAMPLES = `
Examples:
  comporta replay --from 2026-03-01T09:00:00Z --to 2026-03-01T10:00:00Z --dry-run
  comporta replay --from earliest --to 2026-03-01T10:00:00Z --topic mt-c400 --group audit-again --yes`

/** Adds the command. */
export function addReplay(program: Command, action: CommandAction): void {
  program
    .command('replay')
    .summary('send a part of the topics to the target again')
    .description(
      'Reads the records between two times from the dispatcher’s topics and sends them to its target, by the same ' +
        'batches, retries and dead letters, under a consumer group of its own: the offsets of the live group are not ' +
        'touched. What was stopped goes on where it was when it is started again with the same bounds.'
    )
    .requiredOption(
      '--from <time>',
      'first record: a time (ISO 8601, or milliseconds since 1970), or "earliest"',
      readBound
    )
    .requiredOption('--to <time>', 'end: a time, not itself replayed, or "latest" as of now', readBound)
    .option('--topic <name>', 'only this topic of the dispatcher; may be given again', collect)
    .option('--partition <number>', 'only this partition; may be given again', collectPartition)
    .option('--group <name>', 'group of the replay (default: the dispatcher’s group with "-replay")')
    .option('--restart', 'begin anew, whatever an earlier run of the group has done')
    .option('--delete-group', 'delete the group of the replay when all is replayed')
    .option('--dry-run', 'show the plan and change nothing')
    .option('--yes', 'do not ask')
    .option('--undo-dir <folder>', 'where the way back is kept (default: .comporta/undo beside the pipeline file)')
    .addHelpText('after', EXAMPLES)
    .action(action(replay))
}

async function replay(options: ReplayOptions): Promise<number> {
  const pipeline = await loadPipeline(options)
  const section = dispatcherWithEndpoint(pipeline) ?? needSection(pipeline, 'dispatcher', options)
  const groupId = options.group ?? `${section.groupId}-replay`
  if (groupId === section.groupId) {
    throw new PipelineError('ERR_CLI_USAGE', `${groupId} is the group of the live records: name another for the replay`)
  }
  for (const topic of options.topic ?? []) {
    if (section.topics.includes(topic)) continue
    throw new PipelineError('ERR_CLI_USAGE', `${topic} is not one of dispatcher.topics (${section.topics.join(', ')})`)
  }
  const logger = loggerFor('replay', options, pipeline.telemetry.logs)
  const { Admin } = await import('../../client/index.ts')
  const { planReplay } = await import('../../dispatcher/index.ts')
  const cluster = await connectCluster(pipeline.kafka, 'replay', logger)
  try {
    const admin = new Admin(cluster)
    const plan = await planReplay(admin, {
      groupId,
      topics: options.topic ?? section.topics,
      ...(options.partition === undefined ? {} : { partitions: options.partition }),
      from: options.from,
      to: options.to,
      isRestarted: options.restart === true
    })
    const before = await admin.fetchGroupOffsets(groupId)
    if (options.dryRun !== true) goOnWithoutReader()
    if (options.dryRun === true || options.json !== true) printPlan(plan, options)
    const overwritten = overwrittenOf(plan, before)
    if (overwritten > 0) {
      process.stderr.write(
        `warning: group ${groupId} has offsets in ${overwritten} of these partitions, which are moved to their ` +
          'beginning; comporta undo brings them back\n'
      )
    }
    if (options.dryRun === true) return EXIT.ok
    if (options.yes !== true && !(await confirmByTyping(groupId))) {
      process.stderr.write('Nothing was changed.\n')
      return EXIT.failed
    }
    return await applyAndTell(plan, options, { pipeline, admin, cluster, logger, before })
  } finally {
    await cluster.close()
  }
}

interface Surroundings {
  /** All that the group of the replay has committed. */
  readonly before: OffsetsBefore
  readonly pipeline: PipelineConfig
  readonly admin: Admin
  readonly cluster: Awaited<ReturnType<typeof connectCluster>>
  readonly logger: Logger
}

/** As every change: the way back goes to disk first, and is told at the end. */
async function applyAndTell(plan: ReplayPlan, options: ReplayOptions, around: Surroundings): Promise<number> {
  const { applyChange, replayChange } = await import('../../ops/index.ts')
  const { before, cluster, logger } = around
  const stop = new AbortController()
  const ignoreSignals = onFirstSignal(logger, () => stop.abort())
  let totals: ReplayTotals | undefined
  const change = replayChange(plan, before, async ({ onProgress = () => undefined }) => {
    totals = await runReplay(plan, { ...around, stop, onProgress })
    return resultOf(totals)
  })
  try {
    const { record } = await applyChange(change, {
      store: await openUndoStore(options),
      clusterId: cluster.clusterId,
      onProgress: text => process.stderr.write(`${text}\n`)
    })
    const isDone = totals?.isDone === true
    const isDeleted = isDone && options.deleteGroup === true && (await deleteGroup(plan, around))
    if (totals !== undefined) printEnd(totals, plan, { isJson: options.json === true, undoId: record.id, isDeleted })
    return isDone ? EXIT.ok : EXIT.interrupted
  } finally {
    ignoreSignals()
  }
}

/** Only a group that has nothing but the replay: another one's offsets would go with it. */
async function deleteGroup({ groupId, partitions }: ReplayPlan, { admin, before }: Surroundings): Promise<boolean> {
  const own = new Set(partitions.map(nameOf))
  const others = before.filter(each => each.offset >= 0n && !own.has(nameOf(each)))
  if (others.length > 0) {
    process.stderr.write(`warning: group ${groupId} was not deleted: it has offsets of other partitions, too\n`)
    return false
  }
  const [deleted] = await admin.deleteGroups([groupId])
  if (deleted?.errorCode === 0) return true
  process.stderr.write(`warning: group ${groupId} was not deleted: ${deleted?.errorName ?? 'no answer'}\n`)
  return false
}

function printPlan(plan: ReplayPlan, options: ReplayOptions): void {
  if (options.json === true) {
    process.stdout.write(jsonLine(plan))
    return
  }
  const resumed = plan.isResumed ? ', going on where an earlier run ended (--restart begins anew)' : ''
  const table = tableOf(
    [
      { title: 'partition', text: each => `${each.topic}-${each.partition}` },
      { title: 'from', text: each => count(each.from), align: 'right' },
      { title: 'to', text: each => count(each.to), align: 'right' },
      {
        title: 'to replay',
        text: each => count(each.position < each.to ? each.to - each.position : 0n),
        align: 'right'
      }
    ],
    plan.partitions
  )
  process.stdout.write(`${table}up to ${count(plan.offsetCount)} records as group ${plan.groupId}${resumed}\n`)
}

function printEnd(
  totals: ReplayTotals,
  { groupId }: ReplayPlan,
  end: { readonly isJson: boolean; readonly undoId: string; readonly isDeleted: boolean }
): void {
  if (end.isJson) {
    process.stdout.write(jsonLine({ groupId, ...totals, undoId: end.undoId, isGroupDeleted: end.isDeleted }))
    return
  }
  const isLeft = totals.isDone && !end.isDeleted
  const left = isLeft ? `The group ${groupId} is still there; to delete it: comporta undo ${end.undoId}\n` : ''
  process.stdout.write(`${endText(totals)}\n${left}`)
}

function readBound(text: string): ReplayBound {
  if (text === 'earliest' || text === 'latest') return text
  if (/^\d{1,16}$/.test(text)) return { timestampMs: BigInt(text) }
  const timestampMs = isoTimeMs(text)
  if (timestampMs !== undefined) return { timestampMs: BigInt(timestampMs) }
  throw new InvalidArgumentError('A time is like 2026-03-01T09:00:00Z (with its zone), or milliseconds since 1970.')
}
