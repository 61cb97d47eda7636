/** From the ledgers of a harmed run to its verdict. */

import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import type { Cluster } from '../../client/index.ts'
import {
  type AuditOptions,
  auditLedgers,
  type DeadLetter,
  LEDGER_KIND,
  type LedgerAudit,
  ledgerFiles,
  LedgerWriter
} from '../../ops/index.ts'
import { readDeadLetters } from '../demo/dead-letters.ts'

/** What is judged. */
export interface JudgedRun extends AuditOptions {
  readonly cluster: Cluster
  /** Topic of the dead letters. */
  readonly deadLetters: string
  /** Folder of the ledgers. Gets one of the dead letters, so that `comporta audit` can judge the folder alone. */
  readonly dir: string
}

/** Judges a run by all ledgers of its folder and its dead letter topic. */
export async function judgeLedgers({ cluster, deadLetters, dir, ...options }: JudgedRun): Promise<LedgerAudit> {
  const letters = await readDeadLetters(cluster, deadLetters)
  writeDeadLetters(dir, letters)
  return auditLedgers(ledgerFiles([dir]), { ...options, letters })
}

/** Writes dead letters as a ledger: what `comporta audit` reads when the topic is gone. */
export function writeDeadLetters(dir: string, letters: readonly DeadLetter[]): void {
  const path = join(dir, 'dead-letters.ledger')
  // A second look at the same run replaces the first.
  if (existsSync(path)) rmSync(path)
  const ledger = new LedgerWriter(path)
  for (const { producer, event, reason } of letters) {
    const entry = { kind: LEDGER_KIND.deadLettered, producer, event, detail: reason === '' ? 0 : 1 }
    ledger.append({ ...entry, key: 0, keySequence: 0, timeMs: 0 })
  }
  ledger.close()
}
