/**
 * Quotas of clients (KIP-546): how much a user, a client id, or both may do, in each
 * broker. A quota on bytes is each broker's own: over a cluster of three, clients
 * that spread their records evenly get three times as much.
 */

import { alterClientQuotasApi, describeClientQuotasApi } from '../protocol/index.ts'
import { ask } from './admin-send.ts'
import type { Cluster } from './cluster.ts'
import { KAFKA, throwKafkaError } from './kafka-error.ts'

/** Whom a quota is for: those of both names, if there are two. */
export interface QuotaEntity {
  readonly clientId?: string
  readonly user?: string
}

const EXACT = 0

/**
 * The quotas of exactly that entity, by Kafka's names (`producer_byte_rate`, …).
 *
 * @throws PipelineError `ERR_CLIENT_KAFKA` if the cluster does not say, for want of the right to describe it.
 */
export async function describeQuotas(cluster: Cluster, entity: QuotaEntity): Promise<ReadonlyMap<string, number>> {
  const components = partsOf(entity).map(({ entityType, entityName }) => ({
    entityType,
    matchType: EXACT,
    match: entityName
  }))
  const request = { components, strict: true }
  const answer = await ask(cluster, () => cluster.send(describeClientQuotasApi, request, { to: 'any' }), {
    codesOf: ({ errorCode }) => [errorCode]
  })
  if (answer.errorCode !== KAFKA.NONE) throwKafkaError(answer.errorCode, 'DescribeClientQuotas')
  return new Map((answer.entries ?? []).flatMap(({ values }) => values.map(({ key, value }) => [key, value])))
}

/**
 * Sets quotas of an entity; `undefined` removes one. Others stay as they are.
 *
 * @throws PipelineError `ERR_CLIENT_KAFKA` if the cluster refuses, for want of the right to alter its configuration.
 */
export async function alterQuotas(
  cluster: Cluster,
  entity: QuotaEntity,
  values: Readonly<Record<string, number | undefined>>
): Promise<void> {
  const ops = Object.entries(values).map(([key, value]) => ({ key, value: value ?? 0, remove: value === undefined }))
  const entries = [{ entity: partsOf(entity), ops }]
  const answer = await ask(cluster, () => cluster.send(alterClientQuotasApi, { entries }, { to: 'controller' }), {
    codesOf: each => each.entries.map(({ errorCode }) => errorCode)
  })
  const failed = answer.entries.find(({ errorCode }) => errorCode !== KAFKA.NONE)
  if (failed !== undefined) throwKafkaError(failed.errorCode, 'AlterClientQuotas')
}

function partsOf({ clientId, user }: QuotaEntity): { entityType: string; entityName: string }[] {
  return [
    ...(user === undefined ? [] : [{ entityType: 'user', entityName: user }]),
    ...(clientId === undefined ? [] : [{ entityType: 'client-id', entityName: clientId }])
  ]
}
