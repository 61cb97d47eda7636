/** What is wrong with an event or with one record of it, and small checks of values that came as JSON. */

import { PipelineError } from '../../core/index.ts'

/** Names in an event may be of any length. */
const WHAT_CHARACTERS_MAX = 300

/** The error for a whole event that cannot be read: nothing of it may count as done. */
export function unrecognised(what: string): PipelineError {
  return new PipelineError(
    'ERR_LAMBDA_EVENT_UNRECOGNISED',
    `not an event with Kafka records: ${what.slice(0, WHAT_CHARACTERS_MAX)}`
  )
}

/** Whether a value is an object with named members. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Whether a value is an offset that a number holds exactly: beyond 2^53 neighbours would be taken for one another. */
export function isOffset(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
