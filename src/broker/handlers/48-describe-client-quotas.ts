/**
 * DescribeClientQuotas, versions 0 and 1: quotas of the entities that a filter
 * means; a filter without components means all, unless it is strict. Source: KIP-546.
 */

import { describeClientQuotasApi } from '../../protocol/index.ts'
import { filterOf, isEntityMeant, partsOf } from '../security/quotas/index.ts'
import { defineHandler, errorCode } from './handler.ts'

/** The handler of DescribeClientQuotas. */
export const describeClientQuotasHandler = defineHandler({
  api: describeClientQuotasApi,
  clusterOperation: 'describeConfigs',
  handle: (broker, request) => {
    const filter = filterOf(request.components, request.strict)
    if ('error' in filter) return { errorCode: errorCode(filter.error), errorMessage: filter.message, entries: null }
    const entries = broker.quotas.store.rows
      .filter(({ entity }) => isEntityMeant(filter, entity))
      .map(({ entity, values }) => ({
        entity: partsOf(entity),
        values: [...values].map(([key, value]) => ({ key, value }))
      }))
    return { errorMessage: null, entries }
  },
  fail: (_request, code) => ({ errorCode: code, entries: null })
})
