/** `comporta audit`: the audit over the ledgers of a run, by itself. */

import { type Command, InvalidArgumentError } from 'commander'

import type { LedgerAudit, Violation } from '../../ops/index.ts'
import type { CommonOptions } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { count } from '../operations/format.ts'
import { jsonLine } from '../operations/table.ts'
import type { CommandAction } from './action.ts'

interface AuditCommandOptions extends CommonOptions {
  readonly duplicatesMax: number
}

/** Adds the command. */
export function addAudit(program: Command, action: CommandAction): void {
  program
    .command('audit')
    .argument('<ledgers>', 'a folder, or ledger files separated by commas')
    .summary('judge the ledgers of a run: loss, order, duplicates, dead letters')
    .description(
      'Reads what every process of a run has noted (docs/guides/chaos.md has the format) and says whether each event ' +
        'reached each of its services once and in the order of its key, or the dead letter topic with a reason.'
    )
    .option('--duplicates-max <count>', 'repeated deliveries that may be: 0 after a planned stop', parseCount, 0)
    .addHelpText('after', examples)
    .action(action(audit))
}

const examples = `
Exit codes: 0 the audit holds, 1 it does not, 65 a file is no ledger.

Examples:
  comporta audit /tmp/comporta-chaos-Xa93kd/kill-dispatcher --duplicates-max 1400
  comporta audit produced-0.ledger,delivered-telemetry.ledger --json`

async function audit(options: AuditCommandOptions, paths: string): Promise<number> {
  const { auditLedgers, ledgerFiles } = await import('../../ops/index.ts')
  const files = ledgerFiles(paths.split(','))
  const found = auditLedgers(files)
  const holds = found.holds && found.duplicates <= options.duplicatesMax
  const report = { ...found, holds, duplicatesMax: options.duplicatesMax, files }
  process.stdout.write(options.json === true ? jsonLine(report) : textOf(report))
  return holds ? EXIT.ok : EXIT.failed
}

interface Shown extends LedgerAudit {
  readonly duplicatesMax: number
  readonly files: readonly string[]
}

function textOf(report: Shown): string {
  const verdicts: [Violation, string, string][] = [
    [report.lost, 'nothing lost', 'lost'],
    [report.outOfOrder, 'order kept per key', 'out of order'],
    [report.unexpected, 'nothing unexpected', 'unexpected'],
    [report.wrongDeadLetters, 'dead letters are the bad events, with reasons', 'wrongly dead lettered']
  ]
  const areFew = report.duplicates <= report.duplicatesMax
  return [
    `  ledgers       ${report.files.length}`,
    `  made          ${count(report.handedOver)} events, ${count(report.produced)} of them due`,
    `  delivered     ${count(report.delivered)} of ${count(report.deliveriesDue)} due`,
    `  dead letters  ${count(report.deadLettered)}`,
    `  longest gap   ${count(report.longestGapMs)} ms without a delivery`,
    '',
    ...verdicts.map(([violation, good, bad]) => verdictLine(violation, good, bad)),
    `  ${areFew ? '✓' : '✗'} duplicates: ${count(report.duplicates)}, at most ${count(report.duplicatesMax)} may be`,
    '',
    report.holds ? '  The audit holds.' : '  THE AUDIT DOES NOT HOLD.',
    ''
  ].join('\n')
}

function verdictLine(violation: Violation, good: string, bad: string): string {
  if (violation.count === 0) return `  ✓ ${good}`
  return `  ✗ ${good}: ${count(violation.count)} ${bad}, for example ${violation.examples.join(', ')}`
}

function parseCount(text: string): number {
  const parsed = Number(text.replaceAll(/[_,]/g, ''))
  if (Number.isInteger(parsed) && parsed >= 0) return parsed
  throw new InvalidArgumentError('A whole number, 0 or more.')
}
