/** From the ledgers of a harmed run to its verdict. */

import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import type { Cluster } from '../../client/index.ts'
import { Audit, type AuditReport, LEDGER_KIND, type LedgerEntry, LedgerWriter, readLedger } from '../../ops/index.ts'
import { readDeadLetters } from '../demo/dead-letters.ts'

/** What became of everything. */
export interface LedgerVerdict extends AuditReport {
  /** Longest time without a delivery between the first and the last, in milliseconds. */
  readonly longestGapMs: number
  /** Events that were produced, acknowledged or not. */
  readonly handedOver: number
  /** First deliveries behind a later event of a key that moved: allowed. */
  readonly movedOutOfOrder: number
  /** Repeated deliveries of each service. */
  readonly duplicatesByService: readonly number[]
}

/** What is judged. */
export interface JudgedRun {
  readonly cluster: Cluster
  /** Topic of the dead letters. */
  readonly deadLetters: string
  /** Folder of the ledgers. Gets one of the dead letters, so that `comporta audit` can judge the folder alone. */
  readonly dir: string
  /** Keys that changed their partition: their order is not judged. Default: none did. */
  readonly isMoved?: ((key: number) => boolean) | undefined
}

/** The ledgers of a folder. */
export function ledgersIn(dir: string): string[] {
  const names = readdirSync(dir).filter(name => name.endsWith('.ledger'))
  return names.toSorted().map(name => join(dir, name))
}

/**
 * Judges a run.
 *
 * An event that was handed over but not acknowledged may be in Kafka or not, so it is due only if some part of the
 * pipeline has seen it; an acknowledged one is always due.
 */
export async function judgeLedgers({ cluster, deadLetters, dir, isMoved }: JudgedRun): Promise<LedgerVerdict> {
  const letters = await readDeadLetters(cluster, deadLetters)
  const due = new Set(letters.map(letter => `${letter.producer}-${letter.event}`))
  const delivered: LedgerEntry[] = []
  const produced: LedgerEntry[] = []
  for (const path of ledgersIn(dir)) {
    readLedger(path, entry => {
      if (entry.kind === LEDGER_KIND.produced) produced.push(entry)
      else if (entry.kind === LEDGER_KIND.delivered) delivered.push(entry)
      if (entry.kind === LEDGER_KIND.delivered || entry.kind === LEDGER_KIND.acknowledged) {
        due.add(`${entry.producer}-${entry.event}`)
      }
    })
  }
  writeDeadLetters(join(dir, 'dead-letters.ledger'), letters)
  const audit = new Audit(isMoved === undefined ? {} : { mayBeLate: entry => isMoved(entry.key) })
  for (const entry of produced) if (due.has(`${entry.producer}-${entry.event}`)) audit.produced(entry)
  for (const entry of delivered) audit.delivered(entry)
  for (const letter of letters) audit.deadLettered(letter)
  const serviceCount = delivered.reduce((count, entry) => Math.max(count, entry.detail + 1), 0)
  return {
    ...audit.report(),
    longestGapMs: longestGapMs(delivered),
    handedOver: produced.length,
    movedOutOfOrder: audit.allowedLateCount,
    duplicatesByService: Array.from({ length: serviceCount }, (_, index) =>
      duplicateCount(delivered.filter(each => each.detail === index))
    )
  }
}

/** Writes dead letters as a ledger: what `comporta audit` reads when the topic is gone. */
export function writeDeadLetters(
  path: string,
  letters: readonly { readonly producer: number; readonly event: number; readonly reason: string }[]
): void {
  const ledger = new LedgerWriter(path)
  for (const { producer, event, reason } of letters) {
    const entry = { kind: LEDGER_KIND.deadLettered, producer, event, detail: reason === '' ? 0 : 1 }
    ledger.append({ ...entry, key: 0, keySequence: 0, timeMs: 0 })
  }
  ledger.close()
}

function duplicateCount(delivered: readonly LedgerEntry[]): number {
  return delivered.length - new Set(delivered.map(entry => `${entry.producer}-${entry.event}`)).size
}

function longestGapMs(delivered: readonly LedgerEntry[]): number {
  const times = delivered.map(entry => entry.timeMs).toSorted((a, b) => a - b)
  return times.reduce((longest, time, index) => Math.max(longest, time - (times[index - 1] ?? time)), 0)
}
