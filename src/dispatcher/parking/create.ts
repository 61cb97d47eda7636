/** The retry topics of a dispatcher, put together from its configuration. */

import type { DispatcherConfig } from '../../config/index.ts'
import type { TopicPartition } from '../../client/index.ts'
import type { Clock, Random } from '../../core/index.ts'
import { type Logger, type Meter, observedGaugeOf } from '../../telemetry/index.ts'
import { AsideWriter } from '../aside-writer.ts'
import type { DeadLetterAside } from '../dead-letters.ts'
import type { AppenderLike, KafkaSide } from '../kafka-side.ts'
import type { LaneSurroundings } from '../lane-surroundings.ts'
import type { Meters } from '../meters.ts'
import type { RetryFetching } from './retry-lane.ts'
import { RetryTiers } from './retry-tiers.ts'
import { RetryTopics } from './retry-topics.ts'

/** What retry topics are put together from. */
export interface RetryParts {
  readonly config: DispatcherConfig
  readonly kafka: KafkaSide
  readonly deadLetters: DeadLetterAside
  /** What the lanes of a topic work with. */
  readonly aroundOf: (topic: string) => LaneSurroundings
  readonly fetching: RetryFetching
  readonly meters: Meters
  readonly meter: Meter
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** Retry topics at work. */
export interface Retries {
  readonly tiers: RetryTiers
  readonly appender: AppenderLike
}

/**
 * Longest time that a record may be on its way into a retry topic, in milliseconds: as good as for ever. If one were
 * given up while those behind it of the same key went through, they would overtake it.
 */
const DELIVERY_TIMEOUT_MS = 2_147_483_647

/** Names of the retry topics of a dispatcher; `undefined` if it has none. */
export function retryTopicsOf(config: DispatcherConfig): RetryTopics | undefined {
  const { delays } = config.retry
  return delays.length === 0 ? undefined : new RetryTopics(config.groupId, delays)
}

/** Puts retry topics together; `undefined` if there are none. */
export function retriesOf(topics: RetryTopics | undefined, parts: RetryParts): Retries | undefined {
  if (topics === undefined) return undefined
  const { config, kafka, meters, clock, random, logger } = parts
  const { retry, groupId, order } = config
  const appender = kafka.createAppender({ lingerMs: 5, deliveryTimeoutMs: DELIVERY_TIMEOUT_MS, clock, random, logger })
  const tiers = new RetryTiers({
    topics,
    kafka,
    mayCreate: retry.createTopics,
    keysMax: retry.parkedKeysMax,
    parking: {
      groupId,
      writer: new AsideWriter({ what: 'retry topic', appender, clock, random, logger }),
      deadLetters: parts.deadLetters,
      keepsKeyOrder: retry.order === 'key' && order !== 'none',
      ageMaxMs: retry.ageMaxMs,
      meters,
      clock,
      logger
    },
    aroundOf: parts.aroundOf,
    fetching: parts.fetching
  })
  const attributes = { group: groupId }
  observedGaugeOf(parts.meter, 'comporta.dispatcher.parked_keys').addCallback(result =>
    result.observe(tiers.parkedKeys, attributes)
  )
  return { tiers, appender }
}

/** The topic that a retry topic belongs to; any other topic is its own. */
export function originTopics(topics: RetryTopics | undefined, origins: readonly string[]): (topic: string) => string {
  const byTopic = new Map<string, string>()
  for (const origin of origins) for (const { topic } of topics?.tiersOf(origin) ?? []) byTopic.set(topic, origin)
  return topic => byTopic.get(topic) ?? topic
}

/** A retry topic is not one of the topics that the dispatcher reads, nor its dead letter topic. */
export function clashOf(topics: RetryTopics | undefined, config: DispatcherConfig): string | undefined {
  const taken = new Set([...config.topics, config.deadLetterTopic])
  const names = config.topics.flatMap(topic => topics?.companionsOf({ topic, partition: 0 }) ?? [])
  return names.map(({ topic }: TopicPartition) => topic).find(name => taken.has(name))
}
