/** `producer:` — sources, routing, keys, rate limit and delivery. */

import { z } from 'zod'

import { integer, milliseconds, topicName } from './common.ts'
import { rateSchema } from './producer-rate.ts'
import { sourceSchema } from './producer-sources.ts'

const fieldValue = z.union([z.string(), z.number(), z.boolean()])

const range = z
  .strictObject({ from: z.number(), to: z.number() })
  .describe('All numbers from `from` to `to`, both included.')

const route = z
  .strictObject({
    field: z.string().min(1).describe('Field of the event, dots for nested ones: `vehicle.code`.'),
    topics: z
      .record(topicName, z.array(z.union([fieldValue, range])).min(1))
      .describe('For each topic the values of the field that go there. Numbers and their text are equal.'),
    otherwise: topicName.optional().describe('Topic for every other value. Default: the dead letter topic.')
  })
  .describe('Which topic an event goes to.')

const key = z
  .discriminatedUnion('strategy', [
    z.strictObject({ strategy: z.literal('field'), field: z.string().min(1) }),
    z.strictObject({
      strategy: z.literal('fields'),
      fields: z.array(z.string().min(1)).min(1),
      separator: z.string().default('|')
    }),
    z.strictObject({ strategy: z.literal('hash'), fields: z.array(z.string().min(1)).min(1) }),
    z.strictObject({ strategy: z.literal('none') })
  ])
  .describe('The record’s key. The key alone decides the partition, as in Kafka’s Java client.')

const delivery = z
  .strictObject({
    compression: z
      .enum(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
      .default('none')
      .describe('Source: Kafka `compression.type`.'),
    lingerMs: milliseconds(0, 60_000).default(5).describe('Source: Kafka `linger.ms`.'),
    batchBytes: integer(1024, 104_857_600).default(262_144).describe('Source: Kafka `batch.size`.'),
    bufferBytes: integer(1_048_576, 4_294_967_296).default(33_554_432).describe('Source: Kafka `buffer.memory`.'),
    timeoutMs: milliseconds(1000).default(120_000).describe('Retries end here. Source: Kafka `delivery.timeout.ms`.')
  })
  .prefault({})

/** `producer:` */
export const producerSchema = z.strictObject({
  sources: z.array(sourceSchema).default([]),
  recordBytesMax: integer(1, 104_857_600).default(1_000_000).describe('A larger event goes to the dead letter topic.'),
  route: z.union([z.strictObject({ topic: topicName }).describe('Every event to one topic.'), route]),
  key: key.prefault({ strategy: 'none' }),
  rate: rateSchema.optional(),
  delivery,
  openBytesMax: integer(1_048_576, 17_179_869_184)
    .default(134_217_728)
    .describe('Most bytes of what sources have handed over and Kafka has not acknowledged: a record holds all it came with.'),
  deadLetterTopic: topicName.describe('Where events go that cannot be read, routed, keyed or delivered.')
})

/** `producer:` as read. */
export type ProducerConfig = z.infer<typeof producerSchema>
/** One entry of `producer.sources:` as read. */
export type SourceConfig = ProducerConfig['sources'][number]
