/** `eventSourceMappings:` — AWS's event source mappings for Kafka, on this machine. */

import { z } from 'zod'

import { httpUrl, integer, milliseconds, topicName } from './common.ts'

const startingPosition = z
  .union([z.enum(['trimHorizon', 'latest']), z.iso.datetime({ offset: true })])
  .default('trimHorizon')
  .describe('Where to begin without a committed offset: an end, or a time (AT_TIMESTAMP), as 2026-01-31T12:00:00Z.')

const pollers = z
  .strictObject({
    min: integer(1, 200).default(1).describe('MinimumPollers.'),
    max: integer(1, 2000).default(200).describe('MaximumPollers; never more than the topic has partitions.')
  })
  .describe('ProvisionedPollerConfig: provisioned mode. Without it on-demand mode, which has no settings for errors.')

/** One entry of `eventSourceMappings:` */
export const eventSourceMappingSchema = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Enabled.'),
    functionName: z.string().min(1).describe('FunctionName: name or ARN, with or without a qualifier.'),
    topic: topicName.describe('Topics: AWS has one per mapping.'),
    uuid: z.uuid().optional().describe('UUID. Default: made from group, function and topic.'),
    groupId: z.string().min(1).max(200).optional().describe('ConsumerGroupId. Default: the UUID, as in AWS.'),
    startingPosition,
    batchSize: integer(1, 10_000).default(100).describe('BatchSize: most records of one invocation.'),
    batchingWindowMs: milliseconds(0, 300_000)
      .default(500)
      .describe('MaximumBatchingWindowInSeconds: 0, whole seconds, or the 500 ms that AWS has as default.'),
    pollers: pollers.optional(),
    filters: z
      .array(z.record(z.string(), z.unknown()))
      .max(10)
      .default([])
      .describe('FilterCriteria: event patterns on `value`; a record passes that matches one of them.'),
    retriesMax: integer(-1, 10_000)
      .default(-1)
      .describe('MaximumRetryAttempts: -1 = without end, which is 10 with an on-failure destination.'),
    recordAgeMaxMs: integer(-1, 604_800_000)
      .default(-1)
      .describe('MaximumRecordAgeInSeconds: -1 = any age, else from 60000.'),
    bisect: z.boolean().default(false).describe('BisectBatchOnFunctionError.'),
    partialResponses: z.boolean().default(false).describe('FunctionResponseTypes: ReportBatchItemFailures.'),
    onFailure: z
      .string()
      .optional()
      .describe('DestinationConfig.OnFailure: ARN of an SQS queue, SNS topic or S3 bucket, or `kafka://topic`.'),
    onFailureEndpoint: httpUrl.optional().describe('Address of SQS, SNS and S3, for emulators. Default: AWS.'),
    eventSourceArn: z
      .string()
      .startsWith('arn:')
      .optional()
      .describe('EventSourceArn: with it events are those of Amazon MSK, else of a self-managed cluster.'),
    bootstrapServers: z
      .string()
      .optional()
      .describe('What events say about the brokers. Default: those that are connected to.'),
    endpoint: httpUrl
      .optional()
      .describe('Address of the Invoke API. Default: the embedded runtime if there is one, else AWS.'),
    region: z.string().optional().describe('AWS region. Default: AWS’s own chain.'),
    timeoutMs: milliseconds(1000, 910_000).default(910_000).describe('Longest wait for the function.'),
    backoff: z
      .strictObject({ initialMs: milliseconds(1).default(500), maxMs: milliseconds(1).default(60_000) })
      .prefault({})
      .describe('Wait before a retry. AWS has no such setting and does not say how long it waits.'),
    bufferBytes: integer(1_048_576, 4_294_967_296)
      .default(67_108_864)
      .describe('Memory for records that wait, all partitions together.')
  })
  .describe('One mapping; AWS’s name of each setting stands first in its description.')

/** `eventSourceMappings:` */
export const eventSourceMappingsSchema = z
  .array(eventSourceMappingSchema)
  .default([])
  .describe('Event source mappings that `comporta esm` and `comporta up` run as AWS would.')

/** One entry of `eventSourceMappings:` as read. */
export type EventSourceMappingConfig = z.infer<typeof eventSourceMappingSchema>
