/** `dispatcher:` — membership of the consumer group: which protocol, who gets what, how quickly, how it is left. */

import { z } from 'zod'

import { milliseconds } from './common.ts'

/** `dispatcher.groupProtocol:` */
export const groupProtocolSchema = z
  .enum(['auto', 'consumer', 'classic'])
  .default('auto')
  .describe(
    '`consumer`: KIP-848, Kafka 4. `classic`: every Kafka. `auto`: consumer where the cluster has it and the group ' +
      'allows it, unless `sessionTimeoutMs` or `assignors`, which only `classic` knows, are set. ' +
      'Source: Kafka `group.protocol`.'
  )

/** `dispatcher.groupInstanceId:` */
export const groupInstanceIdSchema = z
  .string()
  .min(1)
  .optional()
  .describe('Static membership: a restart within the session timeout moves nothing. Source: Kafka `group.instance.id`.')

/** `dispatcher.staticStop:` */
export const staticStopSchema = z
  .enum(['keep', 'leave'])
  .default('keep')
  .describe('Whether a static member that stops keeps its partitions for its next start, or leaves them to the others.')

/** `dispatcher.assignors:` */
export const assignorsSchema = z
  .array(z.enum(['cooperative-sticky', 'sticky', 'range', 'roundrobin']))
  .min(1)
  .default(['cooperative-sticky', 'range'])
  .describe('Classic protocol: in order of preference. Source: Kafka `partition.assignment.strategy`.')

/** `dispatcher.serverAssignor:` */
export const serverAssignorSchema = z
  .string()
  .min(1)
  .optional()
  .describe(
    'Consumer protocol: `uniform` or `range`. Default: the broker’s choice. Source: Kafka `group.remote.assignor`.'
  )

/** `dispatcher.sessionTimeoutMs:` */
export const sessionTimeoutMsSchema = milliseconds(6000, 1_800_000)
  .default(45_000)
  .describe(
    'Longest silence of a member. In the consumer protocol the broker decides. Source: Kafka `session.timeout.ms`.'
  )

/** `dispatcher.heartbeatIntervalMs:` */
export const heartbeatIntervalMsSchema = milliseconds(100)
  .default(1000)
  .describe(
    'Longest time between heartbeats; they are quicker while the group changes, or when the broker asks for it. ' +
      'Source: Kafka `heartbeat.interval.ms`.'
  )

/** `dispatcher.rebalanceTimeoutMs:` */
export const rebalanceTimeoutMsSchema = milliseconds(1000)
  .default(300_000)
  .describe('Longest drain of revoked partitions. Source: Kafka `max.poll.interval.ms`.')

/** `dispatcher.topicCheckIntervalMs:` */
export const topicCheckIntervalMsSchema = milliseconds(100)
  .default(5000)
  .describe(
    'Classic protocol: how soon new partitions are noticed; in the consumer protocol the broker tells. ' +
      'Source: Kafka `metadata.max.age.ms`.'
  )
