/** The audit of a redrive: one line of JSON for each record, on disk before its offset is committed. */

import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'

import { messageOf, PipelineError } from '../../core/index.ts'

/** One redriven record. No key and no value: those are in the topic. */
export interface RedriveAuditLine {
  /** ISO 8601, UTC. */
  readonly at: string
  readonly by: string
  readonly group: string
  /** The dead letter: `dead-letters-0@17`. */
  readonly letter: string
  /** Where its record was; absent where it does not say. */
  readonly origin?: string
  /** Where it is now. */
  readonly to: string
  readonly errorClass: string
  /** How often it has been redriven, this time included. */
  readonly redrives: number
}

/** Takes lines; when it returns they are safe. */
export type RedriveAudit = (lines: readonly RedriveAuditLine[]) => Promise<void>

/**
 * An audit in a file, which is made when it is first needed and only ever added to.
 *
 * @throws PipelineError `ERR_OPS_AUDIT_FAILED` (from the audit) if it cannot be written: the redrive stops.
 */
export function redriveAuditFile(path: string): RedriveAudit {
  return async lines => {
    if (lines.length === 0) return
    try {
      await mkdir(dirname(path), { recursive: true })
      const file = await open(path, 'a', 0o600)
      try {
        await file.appendFile(lines.map(line => `${JSON.stringify(line)}\n`).join(''))
        await file.datasync()
      } finally {
        await file.close()
      }
    } catch (cause) {
      throw new PipelineError('ERR_OPS_AUDIT_FAILED', `the audit ${path} cannot be written: ${messageOf(cause)}`, {
        cause
      })
    }
  }
}
