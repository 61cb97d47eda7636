/** `producer:` — sources, routing, keys, rate limit and delivery. */

import { z } from 'zod'

import { integer, milliseconds, topicName } from './common.ts'
import { spillSchema, whenAwaySchema } from './producer-away.ts'
import { keySchema, partitionerSchema } from './producer-keys.ts'
import { headersSchema } from './producer-headers.ts'
import { rateSchema } from './producer-rate.ts'
import { routeSchema } from './producer-routing.ts'
import { sourceSchema } from './producer-sources.ts'
import { transactionSchema } from './producer-transaction.ts'
import { validationSchema } from './producer-validation.ts'

const delivery = z
  .strictObject({
    compression: z
      .enum(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
      .default('none')
      .describe('Source: Kafka `compression.type`.'),
    lingerMs: z
      .union([milliseconds(0, 60_000), z.literal('adaptive')])
      .default(5)
      .describe('`adaptive`: 0 up to 5 MB/s, 5 from 20 MB/s on. Source: Kafka `linger.ms`.'),
    batchBytes: integer(1024, 104_857_600).default(262_144).describe('Source: Kafka `batch.size`.'),
    bufferBytes: integer(1_048_576, 4_294_967_296).default(33_554_432).describe('Source: Kafka `buffer.memory`.'),
    timeoutMs: milliseconds(1000).default(120_000).describe('Retries end here. Source: Kafka `delivery.timeout.ms`.'),
    transaction: transactionSchema.optional()
  })
  .prefault({})

/** `producer:` */
export const producerSchema = z.strictObject({
  sources: z.array(sourceSchema).default([]),
  recordBytesMax: integer(1, 104_857_600).default(1_000_000).describe('A larger event goes to the dead letter topic.'),
  route: routeSchema,
  validate: validationSchema,
  key: keySchema.prefault({ strategy: 'none' }),
  partitioner: partitionerSchema.optional(),
  rate: rateSchema.optional(),
  headers: headersSchema.optional(),
  delivery,
  whenAway: whenAwaySchema.prefault({}),
  spill: spillSchema.optional(),
  openBytesMax: integer(1_048_576, 17_179_869_184)
    .default(134_217_728)
    .describe('Most bytes handed over by sources and not acknowledged by Kafka; an event holds all it came with.'),
  deadLetterTopic: topicName.describe('Where events go that cannot be read, routed, keyed or delivered.')
})

/** `producer:` as read. */
export type ProducerConfig = z.infer<typeof producerSchema>
/** One entry of `producer.sources:` as read. */
export type SourceConfig = ProducerConfig['sources'][number]
