/** `dispatcher:` — a consumer group that hands batches to a target and commits after success. */

import { z } from 'zod'

import { headerProblem } from '../../core/index.ts'
import { httpUrl, integer, milliseconds, topicName } from './common.ts'
import { filtersSchema, transformSchema } from './dispatcher-filter.ts'
import {
  adaptiveBatchSchema,
  adaptiveConcurrencySchema,
  breakerSchema,
  flowSchema,
  prioritiesSchema,
  progressTimeoutMsSchema,
  starvationMsSchema
} from './dispatcher-flow.ts'
import {
  assignorsSchema,
  groupInstanceIdSchema,
  groupProtocolSchema,
  heartbeatIntervalMsSchema,
  rebalanceTimeoutMsSchema,
  serverAssignorSchema,
  sessionTimeoutMsSchema,
  staticStopSchema,
  topicCheckIntervalMsSchema
} from './dispatcher-group.ts'
import { batchesPerPartitionMaxSchema, orderSchema } from './dispatcher-order.ts'
import { deadLettersSchema, retrySchema } from './dispatcher-retry.ts'
import { isolationLevelSchema, topicTargetSchema } from './dispatcher-topic.ts'

const payload = z
  .strictObject({
    format: z
      .enum(['json', 'esm'])
      .default('json')
      .describe('`json`: {"topic","partition","messages":[…]}. `esm`: the event of AWS’s Kafka event source mapping.'),
    include: z
      .array(z.enum(['offsets', 'timestamps', 'keys', 'headers']))
      .default(['offsets', 'timestamps', 'keys'])
      .describe('Lists that `json` carries beside `messages`, index by index.')
  })
  .prefault({})

const lambdaTarget = z.strictObject({
  type: z.literal('lambda'),
  functionName: z.string().min(1).describe('Name or ARN of the function.'),
  qualifier: z.string().optional().describe('Version or alias.'),
  region: z.string().optional().describe('AWS region. Default: AWS’s own chain.'),
  endpoint: httpUrl
    .optional()
    .describe('Address of the Invoke API. Default: AWS; the embedded runtime for `comporta up`.'),
  timeoutMs: milliseconds(100, 910_000).default(60_000).describe('Longest wait for one invocation.')
})

function sendableHeaders(headers: Record<string, string>, context: z.RefinementCtx): void {
  for (const [name, value] of Object.entries(headers)) {
    const message = headerProblem(name, value)
    if (message !== undefined) context.addIssue({ code: 'custom', path: [name], message })
  }
}

const httpTarget = z.strictObject({
  type: z.literal('http'),
  url: httpUrl,
  headers: z.record(z.string(), z.string()).superRefine(sendableHeaders).default({}),
  timeoutMs: milliseconds(100, 910_000).default(30_000).describe('Longest wait for one answer.')
})

const moduleTarget = z.strictObject({
  type: z.literal('module'),
  file: z.string().min(1).describe('A module whose `handler` export gets each payload, in this process.'),
  timeoutMs: milliseconds(100, 910_000).default(30_000)
})

const targetSchema = z.discriminatedUnion('type', [lambdaTarget, httpTarget, moduleTarget, topicTargetSchema])

/** `dispatcher:` */
export const dispatcherSchema = z.strictObject({
  groupId: z
    .string()
    .min(1)
    .max(249)
    .describe('One per application, the same on every instance. Source: Kafka `group.id`.'),
  topics: z.array(topicName).min(1),
  groupProtocol: groupProtocolSchema,
  groupInstanceId: groupInstanceIdSchema,
  staticStop: staticStopSchema,
  assignors: assignorsSchema,
  serverAssignor: serverAssignorSchema,
  autoOffsetReset: z.enum(['earliest', 'latest']).default('earliest').describe('Source: Kafka `auto.offset.reset`.'),
  isolationLevel: isolationLevelSchema,
  sessionTimeoutMs: sessionTimeoutMsSchema,
  heartbeatIntervalMs: heartbeatIntervalMsSchema,
  rebalanceTimeoutMs: rebalanceTimeoutMsSchema,
  topicCheckIntervalMs: topicCheckIntervalMsSchema,
  batch: z
    .strictObject({
      recordsMax: integer(1, 10_000).default(500),
      bytesMax: integer(1024, 104_857_600).default(5_242_880).describe('Encoded size of a payload. Lambda takes 6 MB.'),
      ageMs: milliseconds(0).default(1000).describe('A batch that is not full is sent after this time.'),
      adaptive: adaptiveBatchSchema
    })
    .prefault({}),
  filters: filtersSchema,
  transform: transformSchema,
  payload,
  target: targetSchema,
  retry: retrySchema,
  order: orderSchema,
  batchesPerPartitionMax: batchesPerPartitionMaxSchema,
  concurrency: integer(1, 1000).default(10).describe('Most batches at the target at once, all partitions together.'),
  bufferBytes: integer(1_048_576, 4_294_967_296)
    .default(16_777_216)
    .describe('Most bytes fetched and not yet delivered, all partitions together.'),
  breaker: breakerSchema,
  adaptiveConcurrency: adaptiveConcurrencySchema,
  flow: flowSchema,
  priorities: prioritiesSchema(targetSchema),
  starvationMs: starvationMsSchema,
  progressTimeoutMs: progressTimeoutMsSchema,
  deadLetterTopic: topicName.describe('Where records go that cannot be delivered, with origin and reason.'),
  deadLetters: deadLettersSchema,
  drainMs: milliseconds(0).default(30_000).describe('Longest wait for batches in flight when stopping.')
})

/** `dispatcher:` as read. */
export type DispatcherConfig = z.infer<typeof dispatcherSchema>
/** `dispatcher.target:` as read. */
export type TargetConfig = DispatcherConfig['target']
