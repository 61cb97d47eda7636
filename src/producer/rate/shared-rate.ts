/** A rate that is that of all instances together: by a coordinator topic, or by a quota of Kafka. */

import type { Cluster } from '../../client/index.ts'
import type { Clock, Random } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { RateConfig } from '../options.ts'
import { ensureQuota } from './kafka-quota.ts'
import type { RateGate } from './rate-gate.ts'
import { ShareKeeper } from './share-keeper.ts'

/** What sharing a rate needs. */
export interface SharedRateOptions {
  readonly config: RateConfig | undefined
  readonly cluster: Cluster
  readonly gate: RateGate
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** Shares the rate with other instances, if the configuration says so. */
export class SharedRate {
  readonly #options: SharedRateOptions
  #keeper: ShareKeeper | undefined

  constructor(options: SharedRateOptions) {
    this.#options = options
  }

  /** Topics that must exist for it. */
  get topics(): readonly string[] {
    const shared = this.#options.config?.shared
    return shared?.type === 'topic' ? [shared.topic] : []
  }

  /**
   * Joins the others, or looks at the quota.
   *
   * @throws PipelineError `ERR_PRODUCER_QUOTA_FAILED`.
   */
  async start(): Promise<void> {
    const { config, cluster, logger } = this.#options
    const shared = config?.shared
    if (config === undefined || shared === undefined) return
    if (shared.type === 'topic') {
      this.#keeper = new ShareKeeper({ ...this.#options, config: shared })
      await this.#keeper.start()
    } else {
      const { bytesPerSecond = 0 } = config
      await ensureQuota({ cluster, config: shared, bytesPerSecond, logger })
    }
  }

  /** Leaves the others. Idempotent. */
  async close(): Promise<void> {
    await this.#keeper?.close()
  }
}
