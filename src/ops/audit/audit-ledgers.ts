/** The audit over the ledger files of a run: what `demo` and `chaos` write, and services of users may write. */

import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { messageOf, PipelineError } from '../../core/index.ts'
import { Audit, type AuditOptions, type AuditReport, type DeadLetter } from './audit.ts'
import { LEDGER_KIND, type LedgerEntry, readLedger } from './ledger.ts'

/** What ledgers say. */
export interface LedgerAudit extends AuditReport {
  /** Events that were made, acknowledged or not. */
  readonly handedOver: number
  /** First deliveries behind a later event of their key that `mayBeLate` allowed. */
  readonly movedOutOfOrder: number
  /** Longest time without a delivery between the first and the last, in milliseconds. */
  readonly longestGapMs: number
  /** Repeated deliveries by index of the service; deliveries that should not have been are not in it. */
  readonly duplicatesByService: readonly number[]
}

/** How ledgers are judged. */
export interface LedgerAuditOptions extends AuditOptions {
  /** Dead letters with their reasons. Default: those of the ledgers, which know only whether there is one. */
  readonly letters?: readonly DeadLetter[]
}

/** The name by which dead letters of a ledger go in a report: the reason itself is in their topic. */
export const REASON_IN_TOPIC = 'reason in the dead letter topic'

/**
 * Files from files and folders: of a folder, all whose names end in `.ledger`.
 *
 * @throws PipelineError `ERR_OPS_LEDGER_INVALID` if there is none, or one cannot be found.
 */
export function ledgerFiles(paths: readonly string[]): string[] {
  const files = paths.flatMap(path => {
    try {
      if (!statSync(path).isDirectory()) return [path]
      const names = readdirSync(path).filter(name => name.endsWith('.ledger'))
      return names.toSorted().map(name => join(path, name))
    } catch (error) {
      throw new PipelineError('ERR_OPS_LEDGER_INVALID', `${path} cannot be read: ${messageOf(error)}`, { cause: error })
    }
  })
  if (files.length > 0) return files
  throw new PipelineError('ERR_OPS_LEDGER_INVALID', `no ledger (*.ledger) in ${paths.join(', ')}`)
}

/**
 * Judges ledger files. The order of deliveries to one service is that of its file; several files of one service count
 * in the order given.
 *
 * @throws PipelineError `ERR_OPS_LEDGER_INVALID` if a file holds what no ledger holds.
 */
export function auditLedgers(files: readonly string[], options: LedgerAuditOptions = {}): LedgerAudit {
  const { letters, ...rest } = options
  const audit = new Audit(rest)
  // What was made is fed before what became of it, whatever the names of files.
  each(files, entry => {
    if (entry.kind === LEDGER_KIND.produced) audit.produced(entry)
    if (entry.kind === LEDGER_KIND.acknowledged) audit.acknowledged(entry)
  })
  const times: number[] = []
  const duplicatesOf: number[] = []
  each(files, entry => {
    if (entry.kind === LEDGER_KIND.deadLettered && letters === undefined) audit.deadLettered(letterOf(entry))
    if (entry.kind !== LEDGER_KIND.delivered) return
    if (audit.delivered(entry) === 'repeated') duplicatesOf[entry.detail] = (duplicatesOf[entry.detail] ?? 0) + 1
    times.push(entry.timeMs)
  })
  for (const letter of letters ?? []) audit.deadLettered(letter)
  return {
    ...audit.report(),
    handedOver: audit.handedOver,
    movedOutOfOrder: audit.allowedLateCount,
    longestGapMs: longestGapMs(times),
    duplicatesByService: Array.from(duplicatesOf, count => count ?? 0)
  }
}

function each(files: readonly string[], onEntry: (entry: LedgerEntry) => void): void {
  const kinds: ReadonlySet<number> = new Set(Object.values(LEDGER_KIND))
  for (const path of files) {
    let index = 0
    readLedger(path, entry => {
      if (!kinds.has(entry.kind)) {
        const place = `entry ${index}: kind ${entry.kind}`
        throw new PipelineError('ERR_OPS_LEDGER_INVALID', `${path} is no ledger, or is damaged (${place})`)
      }
      index += 1
      onEntry(entry)
    })
  }
}

function letterOf({ producer, event, detail }: LedgerEntry): DeadLetter {
  return { producer, event, reason: detail === 0 ? '' : REASON_IN_TOPIC }
}

function longestGapMs(times: readonly number[]): number {
  const sorted = Float64Array.from(times).sort()
  return sorted.reduce((longest, time, index) => Math.max(longest, time - (sorted[index - 1] ?? time)), 0)
}
