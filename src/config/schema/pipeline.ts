/** The whole pipeline file, and the checks that span its parts. */

import { z } from 'zod'

import { type Report, topicName } from './common.ts'
import { consoleSchema } from './console.ts'
import { dispatcherSchema } from './dispatcher.ts'
import { checkDispatcher } from './dispatcher-rules.ts'
import { checkDistributor } from './distributor.ts'
import { eventSourceMappingsSchema } from './event-source-mappings.ts'
import { kafkaSchema, topicSchema } from './kafka.ts'
import { lambdaSchema } from './lambda.ts'
import { operationsSchema } from './operations.ts'
import { producerSchema } from './producer.ts'
import { checkProducer } from './producer-rules.ts'
import { telemetrySchema } from './telemetry.ts'

/** What the distributor keeps back of an invocation, and the shortest request that it begins. */
const distributorTimeoutMinMs = 270

/** The pipeline file: its shape. `checkRules` has the rules that span several settings. */
export const pipelineSchema = z.strictObject({
  $schema: z.string().optional().describe('For editors only.'),
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower case letters, digits and "-", at most 63')
    .describe('Name of the pipeline, in logs and metrics.'),
  kafka: kafkaSchema,
  topics: z
    .record(topicName, topicSchema.prefault({}))
    .default({})
    .describe('Topics that `comporta up` creates where they do not exist.'),
  producer: producerSchema.optional(),
  dispatcher: dispatcherSchema.optional(),
  lambda: lambdaSchema.optional(),
  eventSourceMappings: eventSourceMappingsSchema,
  operations: operationsSchema,
  telemetry: telemetrySchema,
  console: consoleSchema
})

/** The pipeline file as read: defaults filled in. */
export type PipelineConfig = z.infer<typeof pipelineSchema>

type Sections = Pick<Partial<PipelineConfig>, 'producer' | 'dispatcher' | 'lambda'>

/** Reads each section on its own, so that rules can be checked in the sound ones when another is broken. */
export function soundSections(value: unknown): Sections {
  if (typeof value !== 'object' || value === null) return {}
  const given = value as Record<string, unknown>
  return {
    producer: producerSchema.optional().safeParse(given['producer']).data,
    dispatcher: dispatcherSchema.optional().safeParse(given['dispatcher']).data,
    lambda: lambdaSchema.optional().safeParse(given['lambda']).data
  }
}

/** Reports what each setting allows on its own, but not together with the others. */
export function checkRules(sections: Sections, report: Report): void {
  if (sections.producer !== undefined) checkProducer(sections.producer, report)
  if (sections.dispatcher !== undefined) checkDispatcher(sections.dispatcher, sections.lambda, report)
  checkLambda(sections, report)
}

function checkLambda(pipeline: Sections, report: Report): void {
  for (const [name, options] of Object.entries(pipeline.lambda?.functions ?? {})) {
    const path = ['lambda', 'functions', name]
    const isDistributor = options.handler === 'builtin:distributor'
    if (isDistributor !== (options.distributor !== undefined)) {
      report(path, '`handler: builtin:distributor` and `distributor:` belong together')
    }
    if (options.handler.startsWith('builtin:') && !isDistributor) {
      report([...path, 'handler'], 'there is no other built-in function than builtin:distributor')
    }
    if (isDistributor && options.timeoutMs < distributorTimeoutMinMs) {
      report([...path, 'timeoutMs'], `leaves no time for a request: at least ${distributorTimeoutMinMs}`)
    }
    if (options.distributor !== undefined) checkDistributor(options.distributor, [...path, 'distributor'], report)
  }
}
