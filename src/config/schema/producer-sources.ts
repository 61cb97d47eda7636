/** `producer.sources:` — where events come from. */

import { z } from 'zod'

import { integer, listenHost, port } from './common.ts'
import { kafkaSourceSchema } from './producer-kafka-source.ts'
import { fileSourceSchema, stdinSourceSchema } from './producer-line-sources.ts'

const httpSource = z.strictObject({
  type: z.literal('http'),
  host: listenHost,
  port: port.default(8080),
  bodyBytesMax: integer(1024, 104_857_600).default(10_485_760).describe('A larger body is answered with 413.'),
  pendingBytesMax: integer(1024, 4_294_967_296)
    .default(67_108_864)
    .describe('Most bytes of bodies waiting for Kafka; above it the answer is 429 with Retry-After.')
})

const generatorSource = z.strictObject({
  type: z.literal('generator'),
  records: integer(0, 1_000_000_000_000).optional().describe('Events to make. Default: no end.'),
  recordsPerSecond: z.number().positive().optional().describe('Default: as fast as Kafka takes them.'),
  rampUpMs: milliseconds(0).default(0).describe('Time over which the rate grows from a fifth to the whole.'),
  seed: integer(0, 4_294_967_295).default(1),
  trucks: integer(1, 10_000_000).default(1000),
  malformedRatio: z.number().min(0).max(1).default(0).describe('Share of events that are not JSON.'),
  poisonRatio: z.number().min(0).max(1).default(0).describe('Share of events that their service refuses.')
})

/** One entry of `producer.sources:`. */
export const sourceSchema = z.discriminatedUnion('type', [
  httpSource,
  fileSourceSchema,
  stdinSourceSchema,
  generatorSource,
  kafkaSourceSchema
])

