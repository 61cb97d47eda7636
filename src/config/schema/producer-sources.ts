/** `producer.sources:` — where events come from. */

import { z } from 'zod'

import { kinesisSourceSchema, sqsSourceSchema } from './producer-aws-sources.ts'
import { httpSourceSchema } from './producer-http-source.ts'
import { kafkaSourceSchema } from './producer-kafka-source.ts'
import {
  directorySourceSchema,
  fileSourceSchema,
  followSourceSchema,
  stdinSourceSchema
} from './producer-line-sources.ts'
import { moduleSourceSchema, syslogSourceSchema } from './producer-own-sources.ts'
import { scenarioShape } from './scenario.ts'

const generatorSource = z.strictObject({ type: z.literal('generator'), ...scenarioShape })

/** One entry of `producer.sources:`. */
export const sourceSchema = z.discriminatedUnion('type', [
  httpSourceSchema,
  fileSourceSchema,
  stdinSourceSchema,
  directorySourceSchema,
  followSourceSchema,
  syslogSourceSchema,
  moduleSourceSchema,
  generatorSource,
  kafkaSourceSchema,
  kinesisSourceSchema,
  sqsSourceSchema
])
