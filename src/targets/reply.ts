/**
 * Reads what a target says of the records it was given: the same for an HTTP
 * body, a Lambda's result and the return value of a module.
 *
 * - nothing, or an object with neither field below: all delivered
 * - `{"failures":[{"offset":12,"action":"retry"|"deadLetter"|"skip","reason":"…","retryAfterMs":100}]}`; with
 *   `"unavailable":true` a retry costs no attempt (a service behind the target is at fault), with `"suspect":true` as
 *   well the record may be what broke that service
 * - `{"batchItemFailures":[{"itemIdentifier":{"partition":"topic-3","offset":42}}]}`, AWS's form for Kafka: a resume
 *   point. That offset and everything after it is sent again. An empty list is success.
 *
 * A reply that has one of the fields in another form is not taken for success: records would be lost on a spelling
 * mistake. The whole batch is then tried again (`InvalidReply`).
 */

import { INVALID_REPLY, type RecordFailure, type TargetBatch, type TargetOutcome } from './target.ts'

const OK: TargetOutcome = { kind: 'ok' }
const REASON_MAX = 1000
const ACTIONS: ReadonlySet<unknown> = new Set(['retry', 'deadLetter', 'skip'])

/** Reads a parsed reply. */
export function readReply(reply: unknown, batch: Pick<TargetBatch, 'topic' | 'partition'>): TargetOutcome {
  if (!isObject(reply)) return OK
  const { failures: listed, batchItemFailures: items } = reply
  const failures = listed === undefined || listed === null ? [] : readFailures(listed)
  if (typeof failures === 'string') return invalid(failures)
  const resumeFrom = items === undefined || items === null ? undefined : readItems(items, batch)
  if (typeof resumeFrom === 'string') return invalid(resumeFrom)
  if (resumeFrom !== undefined) return { kind: 'partial', failures, resumeFrom }
  return failures.length === 0 ? OK : { kind: 'partial', failures }
}

/** Reads a reply that is JSON text; text that is not JSON says nothing about records, so all count as delivered. */
export function readReplyText(text: string, batch: Pick<TargetBatch, 'topic' | 'partition'>): TargetOutcome {
  if (!text.trimStart().startsWith('{')) return OK
  let reply: unknown
  try {
    reply = JSON.parse(text)
  } catch {
    return invalid('the reply begins like a JSON object but is none')
  }
  return readReply(reply, batch)
}

function invalid(reason: string): TargetOutcome {
  return { kind: 'rejected', reason, errorClass: INVALID_REPLY }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function readOffset(value: unknown): bigint | undefined {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return BigInt(value)
  // Offsets above 2^53 do not survive JSON as numbers.
  if (typeof value === 'string' && /^\d{1,19}$/.test(value)) return BigInt(value)
  return undefined
}

function readFailures(listed: unknown): RecordFailure[] | string {
  if (!Array.isArray(listed)) return '"failures" is not a list'
  const failures: RecordFailure[] = []
  for (const entry of listed as readonly unknown[]) {
    if (!isObject(entry)) return 'an entry of "failures" is not an object'
    const offset = readOffset(entry['offset'])
    if (offset === undefined) return 'an entry of "failures" has no valid "offset"'
    const action = entry['action'] ?? 'retry'
    if (!isAction(action)) return `an entry of "failures" has an unknown "action"`
    const { retryAfterMs } = entry
    failures.push({
      offset,
      action,
      reason: readReason(entry['reason']),
      ...(typeof retryAfterMs === 'number' && retryAfterMs > 0 ? { retryAfterMs } : {}),
      ...(entry['unavailable'] === true ? { isUnavailable: true } : {}),
      ...(entry['suspect'] === true ? { isSuspect: true } : {})
    })
  }
  return failures
}

function isAction(value: unknown): value is RecordFailure['action'] {
  return ACTIONS.has(value)
}

function readReason(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, REASON_MAX) : 'the target gave no reason'
}

/** The lowest offset named: where to resume. */
function readItems(items: unknown, batch: Pick<TargetBatch, 'topic' | 'partition'>): bigint | undefined | string {
  if (!Array.isArray(items)) return '"batchItemFailures" is not a list'
  const partitionName = `${batch.topic}-${batch.partition}`
  let lowest: bigint | undefined
  for (const item of items as readonly unknown[]) {
    const identifier = isObject(item) ? item['itemIdentifier'] : undefined
    if (!isObject(identifier)) return 'an "itemIdentifier" is not an object with "partition" and "offset"'
    const offset = readOffset(identifier['offset'])
    if (offset === undefined || identifier['partition'] !== partitionName) {
      return 'an "itemIdentifier" names a record that is not in the batch'
    }
    if (lowest === undefined || offset < lowest) lowest = offset
  }
  return lowest
}
