/** The doctor: collects facts, and says what they mean. */

import { collectFacts, type CollectOptions } from './collect.ts'
import type { DoctorFinding, DoctorSeverity } from './finding.ts'
import { type CheckChoice, chosenChecks, judgeFacts } from './judge.ts'

/** What is looked at, and by which checks. */
export type DoctorOptions = CollectOptions & CheckChoice

/**
 * Looks at a cluster, and at a pipeline file if there is one. Changes nothing.
 *
 * @returns At least one finding for each check, in the order of the checks.
 * @throws PipelineError of the connection if no broker answers; `ERR_OPS_NOT_FOUND` for a check that does not exist.
 */
export async function runDoctor(options: DoctorOptions): Promise<DoctorFinding[]> {
  chosenChecks(options)
  return judgeFacts(await collectFacts(options), options)
}

/** From worst to best. */
const ORDER: readonly DoctorSeverity[] = ['error', 'warn', 'unknown', 'info', 'ok']

/** Findings, the worst first; of the same severity in their order. */
export function bySeverity(findings: readonly DoctorFinding[]): DoctorFinding[] {
  return findings.toSorted((left, right) => ORDER.indexOf(left.severity) - ORDER.indexOf(right.severity))
}
