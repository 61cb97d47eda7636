/** `producer.sources:` — where events come from. */

import { z } from 'zod'

import { integer, listenHost, port } from './common.ts'
import { kinesisSourceSchema, sqsSourceSchema } from './producer-aws-sources.ts'
import { kafkaSourceSchema } from './producer-kafka-source.ts'
import { fileSourceSchema, stdinSourceSchema } from './producer-line-sources.ts'
import { scenarioShape } from './scenario.ts'

const httpSource = z.strictObject({
  type: z.literal('http'),
  host: listenHost,
  port: port.default(8080),
  bodyBytesMax: integer(1024, 104_857_600).default(10_485_760).describe('A larger body is answered with 413.'),
  pendingBytesMax: integer(1024, 4_294_967_296)
    .default(67_108_864)
    .describe('Most bytes of bodies waiting for Kafka; above it the answer is 429 with Retry-After.')
})

const generatorSource = z.strictObject({ type: z.literal('generator'), ...scenarioShape })

/** One entry of `producer.sources:`. */
export const sourceSchema = z.discriminatedUnion('type', [
  httpSource,
  fileSourceSchema,
  stdinSourceSchema,
  generatorSource,
  kafkaSourceSchema,
  kinesisSourceSchema,
  sqsSourceSchema
])

