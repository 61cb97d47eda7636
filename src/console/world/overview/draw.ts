/** Boxes of topics and groups, the same with and without a pipeline file. */

import type { GroupLag } from '../../../ops/index.ts'
import type { Fact, Reason } from '../../api/overview.ts'
import { isLagKnown, type GroupRows } from '../group-rows.ts'
import { reason, worstOf } from '../group-health.ts'
import type { LookIndex } from '../look-index.ts'
import { isUnderReplicated, recordsOf } from '../topic-rows.ts'
import { fact, type NodeDraft, type Picture } from './picture.ts'

/** What boxes are drawn from. */
export interface Easel {
  readonly picture: Picture
  readonly index: LookIndex
  readonly rows: GroupRows
}

/** Draws a topic that records of the pipeline go to. @returns Its id. */
export function drawTopic({ picture, index }: Easel, topic: string): string {
  const scanned = index.scan.topics.get(topic)
  if (scanned === undefined) {
    return picture.node({ kind: 'topic', name: topic, health: 'bad', reasons: [reason('topicMissing')] })
  }
  const rate = index.rateOf(topic)
  const { partitions, problem } = scanned
  const reasons: Reason[] = []
  const offline = partitions.filter(({ leaderId }) => leaderId < 0).length
  const behind = partitions.filter(isUnderReplicated).length
  const unread = partitions.filter(each => each.problem !== undefined && each.leaderId >= 0).length
  if (offline > 0) reasons.push(reason('partitionsOffline', { partitions: offline }))
  if (problem !== undefined) reasons.push(reason('topicUnreadable', { text: problem }))
  else if (unread > 0) reasons.push(reason('partlyUnknown', { partitions: unread }))
  if (behind > 0) reasons.push(reason('underReplicated', { partitions: behind }))
  const isUnknown = problem !== undefined || unread > 0
  const level = rate === 0 ? 'idle' : 'good'
  const health = offline > 0 ? 'bad' : behind > 0 ? 'warn' : isUnknown ? 'unknown' : level
  const readers = index.readersOf(topic).length
  const facts = [
    fact('partitions', partitions.length),
    fact('rate', rate),
    fact('records', recordsOf(scanned)?.toString()),
    fact('readers', readers)
  ]
  return picture.node({ kind: 'topic', name: topic, health, reasons, facts })
}

/** Draws a topic of dead letters. What arrives there is a warning; what lies there is worth a word. @returns Its id. */
export function drawDeadLetters({ picture, index }: Easel, topic: string): string {
  const { facts, records, rate } = aside(index, topic)
  const isArriving = rate !== undefined && rate > 0
  const reasons = [
    ...(isArriving ? [reason('deadLettersArrive', { rate })] : []),
    ...(records > 0n ? [reason('recordsWait', { lagRecords: records.toString() })] : [])
  ]
  const health = isArriving ? 'warn' : records > 0n ? 'good' : 'idle'
  return picture.node({ kind: 'deadLetters', name: topic, health, reasons, facts })
}

/** Draws a retry topic. @returns Its id. */
export function drawRetries({ picture, index }: Easel, topic: string, delaySeconds: number): string {
  const { facts, rate } = aside(index, topic)
  const health = rate !== undefined && rate > 0 ? 'good' : 'idle'
  return picture.node({ kind: 'retries', name: topic, health, facts: [...facts, fact('delaySeconds', delaySeconds)] })
}

function aside(
  index: LookIndex,
  topic: string
): { readonly facts: Fact[]; readonly records: bigint; readonly rate: number | undefined } {
  const scanned = index.scan.topics.get(topic)
  // It is made when the first record goes there.
  if (scanned === undefined) return { facts: [], records: 0n, rate: 0 }
  const records = recordsOf(scanned)
  const rate = index.rateOf(topic)
  return { facts: [fact('records', records?.toString()), fact('rate', rate)], records: records ?? 0n, rate }
}

/** Draws a group. @returns Its id. */
export function drawGroup({ picture, rows, index }: Easel, group: GroupLag, more: Partial<NodeDraft> = {}): string {
  const judged = rows.health(group, index)
  const facts = [
    fact('members', group.memberCount),
    fact('lagSeconds', group.problem === undefined ? group.lagSeconds : undefined),
    fact('lagRecords', isLagKnown(group) ? group.lagRecords.toString() : undefined),
    fact('drainSeconds', group.drainSeconds)
  ]
  const health = more.health === undefined ? judged.level : worstOf([judged.level, more.health])
  return picture.node({
    kind: 'group',
    name: group.groupId,
    health,
    reasons: [...judged.reasons, ...(more.reasons ?? [])],
    facts: [...facts, ...(more.facts ?? [])]
  })
}
