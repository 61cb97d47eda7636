/**
 * How many partitions a broker carries: Amazon MSK's own numbers, and a rule of thumb where no profile is known. Pure.
 *
 * Source: Amazon MSK developer guide, "Right-size your cluster" (Standard and Express brokers), "MSK Serverless quota".
 * Numbers count replicas, leaders and followers alike; Serverless counts leaders only.
 */

/** Kind of cluster: says which limits hold. `self` = not MSK. */
export type ClusterProfile = 'self' | 'standard' | 'express' | 'serverless'

/** Partition replicas that one broker takes. */
export interface BrokerLimit {
  readonly recommended: number
  /** Above it MSK refuses changes of configuration, version and size. */
  readonly max: number
}

/** Leaders of a Serverless cluster. */
export const SERVERLESS_LEADERS_MAX = 2400
/** Leaders of compacted topics of a Serverless cluster. */
export const SERVERLESS_COMPACTED_MAX = 120
/** Partitions that Serverless creates in five minutes. */
export const SERVERLESS_CREATES_MAX = 250
/** Length of that window, in milliseconds. */
export const SERVERLESS_CREATES_WINDOW_MS = 300_000
/** MB/s that one partition of a Serverless cluster takes, and gives. */
export const SERVERLESS_PARTITION_MB = { in: 5, out: 10 } as const
/** MB/s that one partition of an Express cluster takes. */
export const EXPRESS_PARTITION_MB = 15

/**
 * Where no profile is named: Kafka itself has no limit; each partition costs open files, memory and time of a failover.
 * 4,000 replicas per broker is a rule of thumb.
 */
export const SELF_LIMIT: BrokerLimit = { recommended: 4000, max: Number.POSITIVE_INFINITY }

const standard: Readonly<Record<string, BrokerLimit>> = {
  small: { recommended: 300, max: 300 },
  large: { recommended: 1000, max: 1500 },
  xlarge: { recommended: 1000, max: 1500 },
  '2xlarge': { recommended: 2000, max: 3000 },
  '4xlarge': { recommended: 4000, max: 6000 },
  '8xlarge': { recommended: 4000, max: 6000 },
  '12xlarge': { recommended: 4000, max: 6000 },
  '16xlarge': { recommended: 4000, max: 6000 },
  '24xlarge': { recommended: 4000, max: 4000 }
}

const express: Readonly<Record<string, BrokerLimit>> = {
  large: { recommended: 1000, max: 1500 },
  xlarge: { recommended: 1000, max: 2000 },
  '2xlarge': { recommended: 2500, max: 4000 },
  '4xlarge': { recommended: 6000, max: 8000 },
  '8xlarge': { recommended: 12_000, max: 16_000 },
  '12xlarge': { recommended: 16_000, max: 24_000 },
  '16xlarge': { recommended: 20_000, max: 32_000 }
}

/**
 * Limit of one broker of a type such as `kafka.m7g.large` or `express.m7g.xlarge`; the prefix may be left out.
 *
 * @returns `undefined` for Serverless, which has no brokers, and for a type that is not known.
 */
export function brokerLimit(profile: ClusterProfile, brokerType: string | undefined): BrokerLimit | undefined {
  if (profile === 'serverless') return undefined
  if (profile === 'self') return SELF_LIMIT
  const size = brokerType?.split('.').at(-1)
  return size === undefined ? undefined : (profile === 'express' ? express : standard)[size]
}
