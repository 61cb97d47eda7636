/** `producer.sources[]` with `type: kafka` — another topic as a source. */

import { z } from 'zod'

import { integer, milliseconds, topicName } from './common.ts'
import { kafkaSchema } from './kafka.ts'

/** A topic of this or another cluster. */
export const kafkaSourceSchema = z.strictObject({
  type: z.literal('kafka'),
  cluster: kafkaSchema
    .optional()
    .describe('The cluster to read from, with the settings of `kafka:`. Default: the pipeline’s own.'),
  topics: z.array(topicName).min(1).describe('Topics to read. No topic that this pipeline writes to.'),
  groupId: z
    .string()
    .min(1)
    .max(249)
    .describe('Group whose offsets say how far it is; instances with the same one share the partitions.'),
  startAt: z
    .enum(['earliest', 'latest', 'none'])
    .default('earliest')
    .describe('Where to start without a committed offset. Source: Kafka `auto.offset.reset`.'),
  isolation: z
    .enum(['committed', 'uncommitted'])
    .default('committed')
    .describe('Whether records of open and aborted transactions are left out. Source: Kafka `isolation.level`.'),
  keepKey: z
    .boolean()
    .default(false)
    .describe('Records keep their key, a null one too, instead of one from `producer.key`.'),
  keepHeaders: z.boolean().default(false).describe('Records keep their headers, before those that the producer adds.'),
  keepTimestamp: z
    .boolean()
    .default(false)
    .describe('Records keep their time, if the topic they go to has message.timestamp.type CreateTime.'),
  tombstones: z
    .enum(['deadLetter', 'skip', 'pass'])
    .default('deadLetter')
    .describe('Records without a value. `pass` needs keepKey and one topic that all events go to.'),
  partitionBytesMax: integer(1024, 104_857_600)
    .default(1_048_576)
    .describe('Bytes that are read of a partition at once. Source: Kafka `max.partition.fetch.bytes`.'),
  commitIntervalMs: milliseconds(1, 60_000)
    .default(1000)
    .describe('Longest time until offsets are committed: so much comes again after a crash, and what was in flight.'),
  sessionTimeoutMs: milliseconds(1000, 1_800_000).default(45_000).describe('Source: Kafka `session.timeout.ms`.'),
  rebalanceTimeoutMs: milliseconds(1000, 1_800_000)
    .default(300_000)
    .describe('Longest time to finish events before a partition goes. Source: Kafka `max.poll.interval.ms`.')
})
