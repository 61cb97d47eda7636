/** Every kind of change that can be asked for, as the plan functions of `ops` make it. */

import { join } from 'node:path'

import { PipelineError } from '../../core/index.ts'
import {
  type Change,
  type OffsetsScope,
  type PauseControl,
  planCopy,
  planCreateTopic,
  planDeleteGroups,
  planDeleteTopic,
  planGrowth,
  planPause,
  planPlace,
  planRedrive,
  planRemoveMembers,
  planReset,
  planSkip,
  planTopicConfigs,
  planTopicPartitions,
  readTopicScope,
  redriveAuditFile,
  type RedriveRequest,
  type ResetTo
} from '../../ops/index.ts'
import { type ChangeRequest, GROW_STEPS, type OffsetTarget } from '../api/changes.ts'
import { dispatcherSaid } from '../flow/flow-view.ts'
import { replayGroupOf } from './change-subjects.ts'
import type { Caller, ConsoleContext } from '../server/server-types.ts'

/** What planning works with. */
export interface PlanSurroundings {
  readonly context: ConsoleContext
  readonly pauses: PauseControl
  readonly caller: Caller
  /** Ends the look at the cluster. */
  readonly signal: AbortSignal
}

/** A change that was asked for. */
export interface AskedChange {
  readonly change: Change
  /** Names of its steps; empty = it has none. */
  readonly steps: readonly string[]
  /**
   * Plans the same once more, right before it is applied: for kinds that do not look again by themselves, and are
   * planned in no time.
   */
  readonly again?: () => Promise<Change>
}

/** How long rates are measured before a growth is judged, in milliseconds. */
const GROW_OBSERVE_MS = 5000

/**
 * Plans what was asked for, by looking only.
 *
 * @throws PipelineError `ERR_CONSOLE_REQUEST` if this console cannot do it, and those of `ops`.
 */
export async function planChange(request: ChangeRequest, around: PlanSurroundings): Promise<AskedChange> {
  switch (request.kind) {
    case 'partitions.grow':
      return { change: await growth(request, around), steps: growSteps(request) }
    case 'replay':
      return { change: await replay(request, around), steps: [] }
    case 'redrive':
      return { change: await redrive(request, around), steps: [] }
    case 'partition.pause':
    case 'partition.resume':
      return { change: await pause(request, around), steps: [] }
    case 'offsets.reset':
    case 'offsets.place':
    case 'offsets.skip':
    case 'offsets.copy':
    case 'groups.delete':
      return { change: await offsets(request, around), steps: [] }
    case 'groups.removeMembers':
    case 'topics.create':
    case 'topics.alter':
    case 'topics.delete': {
      const plan = (): Promise<Change> => topicOrMembers(request, around)
      return { change: await plan(), steps: [], again: plan }
    }
  }
}

type Of<K extends ChangeRequest['kind']> = Extract<ChangeRequest, { readonly kind: K }>

async function offsets(
  request: Of<'offsets.reset' | 'offsets.place' | 'offsets.skip' | 'offsets.copy' | 'groups.delete'>,
  { context, caller, signal }: PlanSurroundings
): Promise<Change> {
  const { cluster, admin } = context
  const open = { cluster, admin, signal }
  switch (request.kind) {
    case 'offsets.reset':
      return await planReset(open, {
        groupIds: [request.group],
        scope: scopeOf(request.topics),
        to: resetTo(request.to)
      })
    case 'offsets.place': {
      const stored = request.places.map(({ topic, partition, offset }) => ({
        topic,
        partition,
        groupId: undefined,
        stored: { offset: BigInt(offset), leaderEpoch: -1, metadata: '' }
      }))
      return await planPlace(open, { groupId: request.group, offsets: stored, title: 'Set' })
    }
    case 'offsets.skip': {
      const { group, topic, partition, offset, count } = request
      const records = Array.from({ length: count }, (_, index) => BigInt(offset) + BigInt(index))
      return await planSkip(open, {
        groupId: group,
        records: records.map(each => ({ topic, partition, offset: each })),
        isDispatcher: isDispatcherGroup(context, group),
        isContentHidden: caller.isMasked
      })
    }
    case 'offsets.copy': {
      const { from, to, topics } = request
      if (from === to) throw new PipelineError('ERR_CONSOLE_REQUEST', 'a group is not copied onto itself')
      return await planCopy(open, { from, to, scope: scopeOf(topics) })
    }
    case 'groups.delete':
      return await planDeleteGroups(open, [request.group])
  }
}

function scopeOf(topics: readonly string[]): OffsetsScope {
  return topics.length === 0 ? 'all' : topics.map(readTopicScope)
}

function resetTo(target: OffsetTarget): ResetTo {
  switch (target.to) {
    case 'datetime':
      return { kind: 'time', timestampMs: BigInt(target.atMs) }
    case 'offset':
      return { kind: 'offset', offset: BigInt(target.offset) }
    case 'shift':
      return { kind: 'shift', by: BigInt(target.by) }
    case 'earliest':
    case 'latest':
    case 'current':
      return { kind: target.to }
  }
}

/** Whether dispatchers of comporta read with a group: they can skip a record that others lie before. */
function isDispatcherGroup({ pipeline, instances }: ConsoleContext, groupId: string): boolean {
  if (pipeline?.dispatcher?.groupId === groupId) return true
  return instances.latest().some(look => dispatcherSaid(look)?.groupId === groupId)
}

async function topicOrMembers(
  request: Of<'groups.removeMembers' | 'topics.create' | 'topics.alter' | 'topics.delete'>,
  { context, signal }: PlanSurroundings
): Promise<Change> {
  const { cluster, admin } = context
  const open = { cluster, admin, signal }
  switch (request.kind) {
    case 'groups.removeMembers':
      return await planRemoveMembers(open, { groupId: request.group, members: request.members })
    case 'topics.create': {
      const { topic, partitions, replicationFactor, settings } = request
      const replicas = replicationFactor === undefined ? {} : { replicationFactor }
      return await planCreateTopic(open, { topic, partitionCount: partitions, ...replicas, configs: settings })
    }
    case 'topics.alter': {
      const wanted = Object.entries(request.settings).map(([name, value]) => [name, value ?? undefined] as const)
      return await planTopicConfigs(open, request.topic, Object.fromEntries(wanted))
    }
    case 'topics.delete':
      return await planDeleteTopic(open, request.topic)
  }
}

function growSteps({ isDrainedFirst }: Of<'partitions.grow'>): readonly string[] {
  return GROW_STEPS.filter(step => step !== 'drain' || isDrainedFirst === true)
}

async function growth(request: Of<'partitions.grow'>, { context, caller }: PlanSurroundings): Promise<Change> {
  const { cluster } = context
  const { kind: _, topic, count, ...options } = request
  const { plan } = await planTopicPartitions({ cluster, topic, observeMs: 0, sampleRecords: 0 })
  const change = await planGrowth({
    cluster,
    topic,
    to: count,
    observeMs: GROW_OBSERVE_MS,
    caps: plan.caps,
    ...options
  })
  if (!caller.isMasked) return change
  // Examples of keys that move are content of records.
  const effects = change.plan.effects.map(each => (each.what.startsWith('key ') ? { ...each, what: 'key ***' } : each))
  const { snapshot } = change
  return { plan: { ...change.plan, effects }, snapshot, apply: progress => change.apply(progress) }
}

async function replay(request: Of<'replay'>, { context }: PlanSurroundings): Promise<Change> {
  const { pipeline, replay: planReplay } = context
  const live = pipeline?.dispatcher
  if (planReplay === undefined || live === undefined || live.groupId !== request.group) {
    const why =
      planReplay === undefined || live === undefined
        ? 'a replay needs the pipeline file with its dispatcher: start the console beside it'
        : `only the topics of the pipeline’s dispatcher are replayed, whose group is ${live.groupId}`
    throw new PipelineError('ERR_CONSOLE_REQUEST', why)
  }
  const { topics, fromMs, toMs, isRestarted = false } = request
  const groupId = replayGroupOf(request)
  if (groupId === live.groupId) {
    throw new PipelineError('ERR_CONSOLE_REQUEST', `${groupId} is the group of the live records: name another`)
  }
  const foreign = topics.find(topic => !live.topics.includes(topic))
  if (foreign !== undefined) {
    const named = live.topics.join(', ')
    throw new PipelineError('ERR_CONSOLE_REQUEST', `${foreign} is not one of the dispatcher’s topics (${named})`)
  }
  if (fromMs !== null && toMs !== null && toMs <= fromMs) {
    throw new PipelineError('ERR_CONSOLE_REQUEST', 'the end of a replay lies behind its beginning')
  }
  return await planReplay({ groupId, topics, fromMs, toMs, isRestarted })
}

async function redrive(request: Of<'redrive'>, { context, caller, signal }: PlanSurroundings): Promise<Change> {
  const { cluster, admin, clock, logger, undo } = context
  const { topic, filter, ratePerSecond, to, timestamp } = request
  const { fromMs, toMs, letters } = filter
  // In another topic other masks hold: what is hidden from somebody must not be sent where it can be read.
  if (to !== undefined && caller.isMasked) {
    const message = `${caller.user} does not see all of records, and may redrive them only to where they came from`
    throw new PipelineError('ERR_CONSOLE_FORBIDDEN', message)
  }
  const wish: RedriveRequest = {
    deadLetterTopic: topic,
    by: `${caller.user} (console)`,
    ...(timestamp === undefined ? {} : { timestamp }),
    ...(to === undefined ? {} : { to }),
    ...(ratePerSecond === null ? {} : { ratePerSecond }),
    ...(filter.class === undefined ? {} : { errorClasses: [filter.class] }),
    ...(filter.originTopic === undefined ? {} : { originTopics: [filter.originTopic] }),
    ...(fromMs === undefined ? {} : { since: { at: 'time', timestampMs: fromMs } }),
    ...(toMs === undefined ? {} : { until: { at: 'time', timestampMs: toMs } }),
    ...(letters === undefined
      ? {}
      : { letters: letters.map(each => ({ partition: each.partition, offset: BigInt(each.offset) })) })
  }
  // Where the command line keeps it as well.
  const audit = redriveAuditFile(join(undo.folder, '..', 'redrive', `${topic}.ndjson`))
  const onTrouble = (text: string): void => logger.warn({ topic, text }, 'a dead letter was left out')
  const open = { cluster, admin, clock, audit, onTrouble }
  const change = await planRedrive({ ...open, signal }, wish)
  return { plan: change.plan, snapshot: change.snapshot, apply: progress => change.apply(progress) }
}

async function pause(
  request: Of<'partition.pause' | 'partition.resume'>,
  { pauses }: PlanSurroundings
): Promise<Change> {
  const { group: groupId, topic, partition, kind } = request
  return await planPause(pauses, { groupId, topic, partition, isPaused: kind === 'partition.pause' })
}
