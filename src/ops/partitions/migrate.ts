/**
 * Runs a migration: looks, lets `decideMigration` decide, writes the state, does what was decided, waits.
 *
 * The state is on disk before anything is created, so that a process that is killed at any instant goes on with the
 * same command. Each look asks for the ends of the old topic before those of the new one: what is then not in the old
 * topic yet is younger than all that was in the new one.
 */

import { Admin, type Cluster, type TopicPartition } from '../../client/index.ts'
import { isRetriable, messageOf, PipelineError, sleep } from '../../core/index.ts'
import { kafkaErrorName } from '../../protocol/index.ts'
import type { ApplyContext, Change, ChangePlan, ChangeResult, Json } from '../change/change.ts'
import { scanCluster } from '../scan/scan-cluster.ts'
import type { ClusterScan, ScannedGroup } from '../scan/scan-types.ts'
import { movedShare } from './key-movement.ts'
import {
  decideMigration,
  isOrderProven,
  type MigrationDecision,
  type MigrationGroup,
  type MigrationHold,
  type MigrationLook,
  type MigrationState,
  type MigrationTopic,
  newMigration
} from './migration.ts'
import { MigrationFile } from './migration-file.ts'
import { readTopicFacts, type TopicFacts, topicWarnings } from './topic-facts.ts'

/** What is wished. */
export interface MigrateRequest {
  readonly cluster: Cluster
  readonly topic: string
  /** Partitions of the new topic. */
  readonly partitions: number
  /** Default: the topic with `-v2`, or one more where it ends in a version. */
  readonly target?: string
  /** Default `producers`. */
  readonly hold?: MigrationHold
  /** Groups that have to drain the old topic. Default: all of its groups that have members. */
  readonly groups?: readonly string[]
  /** File of the state. */
  readonly stateFile: string
  /** Silence of the old topic that counts as its end, in milliseconds. Default 5,000. */
  readonly quietMs?: number
  /**
   * Longest time from the last record of the old topic to the new topic, in milliseconds. Default 20,000: below
   * `kafka.requestTimeoutMs`, for which a producer waits for its topic.
   */
  readonly pauseMaxMs?: number
  readonly areProducersSwitched?: boolean
  /** Time between looks, in milliseconds. Default 500. */
  readonly intervalMs?: number
  /** Ends the whole if it takes longer, in milliseconds; the same command goes on. Default 4 hours. */
  readonly timeoutMs?: number
}

const UNKNOWN_TOPIC = 3
/** Characters of the name of a retry topic that are surely those of its topic and group. */
const RETRY_PREFIX_MAX = 200
const defaults = { quietMs: 5000, pauseMaxMs: 20_000, intervalMs: 500, timeoutMs: 14_400_000 }

/** `orders` → `orders-v2`, `orders-v2` → `orders-v3`. */
export function nextTopicName(topic: string): string {
  const found = /^(.*)-v(\d{1,6})$/.exec(topic)
  return found === null ? `${topic}-v2` : `${found[1]}-v${Number(found[2]) + 1}`
}

/**
 * Plans a migration, or goes on with the one that the state file knows.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND` if the topic or a group does not exist; of `MigrationFile.read`.
 */
export async function planMigration(request: MigrateRequest): Promise<Change> {
  const { cluster, topic } = request
  const admin = new Admin(cluster)
  const file = new MigrationFile(request.stateFile)
  const saved = await file.read()
  const facts = await readTopicFacts(cluster, admin, topic)
  const state = saved === undefined ? await freshState(request, facts, cluster.clock.now()) : withTimes(saved, request)
  const isResumed = saved !== undefined
  const { topics } = await admin.describeTopics([state.target])
  const isTargetThere = (topics[0]?.errorCode ?? UNKNOWN_TOPIC) === 0
  const blockers = saved === undefined ? [] : otherThan(saved, request, file.path)
  if (!isResumed && isTargetThere)
    blockers.push(`${state.target} exists: delete it (comporta topics delete) or name another with --target`)
  if (facts.configs === undefined)
    blockers.push(
      `the settings of ${topic} cannot be seen (right DESCRIBE_CONFIGS): the new topic could not have the same`
    )
  if (state.target === topic) blockers.push('the new topic has to have another name')
  const idle = facts.groups.filter(
    ({ members = [], groupId }) => members.length === 0 && !state.groups.includes(groupId)
  )
  const plan: ChangePlan = {
    kind: 'partitions-migrate',
    confirmWord: topic,
    summary: summaryOf(state, facts, isResumed),
    effects: [
      {
        what: `topic ${state.target}`,
        before: isTargetThere ? 'there' : '',
        after: `${state.partitions} partitions, settings of ${topic}`
      },
      {
        what: `producers of ${topic}`,
        before: topic,
        after: state.target,
        note: 'you switch them: route or topic of the pipeline file, restart'
      },
      ...state.groups.map(groupId => ({
        what: `group ${groupId}`,
        before: topic,
        after: state.target,
        note: groupNote(state.hold)
      }))
    ],
    warnings: [
      ...topicWarnings(facts),
      ...idle.map(
        ({ groupId }) =>
          `group ${groupId} has no members and is not waited for: let it drain ${topic} before it reads ${state.target}`
      ),
      ...(await autoCreateWarning(admin, facts, state.target)),
      ...(state.groups.length === 0 ? ['no group reads the topic: only producers are waited for'] : [])
    ],
    blockers,
    undo: { kind: 'possible' }
  }
  const run = new MigrationRun(request, {
    admin,
    file,
    configs: facts.configs ?? {},
    replicationFactor: facts.replicationFactor
  })
  const snapshot: Json = { topic, target: state.target, partitions: state.partitions, stateFile: file.path }
  return { plan, snapshot, apply: context => run.run(state, context) }
}

/** What is asked otherwise than the migration under way has it: one sentence each. */
function otherThan(
  { topic, partitions, hold, target }: MigrationState,
  request: MigrateRequest,
  path: string
): string[] {
  if (topic !== request.topic) return [`${path} is the state of a migration of ${topic}`]
  const asked = [
    ['--to', partitions, request.partitions],
    ['--hold', hold, request.hold],
    ['--target', target, request.target]
  ] as const
  return asked
    .filter(([, known, wanted]) => wanted !== undefined && wanted !== known)
    .map(([option, known]) => `a migration with ${option} ${known} is under way (${path}): go on with the same`)
}

/** Times may be other ones when a migration goes on, above all after it has stopped because producers waited. */
function withTimes(saved: MigrationState, { quietMs, pauseMaxMs }: MigrateRequest): MigrationState {
  return { ...saved, quietMs: quietMs ?? saved.quietMs, pauseMaxMs: pauseMaxMs ?? saved.pauseMaxMs }
}

async function freshState(request: MigrateRequest, facts: TopicFacts, nowMs: number): Promise<MigrationState> {
  const withMembers = facts.groups.filter(({ members = [] }) => members.length > 0).map(({ groupId }) => groupId)
  for (const groupId of request.groups ?? []) {
    if (facts.groups.some(group => group.groupId === groupId)) continue
    throw new PipelineError('ERR_OPS_NOT_FOUND', `group ${groupId} does not read ${facts.topic}`)
  }
  const plan = {
    topic: facts.topic,
    target: request.target ?? nextTopicName(facts.topic),
    partitions: request.partitions,
    hold: request.hold ?? 'producers',
    groups: request.groups ?? withMembers,
    quietMs: request.quietMs ?? defaults.quietMs,
    pauseMaxMs: request.pauseMaxMs ?? defaults.pauseMaxMs,
    areProducersSwitched: request.areProducersSwitched === true
  }
  return newMigration(
    plan,
    facts.scanned.partitions.map(({ highWatermark }) => highWatermark),
    nowMs
  )
}

/** What is needed besides the request. */
interface RunParts {
  readonly admin: Admin
  readonly file: MigrationFile
  readonly configs: Readonly<Record<string, string>>
  readonly replicationFactor: number
}

class MigrationRun {
  readonly #request: MigrateRequest
  readonly #parts: RunParts

  constructor(request: MigrateRequest, parts: RunParts) {
    this.#request = request
    this.#parts = parts
  }

  async run(first: MigrationState, { onProgress, signal }: ApplyContext): Promise<ChangeResult> {
    const { clock } = this.#request.cluster
    const { intervalMs = defaults.intervalMs, timeoutMs = defaults.timeoutMs, areProducersSwitched } = this.#request
    const deadlineMs = clock.monotonicMs() + timeoutMs
    let state = areProducersSwitched === true ? { ...first, areProducersSwitched } : first
    let said = ''
    await this.#parts.file.write(state)
    while (signal?.aborted !== true && clock.monotonicMs() < deadlineMs) {
      const decision = await this.#next(state)
      if (decision.say !== said) onProgress?.(`${decision.state.phase}: ${decision.say}`)
      said = decision.say
      if (decision.state !== state) await this.#parts.file.write(decision.state)
      const phaseBefore = state.phase
      state = decision.state
      if (decision.action === 'stop') return stopped(decision)
      if (decision.action === 'done') return done(decision)
      if (decision.action === 'create') await this.#create(state)
      if (decision.action === 'wait' && state.phase === phaseBefore) await sleep(clock, intervalMs, signal)
    }
    const why = signal?.aborted === true ? 'stopped' : 'not done in time'
    const summary = `${why} while ${state.phase}: the same command goes on from here (${this.#parts.file.path}).`
    return { isComplete: false, summary, failures: [], details: detailsOf(state) }
  }

  /** A cluster that is away for a moment ends nothing: what was decided is on disk. */
  async #next(state: MigrationState): Promise<MigrationDecision> {
    try {
      return decideMigration(state, await this.#look(state))
    } catch (error) {
      if (!isRetriable(error)) throw error
      return { state, action: 'wait', say: `the cluster does not answer: ${messageOf(error)}` }
    }
  }

  async #create({ target, partitions }: MigrationState): Promise<void> {
    const { admin, configs, replicationFactor } = this.#parts
    const [result] = await admin.createTopics([
      { topic: target, partitionCount: partitions, replicationFactor, configs }
    ])
    const { errorName = 'no answer', errorMessage } = result ?? {}
    // There already: a run that was killed had created it; the next look counts its partitions.
    if (errorName === 'NONE' || errorName === 'TOPIC_ALREADY_EXISTS') return
    throw new PipelineError(
      'ERR_OPS_REFUSED',
      `${target} was not created: ${errorName} ${errorMessage ?? ''}`.trimEnd()
    )
  }

  async #look({ topic, target, groups }: MigrationState): Promise<MigrationLook> {
    const { cluster } = this.#request
    const { admin } = this.#parts
    const { topics } = await admin.listTopics()
    const countOf = (name: string): number => topics.find(each => each.topic === name)?.partitions.length ?? 0
    const names = [topic, target, ...topics.map(each => each.topic).filter(name => isRetryTopic(name, topic))]
    // The scan reads offsets before ends: what is parked is in its retry topic before the offset behind it is
    // committed.
    const scan = groups.length === 0 ? undefined : await scanCluster(cluster, { groups, topics: names })
    const source = await this.#topic(topic, countOf(topic))
    const next = await this.#topic(target, countOf(target))
    const partitionCount = source?.ends.length ?? 0
    return {
      atMs: cluster.clock.now(),
      source,
      target: next,
      groups: (scan?.groups ?? []).map(group => groupLook(group, { topic, target, partitionCount, scan }))
    }
  }

  async #topic(topic: string, count: number): Promise<MigrationTopic | undefined> {
    if (count === 0) return undefined
    const { admin } = this.#parts
    const all = Array.from({ length: count }, (_, partition): TopicPartition => ({ topic, partition }))
    const starts = await admin.listOffsets(all.map(each => ({ ...each, at: 'earliest' as const })))
    const ends = await admin.listOffsets(all.map(each => ({ ...each, at: 'latest' as const })))
    const failed = [...starts, ...ends].find(({ errorCode }) => errorCode !== 0)
    if (failed !== undefined) {
      const message = `offsets of ${topic}-${failed.partition}: ${kafkaErrorName(failed.errorCode)}`
      throw new PipelineError('ERR_OPS_REFUSED', message)
    }
    // ListOffsets was answered by a leader of each.
    return { starts: starts.map(({ offset }) => offset), ends: ends.map(({ offset }) => offset), areAllLed: true }
  }
}

interface GroupPlace {
  readonly topic: string
  readonly target: string
  readonly partitionCount: number
  readonly scan: ClusterScan | undefined
}

/** Whether a topic is named as a retry topic of another: `<topic>.<group>.retry-<delay>`. */
function isRetryTopic(name: string, topic: string): boolean {
  return name.startsWith(`${topic}.`) && /\.retry-\d+(ms|s|m|h)$/.test(name)
}

/** Records in the retry topics of a group that it has not finished. */
function retryingOf({ groupId, offsets }: ScannedGroup, { topic, scan }: GroupPlace): bigint {
  // A long name is cut, and ends in a hash.
  const prefix = `${topic}.${groupId.replace(/[^a-zA-Z0-9._-]/g, '_')}`.slice(0, RETRY_PREFIX_MAX)
  let left = 0n
  for (const { topic: name, partitions } of scan?.topics.values() ?? []) {
    if (!isRetryTopic(name, topic) || !name.startsWith(prefix)) continue
    for (const { partition, logStartOffset, highWatermark } of partitions) {
      const committed = offsets.find(each => each.topic === name && each.partition === partition)?.committed
      const from = committed === undefined || committed < logStartOffset ? logStartOffset : committed
      if (highWatermark > from) left += highWatermark - from
    }
  }
  return left
}

function groupLook(group: ScannedGroup, place: GroupPlace): MigrationGroup {
  const { topic, target, partitionCount } = place
  const { members = [], offsets } = group
  const committed = new Map(offsets.filter(each => each.topic === topic).map(each => [each.partition, each.committed]))
  const owned = new Set(
    members.flatMap(({ assignment }) => assignment.filter(each => each.topic === target)).map(each => each.partition)
  )
  return {
    groupId: group.groupId,
    state: group.state,
    memberCount: members.length,
    wantsTarget: wantsOf(members, target),
    committed: Array.from({ length: partitionCount }, (_, partition) => committed.get(partition)),
    retrying: retryingOf(group, place),
    targetOwned: owned.size,
    hasReadTarget: offsets.some(each => each.topic === target && each.committed > 0n),
    ...(group.problem === undefined ? {} : { problem: group.problem })
  }
}

function wantsOf(members: NonNullable<ScannedGroup['members']>, target: string): MigrationGroup['wantsTarget'] {
  const said = members.flatMap(({ subscription }) =>
    subscription === undefined ? [] : [subscription.includes(target)]
  )
  if (said.length === 0 || said.length < members.length) return 'unknown'
  if (said.every(Boolean)) return 'all'
  return said.some(Boolean) ? 'some' : 'none'
}

function stopped({ state, say }: MigrationDecision): ChangeResult {
  return { isComplete: false, summary: `Stopped while ${state.phase}.`, failures: [say], details: detailsOf(state) }
}

function done({ state, say }: MigrationDecision): ChangeResult {
  const isProven = isOrderProven(state)
  const pause = state.pauseMs === undefined ? '' : ` Producers waited for about ${(state.pauseMs / 1000).toFixed(1)} s.`
  return {
    isComplete: true,
    summary: `${say}.${pause} Take ${state.topic} out of all pipeline files; delete it when its retention has passed.`,
    failures: isProven ? [] : [`${state.stragglers} records came to ${state.topic} behind the fence`],
    details: detailsOf(state)
  }
}

function detailsOf(state: MigrationState): Json {
  const { topic, target, partitions, phase, stragglers, pauseMs, fence } = state
  const isProven = isOrderProven(state)
  return {
    topic,
    target,
    partitions,
    phase,
    stragglers,
    pauseMs: pauseMs ?? null,
    fence: fence ?? null,
    isOrderProven: isProven
  }
}

function summaryOf(
  { topic, target, partitions, hold, phase }: MigrationState,
  facts: TopicFacts,
  isResumed: boolean
): string {
  const share = Math.round(movedShare(facts.partitionCount, partitions) * 100)
  const waits =
    hold === 'producers'
      ? 'producers wait from their switch until all groups have drained it'
      : `producers wait for the switch only; groups read ${target} after they have drained ${topic}`
  const text =
    `${topic} (${facts.partitionCount} partitions) is replaced by ${target} (${partitions}): ${share} % of the ` +
    'keys get ' +
    `another partition, each keeps its order; ${waits}.`
  return isResumed ? `Goes on in the phase "${phase}". ${text}` : text
}

function groupNote(hold: MigrationHold): string {
  return hold === 'producers'
    ? 'add the new topic beside the old one before producers are switched'
    : 'add the new topic when told'
}

async function autoCreateWarning(admin: Admin, { scan }: TopicFacts, target: string): Promise<string[]> {
  const [broker] = scan.brokers
  if (broker === undefined) return []
  try {
    const [described] = await admin.describeConfigs([{ type: 'broker', name: String(broker.nodeId) }])
    const value = described?.entries.find(({ name }) => name === 'auto.create.topics.enable')?.value
    if (value !== 'true') return []
    return [
      'brokers create topics by themselves (auto.create.topics.enable): producers other than Comporta’s would ' +
        `create ${target} ` +
        'when they are switched, and the migration would stop; stop such producers for the switch'
    ]
  } catch {
    // Without the right to see brokers; a topic that somebody else creates stops the migration in any case.
    return []
  }
}
