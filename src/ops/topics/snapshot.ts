/** Reads what was saved for an undo: from a file, so nothing about it is sure. */

import { PipelineError } from '../../core/index.ts'
import type { Json } from '../change/change.ts'

/** A member of an object; `undefined` if it is none. */
export function memberOf(value: Json | undefined, name: string): Json | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return Object.hasOwn(value, name) ? (value as Readonly<Record<string, Json>>)[name] : undefined
}

/** The error for a snapshot that cannot be used. */
export function damaged(reason: string): PipelineError {
  return new PipelineError('ERR_OPS_UNDO_DAMAGED', `the record of the change cannot be used: ${reason}`)
}
