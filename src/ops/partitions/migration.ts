/**
 * A topic gets more partitions and every key keeps its order: by way of a new topic. Pure.
 *
 * ```
 *                 hold: producers                              hold: consumers
 *   switching   producers are told to write to the new topic, which is not there yet: those that were told wait
 *      │        the old topic is quiet: its ends are the fence
 *      ▼
 *   draining ─ every group read up to the fence ─▶ creating     creating ─ the topic is there ─▶ draining
 *   creating ─ the topic is there ─▶ settling                   draining ─ up to the fence ─▶ opening
 *                                                               opening  ─ groups read the new one ─▶ settling
 *   settling ─ every partition has its reader, nothing came behind the fence ─▶ done
 * ```
 *
 * The existence of the new topic is the gate, and Kafka keeps it: nothing can be written to it before the old one is
 * quiet, whatever the clients are. So every record of the old topic is older than every one of the new. `hold:
 * producers` creates it after the drain: nobody can read it too early either, groups read both topics from the start,
 * and producers wait for the whole time. `hold: consumers` creates it at the fence, so that producers wait for the
 * quiet time only, and groups begin to read it when they have drained the old one; that they do not is checked.
 *
 * Invariants: the new topic is created once, in `creating`, which is on disk before. Records that come to the old topic
 * behind the fence are never lost: before the new one is there the fence moves on, afterwards they are counted, and the
 * verdict is that the order of their keys is not proven.
 */

import { seconds } from '../words/counted.ts'

/** How far a migration is. */
export type MigrationPhase = 'switching' | 'draining' | 'creating' | 'opening' | 'settling' | 'done'

/** Who waits between the fence and the end of the drain. */
export type MigrationHold = 'producers' | 'consumers'

/** Phases that may follow each other. A fence that was too early leads back. */
export const MIGRATION_STEPS: Readonly<Record<MigrationPhase, readonly MigrationPhase[]>> = {
  switching: ['draining', 'creating'],
  draining: ['switching', 'creating', 'opening'],
  creating: ['switching', 'draining', 'settling'],
  opening: ['settling'],
  settling: ['done'],
  done: []
}

/** All that a migration knows; as JSON on disk, offsets as decimal text. */
export interface MigrationState {
  readonly topic: string
  readonly target: string
  /** Partitions of the new topic. */
  readonly partitions: number
  readonly hold: MigrationHold
  /** Groups that have to drain the old topic. */
  readonly groups: readonly string[]
  readonly quietMs: number
  /** Longest time that producers may wait, in milliseconds. */
  readonly pauseMaxMs: number
  /** An operator says that all producers were switched: silence then needs no proof. */
  readonly areProducersSwitched: boolean
  readonly phase: MigrationPhase
  readonly startedAtMs: number
  /** Ends of the old topic by partition at the last look, and since when they are so. */
  readonly ends: readonly string[]
  readonly quietSinceMs: number
  /** Records that came to the old topic from the first look to the last move of its ends. */
  readonly arrived: string
  /** Ends of the old topic when it was fenced. */
  readonly fence: readonly string[] | undefined
  /** When the new topic was seen with all its leaders; `undefined` = not yet. */
  readonly createdAtMs: number | undefined
  /** Records that came to the old topic after the new one had been created. */
  readonly stragglers: string
  /** How long producers found no topic that takes their records, in milliseconds, as far as it can be seen. */
  readonly pauseMs: number | undefined
}

/** What one look at the cluster shows. Times in milliseconds since 1970. */
export interface MigrationLook {
  readonly atMs: number
  /** `undefined` = the old topic is gone. */
  readonly source: MigrationTopic | undefined
  /** `undefined` = the new topic is not there. */
  readonly target: MigrationTopic | undefined
  readonly groups: readonly MigrationGroup[]
}

/** A topic in a look, by partition. */
export interface MigrationTopic {
  readonly starts: readonly bigint[]
  readonly ends: readonly bigint[]
  readonly areAllLed: boolean
}

/** A group in a look. */
export interface MigrationGroup {
  readonly groupId: string
  readonly state: string
  readonly memberCount: number
  /** Whether all, some or none of its members want the new topic; `unknown` where it does not say. */
  readonly wantsTarget: 'all' | 'some' | 'none' | 'unknown'
  /** Next record to read of the old topic, by partition; `undefined` = nothing committed. */
  readonly committed: readonly (bigint | undefined)[]
  /** Records of the old topic that wait in a retry topic: their keys are not drained, although the topic is. */
  readonly retrying: bigint
  /** Partitions of the new topic that have a reader. */
  readonly targetOwned: number
  /** Whether it has committed anything of the new topic. */
  readonly hasReadTarget: boolean
  readonly problem?: string
}

/** What to do now. `stop`: it cannot go on without a person; the state stays, the same command goes on. */
export interface MigrationDecision {
  readonly state: MigrationState
  readonly action: 'wait' | 'create' | 'stop' | 'done'
  /** For people. */
  readonly say: string
}

/** So many records should have come in the quiet time for silence to be no accident. */
const PROOF_RECORDS = 20

/** A migration before its first step. */
export function newMigration(
  plan: Pick<
    MigrationState,
    'topic' | 'target' | 'partitions' | 'hold' | 'groups' | 'quietMs' | 'pauseMaxMs' | 'areProducersSwitched'
  >,
  ends: readonly bigint[],
  nowMs: number
): MigrationState {
  return {
    ...plan,
    phase: 'switching',
    startedAtMs: nowMs,
    ends: ends.map(String),
    quietSinceMs: nowMs,
    arrived: '0',
    fence: undefined,
    createdAtMs: undefined,
    stragglers: '0',
    pauseMs: undefined
  }
}

/** Decides what follows from one look. */
export function decideMigration(state: MigrationState, look: MigrationLook): MigrationDecision {
  if (look.source === undefined) return stop(state, `${state.topic} is gone: nothing can be moved`)
  if (look.source.ends.length !== state.ends.length)
    return stop(state, `${state.topic} got other partitions meanwhile: its keys have moved already`)
  const problem = look.groups.find(group => group.problem !== undefined)
  if (problem !== undefined) return wait(state, `group ${problem.groupId} cannot be seen: ${problem.problem ?? ''}`)
  const seen = track(state, look.source, look.atMs)
  switch (state.phase) {
    case 'switching':
      return whileSwitching(seen, look)
    case 'draining':
      return whileDraining(seen, look)
    case 'creating':
      return whileCreating(seen, look)
    case 'opening':
      return whileOpening(seen, look)
    case 'settling':
      return whileSettling(seen, look)
    case 'done':
      return { state: seen, action: 'done', say: 'done' }
  }
}

/** Takes note of what came to the old topic. */
function track(state: MigrationState, source: MigrationTopic, atMs: number): MigrationState {
  const before = state.ends.reduce((sum, end) => sum + BigInt(end), 0n)
  const came = source.ends.reduce((sum, end) => sum + end, 0n) - before
  if (came === 0n) return state
  return {
    ...state,
    ends: source.ends.map(String),
    quietSinceMs: atMs,
    arrived: String(BigInt(state.arrived) + came),
    stragglers: state.createdAtMs === undefined ? '0' : String(BigInt(state.stragglers) + came)
  }
}

function whileSwitching(state: MigrationState, look: MigrationLook): MigrationDecision {
  const { topic, target, quietMs } = state
  if (look.target !== undefined) {
    const why = 'a cluster that creates topics by itself (auto.create.topics.enable), or a pipeline file that lists it'
    return stop(state, `${target} is there already: ${why}; delete it while it is empty, or name another`)
  }
  const quietForMs = look.atMs - state.quietSinceMs
  const unready = readinessOf(state, look)
  if (unready !== undefined) {
    // Whoever was switched waits for what nothing here can bring about.
    const isLate = quietForMs > state.pauseMaxMs && isSilenceProof(state)
    return isLate ? stop(state, tooLong(state, quietForMs, unready)) : wait(state, unready)
  }
  if (quietForMs < quietMs) {
    const rate = rateOf(state)
    const shown = rate === undefined ? '' : ` (${rate.toFixed(rate < 10 ? 1 : 0)} records/s so far)`
    return wait(state, `waiting until nothing is written to ${topic}${shown}: switch producers to ${target} now`)
  }
  if (!isSilenceProof(state))
    return wait(
      state,
      `nothing was written to ${topic} for ${seconds(quietForMs)}, and little before: silence proves nothing; ` +
        'say --producers-switched when all are'
    )
  const fenced = { ...state, fence: state.ends }
  const total = state.ends.reduce((sum, end) => sum + BigInt(end), 0n)
  const say = `${topic} is quiet: the fence is at ${total} records in ${state.ends.length} partitions`
  return wait({ ...fenced, phase: state.hold === 'producers' ? 'draining' : 'creating' }, say)
}

/** Why groups are not ready for the fence. */
function readinessOf({ hold, target, topic }: MigrationState, { groups }: MigrationLook): string | undefined {
  for (const { groupId, memberCount, wantsTarget } of groups) {
    if (memberCount === 0) continue
    if (hold === 'producers' && (wantsTarget === 'none' || wantsTarget === 'some')) {
      const who = wantsTarget === 'none' ? 'no member' : 'not every member'
      return `${who} of group ${groupId} reads ${target}: add it beside ${topic} (dispatcher.topics) and restart`
    }
    if (hold === 'consumers' && (wantsTarget === 'all' || wantsTarget === 'some'))
      return `group ${groupId} reads ${target} already: it has to wait until ${topic} is drained; take it out`
  }
  return undefined
}

function whileDraining(state: MigrationState, look: MigrationLook): MigrationDecision {
  const moved = fenceMoved(state)
  if (moved && look.target === undefined) {
    const say = `${state.topic} is written to again: a producer was not switched; the fence is taken anew`
    return wait({ ...state, phase: 'switching', fence: undefined }, say)
  }
  // As long as nothing is in the new topic, what comes to the old one is still older than all that will be.
  const isTargetEmpty = look.target?.ends.every(end => end === 0n) ?? true
  const fenced = moved && isTargetEmpty ? { ...state, fence: state.ends, stragglers: '0' } : state
  const early = state.hold === 'consumers' ? look.groups.find(({ hasReadTarget }) => hasReadTarget) : undefined
  if (early !== undefined)
    return stop(fenced, `group ${early.groupId} has read ${state.target} before ${state.topic} was drained: stop it`)
  const left = look.groups.flatMap(group => leftOf(group, fenced, look.source))
  if (left.length > 0) {
    const waited = look.atMs - state.quietSinceMs
    const text = `to drain up to the fence: ${left.join(', ')}`
    if (state.hold === 'producers' && waited > state.pauseMaxMs) return stop(fenced, tooLong(state, waited, text))
    return wait(fenced, text)
  }
  if (state.hold === 'producers') return wait({ ...fenced, phase: 'creating' }, `${state.topic} is drained`)
  const say = `${state.topic} is drained: add ${state.target} to the topics of ${state.groups.join(', ')} and restart`
  return wait({ ...fenced, phase: 'opening' }, say)
}

function tooLong({ topic, target, pauseMaxMs }: MigrationState, waitedMs: number, why: string): string {
  return (
    `producers wait for ${seconds(waitedMs)}, longer than ${seconds(pauseMaxMs)} (--pause-max); ${why}. ` +
    `Switch them back to ${topic}: nothing is in ${target}, so no order is lost`
  )
}

function whileCreating(state: MigrationState, look: MigrationLook): MigrationDecision {
  const { target, partitions } = state
  if (look.target === undefined) {
    if (fenceMoved(state)) {
      const say = `${state.topic} is written to again: a producer was not switched; the fence is taken anew`
      return wait({ ...state, phase: 'switching', fence: undefined }, say)
    }
    return { state, action: 'create', say: `creating ${target} with ${partitions} partitions` }
  }
  if (look.target.ends.length !== partitions)
    return stop(state, `${target} is there with ${look.target.ends.length} partitions, not ${partitions}: not ours`)
  if (!look.target.areAllLed) return wait(state, `${target} has no leaders yet`)
  // What came between the fence and the topic may be younger than the first record in it.
  const between = fenceMoved(state) ? sumOf(state.ends) - sumOf(state.fence ?? state.ends) : 0n
  const created = {
    ...state,
    createdAtMs: look.atMs,
    pauseMs: look.atMs - state.quietSinceMs,
    stragglers: String(between),
    phase: state.hold === 'producers' ? ('settling' as const) : ('draining' as const)
  }
  return wait(created, `${target} takes records; producers waited for about ${seconds(created.pauseMs)}`)
}

function whileOpening(state: MigrationState, look: MigrationLook): MigrationDecision {
  const closed = look.groups.filter(({ memberCount, wantsTarget }) => memberCount > 0 && wantsTarget === 'none')
  if (closed.length === 0) return wait({ ...state, phase: 'settling' }, `all groups read ${state.target}`)
  const names = closed.map(({ groupId }) => groupId).join(', ')
  return wait(state, `add ${state.target} to the topics of ${names} and restart them, one at a time`)
}

function whileSettling(state: MigrationState, look: MigrationLook): MigrationDecision {
  if (look.target === undefined) return stop(state, `${state.target} is gone`)
  for (const { groupId, memberCount, state: groupState, targetOwned } of look.groups) {
    if (memberCount === 0) return wait(state, `group ${groupId} has no members`)
    if (groupState !== 'Stable') return wait(state, `group ${groupId} is ${groupState}`)
    if (targetOwned < state.partitions)
      return wait(state, `group ${groupId} reads ${targetOwned} of ${state.partitions} partitions of ${state.target}`)
  }
  if (look.target.ends.every(end => end === 0n)) return wait(state, notWritten(state))
  const left = look.groups.flatMap(group => leftOf(group, { ...state, fence: state.ends }, look.source))
  if (left.length > 0) return wait(state, `behind the fence: ${left.join(', ')}`)
  const quietForMs = look.atMs - Math.max(state.quietSinceMs, state.createdAtMs ?? 0)
  if (quietForMs < state.quietMs) return wait(state, `watching ${state.topic} for a producer that was forgotten`)
  const say =
    state.stragglers === '0'
      ? `${state.target} is read by all groups; every record of ${state.topic} was read before its first: order holds`
      : `${state.target} is read by all groups; ${state.stragglers} records came to ${state.topic} behind the fence: ` +
        'a producer was switched too late, and the order of its keys is not proven'
  return { state: { ...state, phase: 'done' }, action: 'done', say }
}

/** A pause of producers that was taken for their end leaves them at the old topic: that is said, not waited out. */
function notWritten({ topic, target, stragglers }: MigrationState): string {
  if (stragglers === '0') return `nothing was written to ${target} yet`
  return (
    `nothing was written to ${target} yet, and ${stragglers} records came to ${topic} behind the fence: producers ` +
    `write there still, their pause was shorter than it seemed. Switch them to ${target} now (the order of their ` +
    'keys is then not proven), or take it back with comporta undo and begin again with a longer --quiet'
  )
}

/** Whether the order of every key is proven to hold. Meant for a migration that is done. */
export function isOrderProven(state: MigrationState): boolean {
  return state.phase === 'done' && state.stragglers === '0'
}

/** What a group has not read up to the fence, as text; nothing if it has. */
function leftOf(group: MigrationGroup, { fence }: MigrationState, source: MigrationTopic | undefined): string[] {
  let left = 0n
  for (const [partition, text] of (fence ?? []).entries()) {
    const end = BigInt(text)
    const from = group.committed[partition] ?? source?.starts[partition] ?? 0n
    if (end > from) left += end - from
  }
  const texts = left === 0n ? [] : [`group ${group.groupId} ${left} records`]
  return group.retrying === 0n ? texts : [...texts, `group ${group.groupId} ${group.retrying} records in retry topics`]
}

function fenceMoved({ fence, ends }: MigrationState): boolean {
  return fence !== undefined && fence.some((end, partition) => end !== ends[partition])
}

/** Records per second while records came; `undefined` before any did. */
function rateOf({ arrived, quietSinceMs, startedAtMs }: MigrationState): number | undefined {
  const ms = quietSinceMs - startedAtMs
  return ms <= 0 || arrived === '0' ? undefined : (Number(arrived) * 1000) / ms
}

/** At that rate the quiet time would have seen so many records that none of them is no accident. */
function isSilenceProof(state: MigrationState): boolean {
  if (state.areProducersSwitched) return true
  return ((rateOf(state) ?? 0) * state.quietMs) / 1000 >= PROOF_RECORDS
}

function sumOf(ends: readonly string[]): bigint {
  return ends.reduce((sum, end) => sum + BigInt(end), 0n)
}

function wait(state: MigrationState, say: string): MigrationDecision {
  return { state, action: 'wait', say }
}

function stop(state: MigrationState, say: string): MigrationDecision {
  return { state, action: 'stop', say }
}
