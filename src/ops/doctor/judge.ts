/** All checks, and what comes out of facts. Pure. */

import { PipelineError } from '../../core/index.ts'
import { brokerChecks } from './checks/brokers.ts'
import { groupChecks } from './checks/groups.ts'
import { mskChecks } from './checks/msk.ts'
import { recordChecks } from './checks/records.ts'
import { settingChecks } from './checks/settings.ts'
import { topicChecks } from './checks/topics.ts'
import type { DoctorFacts } from './facts.ts'
import { type DoctorCheck, type DoctorFinding, evidenceOf } from './finding.ts'

/** Every check, in the order of the report. */
export const DOCTOR_CHECKS: readonly DoctorCheck[] = [
  ...groupChecks,
  ...topicChecks,
  ...recordChecks,
  ...brokerChecks,
  ...settingChecks,
  ...mskChecks
]

/** Which checks run. */
export interface CheckChoice {
  /** Names of checks, or of areas. Default: all. */
  readonly only?: readonly string[]
  /** Names of checks, or of areas. Default: none. */
  readonly skip?: readonly string[]
}

/**
 * The checks that are chosen.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND` for a name that is neither a check nor an area.
 */
export function chosenChecks({ only, skip = [] }: CheckChoice): readonly DoctorCheck[] {
  const names = new Set(DOCTOR_CHECKS.flatMap(({ id, area }) => [id, area as string]))
  const wrong = [...(only ?? []), ...skip].filter(name => !names.has(name))
  if (wrong.length > 0) {
    const message = `there is no check ${wrong.join(', ')}; see: comporta doctor --list`
    throw new PipelineError('ERR_OPS_NOT_FOUND', message)
  }
  const isIn = (list: readonly string[], { id, area }: DoctorCheck): boolean => list.includes(id) || list.includes(area)
  return DOCTOR_CHECKS.filter(check => (only === undefined || isIn(only, check)) && !isIn(skip, check))
}

/** Runs checks on facts: one finding at least for each, `ok` where there is nothing to find. */
export function judgeFacts(facts: DoctorFacts, choice: CheckChoice = {}): DoctorFinding[] {
  return chosenChecks(choice).flatMap((check): DoctorFinding[] => {
    const found = check.find(facts)
    if (found.length === 0) {
      return [{ id: check.id, severity: 'ok', title: check.sentence, reason: '', fix: '', evidence: [] }]
    }
    return found.map(({ evidence = [], ...each }) => ({ id: check.id, ...each, evidence: evidenceOf(evidence) }))
  })
}
