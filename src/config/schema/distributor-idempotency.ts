/** `distributor.idempotency` — where claims are kept, by what records are told apart, and for how long. */

import { z } from 'zod'

import { httpUrl, integer, milliseconds } from './common.ts'

const memory = z
  .strictObject({
    type: z.literal('memory'),
    entriesMax: integer(1_000, 10_000_000)
      .default(100_000)
      .describe('Most items: a block of 4,096 offsets is one, a business id is one.')
  })
  .describe('In the memory of one environment: for tests, and where one environment is enough.')

const sqlite = z
  .strictObject({
    type: z.literal('sqlite'),
    file: z.string().min(1).describe('The file, shared by all processes of this machine; made if it is not there.')
  })
  .describe('In a file of this machine.')

const dynamoDb = z
  .strictObject({
    type: z.literal('dynamoDb'),
    table: z
      .string()
      .regex(/^(?:[\w.-]{3,255}|arn:[\w:/.-]{1,1019})$/, 'not the name or ARN of a table')
      .describe('Name or ARN of the table.'),
    region: z.string().min(1).optional().describe('AWS region. Default: AWS’s own chain.'),
    endpoint: httpUrl.optional().describe('Address of DynamoDB. Default: `AWS_ENDPOINT_URL…`, else AWS.'),
    writes: z
      .enum(['transaction', 'single'])
      .default('transaction')
      .describe('How business ids are claimed: 100 in a request at two write units each, or one by one at one unit.'),
    keyAttribute: z.string().min(1).default('id').describe('Name of the table’s key, a text without a sort key.'),
    ttlAttribute: z.string().min(1).default('expiration').describe('Name of the attribute with the time to live.')
  })
  .describe('In a table of DynamoDB, shared by all environments.')

/** `distributor.idempotency` */
export const idempotencySchema = z
  .strictObject({
    store: z.discriminatedUnion('type', [memory, sqlite, dynamoDb]).describe('Where claims are kept.'),
    key: z
      .union([z.literal('offset'), z.strictObject({ field: z.string().min(1) })])
      .default('offset')
      .describe(
        'What makes two records the same: topic, partition and offset, or a field with the id of the event. Never ' +
          'the id of what it is about (an order): its second event would count as delivered.'
      ),
    ttlMs: milliseconds(1_000, 31_536_000_000)
      .default(86_400_000)
      .describe('How long a record that is done is remembered.'),
    namespace: z
      .string()
      .regex(/^[\w.-]{1,128}$/, 'not 1 to 128 letters, digits, ".", "_" or "-"')
      .optional()
      .describe(
        'Keeps functions, clusters and generations of a topic apart that share a store. Default: the function’s name.'
      ),
    graceMs: milliseconds(0, 60_000)
      .default(1_000)
      .describe('How long after the end of its invocation a claim still holds: more than clocks differ.'),
    timeoutMs: milliseconds(50, 30_000).default(2_000).describe('Longest wait for one answer of the store.'),
    onStoreError: z
      .literal('retry')
      .default('retry')
      .describe('A batch that cannot be claimed is not delivered and comes again.')
  })
  .describe('Keeps records from being delivered twice: each batch is claimed before, and marked as done after.')
