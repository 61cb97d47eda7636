/** `operations.cost:` — what the pipeline carries and stands on, as far as the rest of the file does not say it. */

import { z } from 'zod'

import { integer, milliseconds } from './common.ts'

const above0 = (max: number): z.ZodNumber => z.number().positive().max(max)
const architecture = z.enum(['x86_64', 'arm64']).default('arm64')

const cluster = z
  .strictObject({
    kind: z
      .enum(['standard', 'express', 'serverless', 'self'])
      .default('standard')
      .describe('Amazon MSK with Standard or Express brokers, MSK Serverless, or a cluster of one’s own (not priced).'),
    instance: z
      .string()
      .min(1)
      .optional()
      .describe('Size of the brokers, for example m7g.large. Default: the cheapest.'),
    brokers: integer(1, 90).optional().describe('Number of brokers. Default: as many as the load needs.'),
    localRetentionHours: above0(87_600)
      .optional()
      .describe('Hours on the brokers’ disks, the rest in tiered storage. Default: all.')
  })
  .prefault({})

const dispatcher = z
  .strictObject({
    instances: integer(1, 2000).default(2).describe('Machines or tasks that run the dispatcher.'),
    instance: z.string().min(1).optional().describe('EC2 instance type. Default: Fargate.'),
    vcpu: above0(16).default(1).describe('vCPU of a Fargate task.'),
    memoryGb: above0(120).default(2).describe('Memory of a Fargate task.'),
    architecture
  })
  .prefault({})

const lambdaFunction = z
  .strictObject({
    memoryMb: integer(128, 10_240).optional().describe('Default: that of the function in `lambda.functions`, or 512.'),
    architecture,
    baseMs: milliseconds(0, 900_000).default(100).describe('Time of an invocation whatever it holds.'),
    perRecordMs: z.number().min(0).max(60_000).default(0.04).describe('Time that each record adds.'),
    retryRatio: z.number().min(0).max(10).default(0).describe('Share of the invocations that are repeated.')
  })
  .prefault({})

/** What `comporta cost` goes by. */
export const costSchema = z
  .strictObject({
    prices: z.string().min(1).optional().describe('Price file. Default: the dated list of the package.'),
    recordsPerSecond: above0(1e9)
      .optional()
      .describe('Average rate. Default: producer.rate.recordsPerSecond, or 13,000.'),
    recordBytes: above0(1e8).default(200).describe('Key, value and headers of a record, before compression.'),
    peakFactor: z.number().min(1).max(1000).default(2).describe('Peak rate divided by the average rate.'),
    compressionRatio: z
      .number()
      .min(1)
      .max(1000)
      .default(1)
      .describe('Bytes before compression divided by bytes after.'),
    retentionHours: above0(87_600).default(168).describe('How long records are kept. Source: Kafka `retention.ms`.'),
    replicationFactor: integer(1, 10).default(3),
    readers: integer(0, 10_000).default(1).describe('Consumer groups that read every record.'),
    rackAware: z.boolean().default(false).describe('Whether consumers read from the replica of their own zone.'),
    cluster,
    dispatcher,
    invoker: z
      .enum(['dispatcher', 'mapping', 'mappingProvisioned'])
      .default('dispatcher')
      .describe('Who invokes the function: the dispatcher, or AWS’s event source mapping, on demand or provisioned.'),
    function: lambdaFunction,
    waitMaxMs: milliseconds(1, 900_000)
      .default(5000)
      .describe('Longest that a record may wait for its batch and its invocation: bounds the recommended batch.')
  })
  .prefault({})
  .describe('The load and the machines that `comporta cost` prices. Flags of the command stand above them.')

/** The section as read. */
export type CostConfig = z.infer<typeof costSchema>

/** The section of a file that says nothing of costs. */
export function costDefaults(): CostConfig {
  return costSchema.parse(undefined)
}
