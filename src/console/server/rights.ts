/** What a user may change: by role, and for operators by groups and topics. */

import { PipelineError } from '../../core/index.ts'
import type { ConsoleRole } from '../api/session.ts'
import { fitsAny } from './names.ts'
import type { Caller } from './server-types.ts'

/** What a change is about. */
export interface ChangeSubject {
  readonly groups?: readonly string[]
  readonly topics?: readonly string[]
}

/** Whether a role includes another. */
export function hasRole(role: ConsoleRole, needed: ConsoleRole): boolean {
  return role === 'operator' || needed === 'viewer'
}

/** Whether a user may change all of this. */
export function mayChange(caller: Caller, { groups = [], topics = [] }: ChangeSubject): boolean {
  return caller.role === 'operator' && refusedOf(caller, groups, topics).length === 0
}

/**
 * Refuses a change of groups or topics that are not the user's.
 *
 * @throws PipelineError `ERR_CONSOLE_FORBIDDEN`, naming them.
 */
export function needRight(caller: Caller, { groups = [], topics = [] }: ChangeSubject): void {
  if (caller.role !== 'operator') throw new PipelineError('ERR_CONSOLE_FORBIDDEN', 'this needs the role operator')
  const refused = refusedOf(caller, groups, topics)
  if (refused.length === 0) return
  const message = `${caller.user} may not change ${refused.slice(0, 5).join(', ')}: see console.auth`
  throw new PipelineError('ERR_CONSOLE_FORBIDDEN', message)
}

function refusedOf({ rights }: Caller, groups: readonly string[], topics: readonly string[]): string[] {
  const refused = (names: readonly string[], patterns: readonly string[] | undefined): string[] =>
    patterns === undefined ? [] : names.filter(name => !fitsAny(name, patterns))
  return [
    ...refused(groups, rights?.groups).map(name => `group ${name}`),
    ...refused(topics, rights?.topics).map(name => `topic ${name}`)
  ]
}
