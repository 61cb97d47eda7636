/** `producer.sources[]` with `type: kinesis` and `type: sqs` — events in AWS. */

import { z } from 'zod'

import { httpUrl, integer, milliseconds } from './common.ts'

const region = z
  .string()
  .min(1)
  .optional()
  .describe('AWS region. Default: AWS’s own chain; us-east-1 with an endpoint of this machine.')

const endpoint = httpUrl.optional().describe('Address of the service: an emulator, a VPC endpoint. Default: AWS’s.')

/** `type: kinesis` */
export const kinesisSourceSchema = z.strictObject({
  type: z.literal('kinesis'),
  stream: z
    .string()
    .regex(/^[a-zA-Z0-9_.-]{1,128}$/, 'not a stream name: 1 to 128 letters, digits, "_", "." or "-"')
    .describe('Name of the stream. All its shards are read, by this instance alone.'),
  region,
  endpoint,
  startAt: z
    .union([z.enum(['trim-horizon', 'latest']), z.iso.datetime({ offset: true })])
    .default('trim-horizon')
    .describe('Where to start without a state: the oldest record, the time of the first start, or an ISO 8601 time.'),
  state: z
    .strictObject({
      file: z
        .string()
        .min(1)
        .describe('Where the positions are kept, for this source alone. Its folder must exist. Written atomically.'),
      intervalMs: milliseconds(100, 60_000)
        .default(1000)
        .describe('Positions are written at most this often, and at the end. A kill repeats what came in between.')
    })
    .describe('Where the source goes on after a restart.'),
  format: z
    .enum(['json', 'ndjson'])
    .default('json')
    .describe('`json`: a record is one event. `ndjson`: one event a line. Records aggregated by the KPL are unpacked.'),
  keepKey: z.boolean().default(false).describe('The partition key is the key, instead of one from `producer.key`.'),
  recordsMax: integer(1, 10_000).default(2000).describe('Most records of one read. Source: GetRecords `Limit`.'),
  pollMs: milliseconds(200, 60_000).default(1000).describe('Wait before a shard without new records is read again.')
})

/** `type: sqs` */
export const sqsSourceSchema = z.strictObject({
  type: z.literal('sqs'),
  queueUrl: httpUrl.describe('URL of the queue. One that ends in `.fifo` is a FIFO queue.'),
  region,
  endpoint,
  waitSeconds: integer(0, 20).default(20).describe('Longest wait for messages. Source: SQS `WaitTimeSeconds`.'),
  batch: integer(1, 10).default(10).describe('Most messages of one answer. Source: SQS `MaxNumberOfMessages`.'),
  visibilityTimeoutSeconds: integer(2, 43_200)
    .default(60)
    .describe('How long a message that was received is hidden from others; extended while its event is not safe.'),
  receivers: integer(1, 64).default(4).describe('Requests that wait for messages at the same time.'),
  inFlightMax: integer(1, 120_000)
    .default(2000)
    .describe('Most messages received and not deleted; so many come again after a crash.'),
  unwrap: z
    .enum(['none', 'sns'])
    .default('none')
    .describe('`sns`: a body is a notification of SNS without raw delivery, and its `Message` the event.'),
  keepKey: z
    .boolean()
    .default(false)
    .describe('The message group is the key, no key without one, instead of one from `producer.key`.'),
  keepHeaders: z.boolean().default(false).describe('The attributes of a message become headers.')
})
