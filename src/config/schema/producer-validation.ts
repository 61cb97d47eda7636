/** `producer.validate:` — what events must be. */

import { z } from 'zod'

import { integer, topicName } from './common.ts'

/** What the events of a topic, or of a rule, must be. */
export const eventCheckSchema = z
  .strictObject({
    schema: z
      .record(z.string(), z.unknown())
      .optional()
      .describe('JSON Schema, here in the file. Draft 2020-12, or 07 if its `$schema` says so.'),
    schemaFile: z
      .string()
      .min(1)
      .optional()
      .describe('File with a JSON Schema, as JSON or YAML. It may refer to files in its folder and below.'),
    required: z
      .array(z.string().min(1))
      .max(1000)
      .default([])
      .describe('Fields that must be there and not null, dots for nested ones. Cheaper than a schema.'),
    recordBytesMax: integer(1, 104_857_600).optional().describe('Longest event. Default: `producer.recordBytesMax`.'),
    errorTopic: topicName.optional().describe('Where invalid events go. Default: `producer.validate.errorTopic`.')
  })
  .superRefine((check, context) => {
    if (check.schema !== undefined && check.schemaFile !== undefined) {
      context.addIssue({ code: 'custom', path: ['schemaFile'], message: 'and schema exclude each other' })
    }
  })

/** `producer.validate:` */
export const validationSchema = z
  .strictObject({
    topics: z
      .record(topicName, eventCheckSchema)
      .default({})
      .describe('For each topic that is routed to (before a split) what its events must be.'),
    errorTopic: topicName.optional().describe('Where invalid events go. Default: `producer.deadLetterTopic`.'),
    reasonsMax: integer(1, 100).default(10).describe('Most reasons that are told of one event.'),
    depthMax: integer(1, 256).default(64).describe('Objects and lists within one another; deeper events are invalid.')
  })
  .prefault({})
  .describe('What is checked of events before they go to a topic.')

/** What the events of a topic or of a rule must be, as read. */
export type EventCheckConfig = z.infer<typeof eventCheckSchema>
