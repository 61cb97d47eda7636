/** The outlet that a producer's settings ask for. */

import { Appender, type AppenderOptions, type Cluster } from '../../client/index.ts'
import type { ProducerConfig } from '../../config/index.ts'
import type { Clock, Random } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { SpillOutlet } from './spill-outlet.ts'
import { WatchedOutlet } from './watched-outlet.ts'

/** What an outlet is made of. */
export interface OutletParts {
  readonly config: ProducerConfig
  readonly cluster: Cluster
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** A timer's longest: a record that is safe on disk is tried for as long as its process lives. */
const NO_TIMEOUT_MS = 2_147_483_647

/** Makes the outlet; one that spills has to be opened. */
export function createOutlet(parts: OutletParts): SpillOutlet | WatchedOutlet {
  const { config, clock, logger } = parts
  const { whenAway, spill, delivery, deadLetterTopic } = config
  if (whenAway.mode !== 'spill' || spill === undefined) {
    const appender = new Appender(appenderOptions(parts, delivery.timeoutMs))
    return new WatchedOutlet({ appender, afterMs: whenAway.afterMs, clock, logger })
  }
  const appender = new Appender(appenderOptions(parts, NO_TIMEOUT_MS))
  const { afterMs } = whenAway
  const { timeoutMs } = delivery
  return new SpillOutlet({ appender, deadLetterTopic, spill, afterMs, timeoutMs, clock, logger })
}

function appenderOptions({ config, cluster, clock, random, logger }: OutletParts, timeoutMs: number): AppenderOptions {
  const { compression, lingerMs, batchBytes, bufferBytes } = config.delivery
  return {
    cluster,
    acks: 'all',
    isIdempotent: true,
    compression,
    lingerMs,
    batchBytes,
    bufferBytes,
    deliveryTimeoutMs: timeoutMs,
    clock,
    random,
    logger
  }
}
