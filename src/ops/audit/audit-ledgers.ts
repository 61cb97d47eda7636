/** The audit over the ledger files of a run: what `demo` and `chaos` write, and services of users may write. */

import { readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { messageOf, PipelineError } from '../../core/index.ts'
import { Audit, type AuditOptions, type AuditReport, type DeadLetter } from './audit.ts'
import { LEDGER_ENTRY_BYTES, LEDGER_KIND, type LedgerEntry, readLedger } from './ledger.ts'

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

/** Event numbers that may be missing besides those of the entries: memory goes by the largest number. */
const SPREAD_MIN = 10_000_000
/** Event numbers for each entry. */
const SPREAD_PER_ENTRY = 16

/**
 * Files from files and folders: of a folder, all whose names end in `.ledger`. A file that is named twice counts once.
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
  const once = new Map(files.map(path => [resolve(path), path]))
  if (once.size > 0) return [...once.values()]
  throw new PipelineError('ERR_OPS_LEDGER_INVALID', `no ledger (*.ledger) in ${paths.join(', ')}`)
}

/**
 * Judges ledger files. The order of deliveries to one service is that of its file; several files of one service count
 * in the order given.
 *
 * @throws PipelineError `ERR_OPS_LEDGER_INVALID` if a file holds what no ledger holds or cannot be read, or if no event
 *   is due in any of them: there is nothing to judge.
 */
export function auditLedgers(files: readonly string[], options: LedgerAuditOptions = {}): LedgerAudit {
  const { letters, ...rest } = options
  const audit = new Audit(rest)
  const checkSpread = spreadCheck(files)
  // What was made is fed before what became of it, whatever the names of files.
  each(files, entry => {
    if (entry.kind !== LEDGER_KIND.produced && entry.kind !== LEDGER_KIND.acknowledged) return
    checkSpread(entry)
    if (entry.kind === LEDGER_KIND.produced) audit.produced(entry)
    else audit.acknowledged(entry)
  })
  const times = new Times()
  const duplicatesOf: number[] = []
  each(files, entry => {
    if (entry.kind === LEDGER_KIND.deadLettered && letters === undefined) audit.deadLettered(letterOf(entry))
    if (entry.kind !== LEDGER_KIND.delivered) return
    if (audit.delivered(entry) === 'repeated') duplicatesOf[entry.detail] = (duplicatesOf[entry.detail] ?? 0) + 1
    times.add(entry.timeMs)
  })
  for (const letter of letters ?? []) audit.deadLettered(letter)
  const report = audit.report()
  if (report.holds && report.produced === 0) {
    const reason = 'no event in the ledgers is due: there is nothing to judge'
    throw new PipelineError('ERR_OPS_LEDGER_INVALID', reason)
  }
  return {
    ...report,
    handedOver: audit.handedOver,
    movedOutOfOrder: audit.allowedLateCount,
    longestGapMs: times.longestGapMs(),
    duplicatesByService: Array.from(duplicatesOf, count => count ?? 0)
  }
}

function each(files: readonly string[], onEntry: (entry: LedgerEntry) => void): void {
  const kinds: ReadonlySet<number> = new Set(Object.values(LEDGER_KIND))
  for (const path of files) {
    let index = 0
    reading(path, () =>
      readLedger(path, entry => {
        if (!kinds.has(entry.kind) || !Number.isFinite(entry.timeMs)) {
          const place = `entry ${index}: ${kinds.has(entry.kind) ? `time ${entry.timeMs}` : `kind ${entry.kind}`}`
          throw new PipelineError('ERR_OPS_LEDGER_INVALID', `${path} is no ledger, or is damaged (${place})`)
        }
        index += 1
        onEntry(entry)
      })
    )
  }
}

/** What the system refuses of a file is a fault of the file. */
function reading<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (PipelineError.is(error)) throw error
    throw new PipelineError('ERR_OPS_LEDGER_INVALID', `${path} cannot be read: ${messageOf(error)}`, { cause: error })
  }
}

/** A check that refuses numbers far beyond what so many entries can number: one damaged entry would cost gigabytes. */
function spreadCheck(files: readonly string[]): (entry: LedgerEntry) => void {
  const bytes = files.reduce((sum, path) => sum + reading(path, () => statSync(path).size), 0)
  let room = SPREAD_MIN + SPREAD_PER_ENTRY * Math.floor(bytes / LEDGER_ENTRY_BYTES)
  const reached = new Float64Array(256)
  return ({ producer, event }) => {
    const more = event + 1 - (reached[producer] ?? 0)
    if (more <= 0) return
    reached[producer] = event + 1
    room -= more
    if (room >= 0) return
    const what = `event ${event} of producer ${producer} is far beyond what these ledgers hold`
    throw new PipelineError('ERR_OPS_LEDGER_INVALID', `${what}: a file is damaged, or events are not numbered from 0`)
  }
}

function letterOf({ producer, event, detail }: LedgerEntry): DeadLetter {
  return { producer, event, reason: detail === 0 ? '' : REASON_IN_TOPIC }
}

/** Times of deliveries, eight bytes each. */
class Times {
  #values = new Float64Array(1 << 12)
  #length = 0

  add(timeMs: number): void {
    if (this.#length === this.#values.length) {
      const larger = new Float64Array(2 * this.#length)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values[this.#length] = timeMs
    this.#length += 1
  }

  longestGapMs(): number {
    const sorted = this.#values.subarray(0, this.#length).sort()
    return sorted.reduce((longest, time, index) => Math.max(longest, time - (sorted[index - 1] ?? time)), 0)
  }
}
