/**
 * A limit on bytes that Kafka holds over all instances: `producer_byte_rate` of
 * their client id, or of their user and client id.
 *
 * Kafka counts in each broker on its own, so each broker gets its part of the
 * rate. Leaders that are not spread evenly make the whole less than the rate, never
 * more. Kafka counts bytes as they arrive, after compression; it does not refuse
 * what is too much but answers late, which the appender heeds.
 *
 * The quota is compared when the producer starts, and set only if the
 * configuration says so: it is the cluster's, and others may have set it.
 */

import { Admin, type Cluster, type QuotaEntity } from '../../client/index.ts'
import { messageOf, PipelineError } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { RateConfig } from '../options.ts'

/** `producer.rate.shared` with `type: quota`. */
export type QuotaShareConfig = Extract<NonNullable<RateConfig['shared']>, { type: 'quota' }>

const NAME = 'producer_byte_rate'

/** How a quota is, and how it should be. All in bytes per second and broker. */
export interface QuotaComparison {
  readonly entity: QuotaEntity
  readonly brokerCount: number
  readonly wanted: number
  /** `undefined` if there is none. */
  readonly actual: number | undefined
}

/** What is asked of a quota. */
export interface QuotaQuestion {
  readonly cluster: Cluster
  readonly config: QuotaShareConfig
  /** Of all instances together. */
  readonly bytesPerSecond: number
}

/** Reads the quota. */
export async function compareQuota({ cluster, config, bytesPerSecond }: QuotaQuestion): Promise<QuotaComparison> {
  const { user } = config
  const entity = { clientId: cluster.clientId, ...(user === undefined ? {} : { user }) }
  const { brokers } = await cluster.metadata([])
  const brokerCount = Math.max(1, brokers.length)
  const quotas = await new Admin(cluster).describeQuotas(entity)
  return {
    entity,
    brokerCount,
    wanted: Math.max(1, Math.floor(bytesPerSecond / brokerCount)),
    actual: quotas.get(NAME)
  }
}

/**
 * Compares the quota with the configuration, and sets it if `manage` says so.
 *
 * @throws PipelineError `ERR_PRODUCER_QUOTA_FAILED` if it is to be set and cannot be.
 */
export async function ensureQuota(question: QuotaQuestion & { readonly logger: Logger }): Promise<void> {
  const { cluster, config, logger } = question
  try {
    const { entity, wanted, actual, brokerCount } = await compareQuota(question)
    const fields = { ...entity, wanted, actual, brokers: brokerCount }
    if (actual === wanted) return
    if (!config.manage) {
      logger.warn(fields, 'the quota of the cluster is not that of the configuration; `manage: true` would set it')
      return
    }
    await new Admin(cluster).alterQuotas(entity, { [NAME]: wanted })
    logger.info(fields, 'the quota was set')
  } catch (cause) {
    if (!config.manage) {
      logger.warn({ error: messageOf(cause) }, 'the quota of the cluster cannot be read: whether it holds is not known')
      return
    }
    const message = `the quota of ${cluster.clientId} cannot be set: ${messageOf(cause)}`
    throw new PipelineError('ERR_PRODUCER_QUOTA_FAILED', message, { cause })
  }
}
