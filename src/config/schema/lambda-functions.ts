/** `lambda.functions:` — the functions of the embedded Lambda runtime. */

import { z } from 'zod'

import { integer, milliseconds, type Report } from './common.ts'
import { distributorSchema } from './distributor.ts'

const handler = z
  .string()
  .min(1)
  .describe(
    '`file.export` as in AWS (`dist/orders.handler`), a file with an export `handler`, or `builtin:distributor`.'
  )
const timeoutMs = milliseconds(100, 900_000).describe('Longest run of one invocation.')
const memoryMb = integer(128, 10_240).describe('Memory of one environment, in MiB.')
const layers = z
  .array(z.string().min(1))
  .max(5)
  .describe('Folders like `/opt` in Lambda: CommonJS finds packages in their `nodejs/node_modules`.')
const provisioned = integer(0, 1000).describe('Environments that are started with the runtime and kept.')

/**
 * What Lambda sets itself, and refuses as a configured variable. Its credentials are not among them: here a function
 * gets none but these. Source: Lambda developer guide, "Defined runtime environment variables".
 */
const reserved: ReadonlySet<string> = new Set([
  'AWS_DEFAULT_REGION',
  'AWS_EXECUTION_ENV',
  'AWS_LAMBDA_FUNCTION_MEMORY_SIZE',
  'AWS_LAMBDA_FUNCTION_NAME',
  'AWS_LAMBDA_FUNCTION_VERSION',
  'AWS_LAMBDA_INITIALIZATION_TYPE',
  'AWS_LAMBDA_LOG_GROUP_NAME',
  'AWS_LAMBDA_LOG_STREAM_NAME',
  'AWS_LAMBDA_RUNTIME_API',
  'AWS_REGION',
  'LAMBDA_RUNTIME_DIR',
  'LAMBDA_TASK_ROOT'
])

/** Values may be references: secrets stay out of the file. */
const environment = z
  .record(
    z
      .string()
      .regex(/^[a-zA-Z][a-zA-Z0-9_]+$/, 'not a name that Lambda allows for a variable')
      .refine(
        name => !reserved.has(name),
        'is set by Lambda itself and cannot be another; for the region: lambda.region'
      ),
    z.union([
      z.string(),
      z.strictObject({ env: z.string().min(1) }).describe('A variable of the process that runs the function.')
    ])
  )
  .describe('Variables of the function, which sees no others but Lambda’s own.')

const version = z.strictObject({
  handler: handler.optional(),
  timeoutMs: timeoutMs.optional(),
  memoryMb: memoryMb.optional(),
  environment: environment.optional(),
  layers: layers.optional(),
  provisioned: provisioned.optional()
})

const alias = z.union([
  z.string(),
  z.strictObject({
    version: z.string(),
    weights: z
      .record(z.string(), z.number().min(0).max(1))
      .default({})
      .describe('Shares of the invocations that go to other versions.')
  })
])

const destination = z
  .string()
  .regex(/^arn:aws[a-zA-Z-]*:(lambda|sqs|sns|events|s3):/, 'not an ARN of lambda, sqs, sns, events or s3')

const events = z
  .strictObject({
    retriesMax: integer(0, 2).default(2).describe('Attempts after the first that failed.'),
    ageMaxMs: milliseconds(60_000, 21_600_000).default(21_600_000).describe('Oldest event that is still tried.'),
    retryWaitsMs: z
      .array(milliseconds(0, 21_600_000))
      .min(1)
      .max(2)
      .default([60_000, 120_000])
      .describe('Waits before the first and the second retry; shorter ones are for drills.'),
    onSuccess: destination.optional().describe('ARN of a function here, a queue, a topic or an event bus.'),
    onFailure: destination.optional().describe('The same, or the ARN of an S3 bucket.'),
    deadLetterTarget: destination.optional().describe('ARN of a queue or topic that gets the events themselves.')
  })
  .describe('What becomes of invocations of type `Event`: retries and destinations.')

/** One entry of `lambda.functions:` */
export const functionSchema = z
  .strictObject({
    handler,
    timeoutMs: timeoutMs.default(30_000),
    memoryMb: memoryMb.default(256),
    concurrency: integer(0, 1000)
      .default(4)
      .describe('Most invocations at once; the next one is throttled with 429, and 0 throttles all.'),
    provisioned: provisioned.default(0),
    isolation: z
      .enum(['thread', 'process'])
      .default('thread')
      .describe('`process` is slower to start, but nothing that the function does can harm the others.'),
    environment: environment.default({}),
    environmentFile: z.string().min(1).optional().describe('A file of `NAME=value` lines; `environment` wins over it.'),
    layers: layers.default([]),
    logFormat: z.enum(['text', 'json']).default('text').describe('As Lambda’s `LogFormat`.'),
    logLevel: z
      .enum(['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'])
      .optional()
      .describe('Lowest level that `console` writes (default: TRACE for text, INFO for json).'),
    versions: z
      .record(z.string().regex(/^[1-9]\d{0,9}$/, 'not a version: a number from 1'), version)
      .default({})
      .describe('Numbered versions; what one leaves out is the function’s.'),
    aliases: z
      .record(z.string().regex(/^(?!\d+$)[a-zA-Z0-9_-]{1,128}$/, 'not an alias'), alias)
      .default({})
      .describe('Names of versions: `live: "2"`, or `live: { version: "2", weights: { "1": 0.1 } }`.'),
    events: events.prefault({}),
    distributor: distributorSchema.optional()
  })
  .superRefine((options, context) =>
    checkAliases(options, (path, message) => context.addIssue({ code: 'custom', path, message }))
  )

/** One entry of `lambda.functions:` as read. */
export type FunctionConfig = z.infer<typeof functionSchema>

function checkAliases({ versions, aliases }: Pick<FunctionConfig, 'versions' | 'aliases'>, report: Report): void {
  const known = ['$LATEST', ...Object.keys(versions)]
  for (const [name, to] of Object.entries(aliases)) {
    const { version: main, weights } = typeof to === 'string' ? { version: to, weights: {} } : to
    for (const each of [main, ...Object.keys(weights)]) {
      if (!known.includes(each))
        report(['aliases', name], `no version is called "${each}"; there are ${known.join(', ')}`)
    }
    const sum = Object.values(weights).reduce((total, share) => total + share, 0)
    if (sum > 1) report(['aliases', name, 'weights'], 'the shares are more than 1 together')
  }
}
