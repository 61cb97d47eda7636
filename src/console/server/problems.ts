/**
 * From errors to answers: every code has a status, and what is not an error of ours says nothing of the inside.
 */

import { type ErrorCode, messageOf, PipelineError } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { ProblemAnswer } from '../api/common.ts'

/** An answer that says what is wrong. */
export interface Problem {
  readonly status: number
  readonly answer: ProblemAnswer
  /** Seconds after which it may be tried again. */
  readonly retryAfterSeconds?: number
}

const STATUS: Partial<Record<ErrorCode, number>> = {
  ERR_CONSOLE_AUDIT: 503,
  ERR_CONSOLE_BUSY: 429,
  ERR_CONSOLE_CROSS_SITE: 403,
  ERR_CONSOLE_FORBIDDEN: 403,
  ERR_CONSOLE_HOST: 421,
  ERR_CONSOLE_INSTANCE: 502,
  ERR_CONSOLE_INTERNAL: 500,
  ERR_CONSOLE_LOGIN: 401,
  ERR_CONSOLE_NOT_FOUND: 404,
  ERR_CONSOLE_OIDC: 502,
  ERR_CONSOLE_PAGES: 500,
  ERR_CONSOLE_RATE: 429,
  ERR_CONSOLE_REQUEST: 400,
  ERR_OPS_NOT_FOUND: 404,
  ERR_OPS_QUERY_INVALID: 400
}

/** The answer to a request that ended with an error. What only a bug explains is logged under a number. */
export function problemOf(error: unknown, logger: Logger): Problem {
  if (PipelineError.is(error)) {
    const retryAfter = error.fields['retryAfterSeconds']
    return {
      status: STATUS[error.code] ?? (error.code.startsWith('ERR_CLIENT_') ? 502 : error.retriable ? 503 : 422),
      answer: { code: error.code, message: error.message },
      ...(typeof retryAfter === 'number' ? { retryAfterSeconds: retryAfter } : {})
    }
  }
  const status = statusOfFastify(error)
  if (status !== undefined) {
    return { status, answer: { code: 'ERR_CONSOLE_REQUEST', message: messageOf(error) } }
  }
  const number = crypto.randomUUID().slice(0, 8)
  const stack = error instanceof Error ? error.stack : undefined
  logger.error({ number, error: messageOf(error), stack }, 'a request failed by a fault of the console')
  const message = `this is a fault of the console; its log has the reason under ${number}`
  return { status: 500, answer: { code: 'ERR_CONSOLE_INTERNAL', message } }
}

/** Bodies that are too large or are no JSON, methods and types that are not known: the server's own words are fine. */
function statusOfFastify(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('statusCode' in error)) return undefined
  const { code, statusCode } = error
  const isTheirs = typeof code === 'string' && code.startsWith('FST_ERR_') && typeof statusCode === 'number'
  if (isTheirs && statusCode >= 400 && statusCode < 500) return statusCode
  // A body that is no JSON: a SyntaxError with a status.
  return error instanceof SyntaxError && statusCode === 400 ? 400 : undefined
}
