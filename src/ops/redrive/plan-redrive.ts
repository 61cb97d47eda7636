/**
 * Plans a redrive: dead letters back to the topics that they came from.
 *
 * The end is fixed while planning, so what comes back meanwhile is not redriven
 * again. Progress is kept as the offsets of a group of the redrive's own, whose
 * name has the rules in it: another choice of dead letters begins anew and does
 * not pass over what the first one left.
 */

import { createHash } from 'node:crypto'

import { partitionKeyOf } from '../../client/index.ts'
import { kafkaErrorName } from '../../protocol/index.ts'
import type { Change, ChangeEffect, ChangePlan } from '../change/change.ts'
import { compileQuery, type RecordQuery } from '../records/record-query.ts'
import { type RecordRange, resolveRanges } from '../records/record-range.ts'
import { recordAt } from '../records/read-record.ts'
import { RecordReader } from '../records/record-reader.ts'
import { applyRedrive, type Progress } from './apply-redrive.ts'
import { readDeadLetter } from './dead-letter.ts'
import { letterTest, rangesOfLetters } from './named-letters.ts'
import { judgeLetter, REDRIVES_MAX, STAY_TEXT } from './redrive-rules.ts'
import { type RedriveSample, RedriveSurvey } from './redrive-survey.ts'
import type { RedriveOpen, RedriveRequest } from './redrive-types.ts'

/** A redrive that can be applied, and what it is about. */
export interface RedriveChange extends Change {
  readonly groupId: string
  readonly samples: readonly RedriveSample[]
}

const IMPOSSIBLE =
  'what was appended to a topic cannot be taken out of it; the dead letters stay where they are, and the audit lists ' +
  'what was redriven'

/** The group that keeps the progress of a redrive: with the rules in its name, unless they choose everything. */
export function redriveGroup(request: RedriveRequest): string {
  const { deadLetterTopic, query, to, errorClasses, originTopics, redrivesMin, redrivesMax, letters } = request
  const rules = { query: isEmpty(query) ? undefined : query, to, errorClasses, originTopics, redrivesMin }
  const since = request.sinceName ?? request.since
  const all = { ...rules, redrivesMax: redrivesMax === REDRIVES_MAX ? undefined : redrivesMax, since, letters }
  const text = JSON.stringify(all, (_name, part: unknown) => (typeof part === 'bigint' ? part.toString() : part))
  if (text === '{}') return `${deadLetterTopic}-redrive`
  return `${deadLetterTopic}-redrive-${createHash('sha256').update(text).digest('hex').slice(0, 8)}`
}

function isEmpty(query: RecordQuery | undefined): boolean {
  return query === undefined || Object.values(query).every(part => Array.isArray(part) && part.length === 0)
}

/**
 * Finds out what a redrive would do, by reading the dead letters once. Changes nothing.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND` if the dead letter topic does not exist, `ERR_OPS_QUERY_INVALID`,
 *   `ERR_OPS_INVALID` if too many letters are named, and those
 *   of the reader.
 */
export async function planRedrive(open: RedriveOpen, request: RedriveRequest): Promise<RedriveChange> {
  const { admin } = open
  const { deadLetterTopic } = request
  const groupId = request.groupId ?? redriveGroup(request)
  const { since, until } = request
  const bounds = { ...(since === undefined ? {} : { from: since }), ...(until === undefined ? {} : { to: until }) }
  const all = await resolveRanges(admin, { topics: [deadLetterTopic], isReadCommitted: true, ...bounds })
  const whole = rangesOfLetters(all, request)
  const progress = await progressOf(open, { groupId, request, whole })
  const survey = new RedriveSurvey()
  await surveyLetters(open, { request, ranges: progress.ranges, survey })
  const found = await problemsOf(open, { request, groupId, survey })
  const plan = planOf({ request, groupId, survey, isResumed: progress.isResumed, ...found })
  return {
    plan,
    snapshot: undefined,
    groupId,
    samples: survey.samples,
    apply: context =>
      applyRedrive(
        { ...open, ...(context.signal === undefined ? {} : { signal: context.signal }) },
        {
          request,
          groupId,
          ranges: progress.ranges,
          committed: progress.committed,
          due: Math.min(survey.redriven, request.limit ?? survey.redriven),
          ...(context.onProgress === undefined ? {} : { onProgress: context.onProgress })
        }
      )
  }
}

async function progressOf(
  { admin }: RedriveOpen,
  { groupId, request, whole }: { groupId: string; request: RedriveRequest; whole: readonly RecordRange[] }
): Promise<{ ranges: RecordRange[]; isResumed: boolean; committed: ReadonlyMap<string, Progress> }> {
  const committed = new Map<string, Progress>()
  for (const each of await admin.fetchGroupOffsets(groupId, whole)) {
    if (each.offset >= 0n) committed.set(partitionKeyOf(each), { offset: each.offset, metadata: each.metadata })
  }
  let isResumed = false
  const ranges = whole.map(range => {
    const done = committed.get(partitionKeyOf(range))?.offset ?? -1n
    // An offset beyond the end is that of a topic which was made anew.
    if (request.isRestarted === true || request.letters !== undefined || done < 0n || done > range.endOffset)
      return range
    isResumed = true
    return { ...range, from: done > range.from ? done : range.from }
  })
  return { ranges, isResumed, committed }
}

async function surveyLetters(
  { cluster, signal, onTrouble }: RedriveOpen,
  { request, ranges, survey }: { request: RedriveRequest; ranges: readonly RecordRange[]; survey: RedriveSurvey }
): Promise<void> {
  const isNamed = letterTest(request)
  const reader = new RecordReader({
    cluster,
    ranges,
    isReadCommitted: true,
    matcher: request.query === undefined ? undefined : compileQuery(request.query),
    onRecord: (cursor, range) => {
      if (!isNamed(range.partition, cursor.offset())) return true
      const letter = recordAt(cursor, range)
      const facts = readDeadLetter(letter)
      survey.add(letter, facts, judgeLetter(facts, request))
      return true
    },
    ...(signal === undefined ? {} : { signal }),
    ...(onTrouble === undefined ? {} : { onTrouble })
  })
  await reader.run()
}

interface Problems {
  readonly warnings: readonly string[]
  readonly blockers: readonly string[]
}

async function problemsOf(
  open: RedriveOpen,
  { request, groupId, survey }: { request: RedriveRequest; groupId: string; survey: RedriveSurvey }
): Promise<Problems> {
  const { admin } = open
  const warnings: string[] = []
  const blockers: string[] = []
  const [group] = await admin.describeGroups([groupId])
  if ((group?.members.length ?? 0) > 0) {
    blockers.push(
      `group ${groupId} has ${group?.members.length} members at work: stop them, or name another with --group`
    )
  }
  const targets = [...new Set(survey.counts.map(({ topic }) => topic))]
  if (targets.includes(request.deadLetterTopic)) {
    blockers.push(`${request.deadLetterTopic} would be redriven to itself: name another topic with --to`)
  }
  const { topics } = await admin.describeTopics(targets)
  const usable = new Set<string>()
  for (const topic of targets) {
    const code = topics.find(each => each.topic === topic)?.errorCode ?? 3
    if (code === 0) {
      usable.add(topic)
      continue
    }
    const name = kafkaErrorName(code)
    const isMissing = name === 'UNKNOWN_TOPIC_OR_PARTITION' || name === 'INVALID_TOPIC_EXCEPTION'
    const remedy = isMissing ? 'does not exist: create it, or name another with --to' : `cannot be used: ${name}`
    blockers.push(`topic ${topic} ${remedy}`)
  }
  if (request.timestamp !== 'now') await checkAges(open, { survey, usable, warnings, blockers })
  return { warnings, blockers }
}

/** A record that keeps its time may be older than its topic takes, or keeps. */
async function checkAges(
  { admin, clock }: RedriveOpen,
  given: { survey: RedriveSurvey; usable: ReadonlySet<string>; warnings: string[]; blockers: string[] }
): Promise<void> {
  const { survey, usable, warnings, blockers } = given
  const oldest = new Map<string, number>()
  for (const { topic, oldestMs } of survey.counts) {
    if (oldestMs !== undefined && usable.has(topic))
      oldest.set(topic, Math.min(oldest.get(topic) ?? oldestMs, oldestMs))
  }
  const described = await admin.describeConfigs([...oldest.keys()].map(name => ({ type: 'topic' as const, name })))
  for (const { name, errorCode, entries } of described) {
    const ageMs = clock.now() - (oldest.get(name) ?? clock.now())
    if (errorCode !== 0) {
      warnings.push(`the retention of ${name} is unknown: ${kafkaErrorName(errorCode)}`)
      continue
    }
    const values = new Map(entries.map(entry => [entry.name, entry.value]))
    const retentionMs = Number(values.get('retention.ms') ?? -1)
    const beforeMaxMs = Number(values.get('message.timestamp.before.max.ms') ?? Number.POSITIVE_INFINITY)
    const isDeleted = (values.get('cleanup.policy') ?? 'delete').includes('delete')
    const days = (ms: number): string => `${(ms / 86_400_000).toFixed(1)} days`
    if (isDeleted && retentionMs >= 0 && ageMs >= retentionMs) {
      const text = `records for ${name} are up to ${days(ageMs)} old, and its retention.ms is ${days(retentionMs)}`
      blockers.push(`${text}: with their own time they may be deleted before they are read; --timestamp now`)
    } else if (ageMs > beforeMaxMs) {
      blockers.push(
        `records for ${name} are older than its message.timestamp.before.max.ms (${days(beforeMaxMs)}): --timestamp now`
      )
    }
  }
}

function planOf(
  given: Problems & {
    request: RedriveRequest
    groupId: string
    survey: RedriveSurvey
    isResumed: boolean
  }
): ChangePlan {
  const { request, groupId, survey, isResumed } = given
  const { deadLetterTopic, limit, batchRecords = 1000 } = request
  const due = Math.min(survey.redriven, limit ?? survey.redriven)
  const effects: ChangeEffect[] = survey.counts.map(({ topic, errorClass, records }) => ({
    what: topic,
    before: '',
    after: errorClass === '' ? 'no error class' : errorClass,
    records: BigInt(records)
  }))
  const stays = [...survey.stays].map(([reason, count]) => `${count} dead letters stay: ${STAY_TEXT[reason]}`)
  const resumed = isResumed ? ', going on where an earlier run ended (--restart begins anew)' : ''
  const passed = survey.looked - survey.redriven - [...survey.stays.values()].reduce((sum, count) => sum + count, 0)
  const limited = due < survey.redriven ? ` of ${survey.redriven}` : ''
  const others = passed > 0 ? `; ${passed} that the rules do not choose stay` : ''
  return {
    kind: 'redrive',
    confirmWord: deadLetterTopic,
    summary: `${due}${limited} dead letters of ${deadLetterTopic} are redriven as group ${groupId}${resumed}${others}.`,
    effects,
    warnings: [
      ...stays,
      ...given.warnings,
      ...(due === 0
        ? []
        : [
            'a record is delivered again behind newer ones of its key; among the redriven the order of a key is kept',
            `after a kill, up to ${batchRecords} records are redriven once more: as many as lie between two commits`
          ])
    ],
    blockers: given.blockers,
    undo: { kind: 'impossible', reason: IMPOSSIBLE }
  }
}
