/** Reads what is to be changed from the body of a request: from a browser, so nothing about it is sure. */

import { z } from 'zod'

import { PipelineError } from '../../core/index.ts'
import type { ApplyRequest, ChangeRequest, StopRequest, UndoRequest } from '../api/changes.ts'

/** Names, places and members that one change may be about. */
const MANY_MAX = 10_000
/** Latest time that a calendar has, in milliseconds since 1970. */
const TIME_MAX = 8_640_000_000_000_000

const topic = z.string().regex(/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/, 'is no name of a topic')
/** `orders`, or some partitions of it: `orders:0,1`. */
const topicScope = z
  .string()
  .max(4000)
  .regex(/^(?!\.{1,2}(?::|$))[A-Za-z0-9._-]{1,249}(?::\d{1,9}(?:,\d{1,9})*)?$/, 'is no topic, nor one like orders:0,1')
const group = z.string().min(1, 'is empty').max(255, 'is too long')
const partition = z.int().min(0).max(2_147_483_647)
const offset = z.string().regex(/^\d{1,18}$/, 'is no offset: decimal digits, as text')
const timeMs = z.int().min(0).max(TIME_MAX)
const text = z.string().trim().min(1).max(500)
const topics = z.array(topicScope).max(MANY_MAX)
const settingName = z.string().regex(/^[a-z0-9._-]{1,100}$/i, 'is no name of a setting')
const settingText = z.string().max(10_000)

const target = z.discriminatedUnion('to', [
  z.strictObject({ to: z.enum(['earliest', 'latest', 'current']) }),
  z.strictObject({ to: z.literal('datetime'), atMs: timeMs }),
  z.strictObject({ to: z.literal('offset'), offset }),
  z.strictObject({ to: z.literal('shift'), by: z.int().min(-1e15).max(1e15) })
])

const filter = z.strictObject({
  class: text.optional(),
  originTopic: topic.optional(),
  fromMs: timeMs.optional(),
  toMs: timeMs.optional(),
  letters: z
    .array(z.strictObject({ partition, offset }))
    .min(1)
    .max(1000, 'at most 1000 letters are named one by one')
    .optional()
})

const pause = { group, topic, partition }

const changeRequest = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('offsets.reset'), group, topics, to: target }),
  z.strictObject({
    kind: z.literal('offsets.place'),
    group,
    places: z.array(z.strictObject({ topic, partition, offset })).min(1).max(MANY_MAX)
  }),
  z.strictObject({
    kind: z.literal('offsets.skip'),
    group,
    topic,
    partition,
    offset,
    count: z.int().min(1).max(100)
  }),
  z.strictObject({ kind: z.literal('offsets.copy'), from: group, to: group, topics }),
  z.strictObject({ kind: z.literal('groups.delete'), group }),
  z.strictObject({ kind: z.literal('groups.removeMembers'), group, members: z.array(z.string().max(1000)).min(1) }),
  z.strictObject({
    kind: z.literal('topics.create'),
    topic,
    partitions: z.int().min(1).max(100_000),
    replicationFactor: z.int().min(1).max(1000).optional(),
    settings: z.record(settingName, settingText)
  }),
  z.strictObject({
    kind: z.literal('topics.alter'),
    topic,
    settings: z
      .record(settingName, settingText.nullable())
      .refine(given => Object.keys(given).length > 0, 'names no setting')
  }),
  z.strictObject({ kind: z.literal('topics.delete'), topic }),
  z.strictObject({
    kind: z.literal('partitions.grow'),
    topic,
    count: z.int().min(1).max(100_000),
    groupId: group.optional(),
    forceNeed: text.optional(),
    isOrderBreakAccepted: z.boolean().optional(),
    isDrainedFirst: z.boolean().optional(),
    isPreCommitted: z.boolean().optional()
  }),
  z.strictObject({
    kind: z.literal('replay'),
    group,
    topics: z.array(topic).min(1).max(MANY_MAX),
    fromMs: timeMs.nullable(),
    toMs: timeMs.nullable(),
    as: group.optional(),
    isRestarted: z.boolean().optional()
  }),
  z.strictObject({
    kind: z.literal('redrive'),
    topic,
    filter,
    ratePerSecond: z.number().positive().max(1e9).nullable(),
    to: topic.optional(),
    timestamp: z.enum(['original', 'now']).optional()
  }),
  z.strictObject({ kind: z.literal('partition.pause'), ...pause }),
  z.strictObject({ kind: z.literal('partition.resume'), ...pause })
])

const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'is no id')
const applyRequest = z.strictObject({ id, confirm: z.string().max(1000), force: z.boolean().optional() })
const undoRequest = z.strictObject({ undoId: id, force: z.boolean().optional() })
const stopRequest = z.strictObject({ id })

/** What is to be planned. @throws PipelineError `ERR_CONSOLE_REQUEST` naming what is wrong. */
export function readChangeRequest(body: unknown): ChangeRequest {
  // What is left out is absent in JSON, and no member with `undefined`.
  return read(changeRequest, body) as ChangeRequest
}

/** What is to be applied. @throws PipelineError `ERR_CONSOLE_REQUEST`. */
export function readApplyRequest(body: unknown): ApplyRequest {
  return read(applyRequest, body) as ApplyRequest
}

/** What is to be taken back. @throws PipelineError `ERR_CONSOLE_REQUEST`. */
export function readUndoRequest(body: unknown): UndoRequest {
  return read(undoRequest, body) as UndoRequest
}

/** What is to be stopped. @throws PipelineError `ERR_CONSOLE_REQUEST`. */
export function readStopRequest(body: unknown): StopRequest {
  return read(stopRequest, body)
}

/** Problems that are named. */
const PROBLEMS_MAX = 5

function read<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.slice(0, PROBLEMS_MAX).map(({ path, message }) => {
    const where = path.length === 0 ? 'the request' : path.map(String).join('.')
    return `${where}: ${message}`
  })
  throw new PipelineError('ERR_CONSOLE_REQUEST', problems.join('; '))
}
