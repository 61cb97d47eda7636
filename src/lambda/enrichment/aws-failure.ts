/** What an error of AWS means for a look-up. */

import { messageOf } from '../../core/index.ts'
import { awsErrorKind, awsErrorName } from '../../targets/sinks/index.ts'
import type { SourceAnswer } from './source.ts'

/** Most characters of a reason. */
const REASON_MAX = 500

/** An answer of a source that has nothing to tell. */
export type SourceFailure = Exclude<SourceAnswer, { kind: 'answered' }>

/** What a source called `name` answers when AWS's SDK failed with this error. */
export function awsFailure(name: string, error: unknown): SourceFailure {
  const reason = `${name}: ${awsErrorName(error)}: ${messageOf(error)}`.slice(0, REASON_MAX)
  switch (awsErrorKind(error)) {
    case 'content':
      return { kind: 'rejected', reason }
    // ValidationException: a key that cannot be, or a table whose keys are not these.
    case 'unclear':
      return { kind: 'rejected', reason, isUnclear: true }
    case 'refused':
      return { kind: 'unavailable', reason, isFinal: true }
    case 'throttled':
    case 'outage':
    case 'network':
      return { kind: 'unavailable', reason }
  }
}
