/**
 * AlterClientQuotas, versions 0 and 1: sets and removes quotas of users, client
 * ids and addresses; each entity has its own result. Source: KIP-546, KIP-612.
 */

import { alterClientQuotasApi, type AlterClientQuotasRequestEntryData } from '../../protocol/index.ts'
import {
  entityOf,
  identityOf,
  isProblem,
  type QuotaChange,
  type QuotaEntity,
  type QuotaProblem,
  quotaProblem
} from '../security/quotas/index.ts'
import { defineHandler, errorCode, errorMessage } from './handler.ts'
import { stored } from './stored.ts'

const TOO_MANY: QuotaProblem = { error: 'POLICY_VIOLATION', message: 'Too many entities have quotas.' }
const NOT_STORED: QuotaProblem = { error: 'KAFKA_STORAGE_ERROR', message: 'The quotas could not be stored.' }

/** The handler of AlterClientQuotas. */
export const alterClientQuotasHandler = defineHandler({
  api: alterClientQuotasApi,
  clusterOperation: 'alterConfigs',
  handle: async (broker, request) => {
    const changes = new Map<string, QuotaChange>()
    const problems = request.entries.map(entry => changeProblem(entry, changes))
    const isValidOnly = request.validateOnly || changes.size === 0
    const isDone =
      isValidOnly || (await stored(broker, 'quotas', () => broker.quotas.store.change([...changes.values()])))
    const failure = isDone === undefined ? NOT_STORED : isDone ? undefined : TOO_MANY
    const entries = request.entries.map(({ entity }, index) => {
      const problem = problems[index] ?? failure
      const error = problem?.error ?? 'NONE'
      return { errorCode: errorCode(error), errorMessage: problem?.message ?? null, entity }
    })
    return { entries }
  },
  fail: (request, code) => ({
    entries: request.entries.map(({ entity }) => ({
      errorCode: code,
      errorMessage: errorMessage('CLUSTER_AUTHORIZATION_FAILED'),
      entity
    }))
  })
})

/** Why an entry cannot be done; what can is added to `changes`. */
function changeProblem(
  { entity: parts, ops }: AlterClientQuotasRequestEntryData,
  changes: Map<string, QuotaChange>
): QuotaProblem | undefined {
  const entity = entityOf(parts)
  if (isProblem(entity)) return entity
  const identity = identityOf(entity)
  if (changes.has(identity)) return invalid(`Ignoring duplicate entity ${describe(entity)}`)
  const values = new Map<string, number | null>()
  for (const { key, value, remove } of ops) {
    if (values.has(key))
      return invalid(`Duplicate quota key ${key} not updating quota for this entity ${describe(entity)}`)
    const problem = remove ? undefined : quotaProblem(entity, key, value)
    if (problem !== undefined) return problem
    values.set(key, remove ? null : value)
  }
  changes.set(identity, { entity, values })
  return undefined
}

function describe(entity: QuotaEntity): string {
  return JSON.stringify(entity)
}

function invalid(message: string): QuotaProblem {
  return { error: 'INVALID_REQUEST', message }
}
