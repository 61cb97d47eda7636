/** `GET /api/audit`: who did what. */

import { PipelineError } from '../../core/index.ts'
import type { AuditEntry } from '../api/session.ts'
import type { Page } from '../api/common.ts'
import type { AddRoutes } from './server-types.ts'

const LIMIT_MAX = 500
const LIMIT = 100

/** Adds the view of the audit log, for operators: it names people. */
export const addAuditRoutes: AddRoutes = (routes, { audit }) => {
  routes.view({
    path: '/api/audit',
    needs: 'operator',
    read: async (query): Promise<Page<AuditEntry>> => {
      const offset = wholeNumber(query, 'offset', { fallback: 0, max: Number.MAX_SAFE_INTEGER })
      const limit = wholeNumber(query, 'limit', { fallback: LIMIT, max: LIMIT_MAX })
      return { ...(await audit.read(offset, limit)), offset }
    }
  })
}

function wholeNumber(
  query: URLSearchParams,
  name: string,
  { fallback, max }: { readonly fallback: number; readonly max: number }
): number {
  const text = query.get(name)
  if (text === null) return fallback
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN
  if (value <= max) return value
  throw new PipelineError('ERR_CONSOLE_REQUEST', `${name}: a whole number from 0 to ${max}`)
}
