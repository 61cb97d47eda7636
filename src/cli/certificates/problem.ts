/** What can be wrong with a certificate, a key or a secret: unusable as it is, or out of reach for now. */

import { PipelineError } from '../../core/index.ts'

/** One setting and what is wrong with it. */
export interface CredentialProblem {
  /** Names from `kafka` on: `['tls', 'cert']`. */
  readonly path: readonly string[]
  /** What is wrong, and what to do. Never with contents. */
  readonly reason: string
}

/** What is there cannot be used: only somebody who changes it can help. */
export function unusable(problems: readonly CredentialProblem[], cause?: unknown): PipelineError {
  const lines = problems.map(({ path, reason }) => `kafka.${path.join('.')}: ${reason}`)
  return new PipelineError('ERR_CONFIG_CREDENTIALS', lines.join('\n'), { cause, fields: { problems } })
}

/** What is needed cannot be had at the moment. */
export function unreachable(path: readonly string[], reason: string, cause?: unknown): PipelineError {
  const fields = { problems: [{ path, reason }] }
  return new PipelineError('ERR_CLI_CREDENTIALS_UNREACHABLE', `kafka.${path.join('.')}: ${reason}`, { cause, fields })
}
