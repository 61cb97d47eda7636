/** `lambda.functions:` — the functions of the embedded Lambda runtime. */

import { z } from 'zod'

import { integer, milliseconds } from './common.ts'
import { distributorSchema } from './distributor.ts'

/** One entry of `lambda.functions:` */
export const functionSchema = z.strictObject({
  handler: z
    .string()
    .min(1)
    .describe(
      '`file.export` as in AWS (`dist/orders.handler`), a file with an export `handler`, or `builtin:distributor`.'
    ),
  timeoutMs: milliseconds(100, 900_000).default(30_000),
  memoryMb: integer(128, 10_240).default(256),
  concurrency: integer(1, 1000).default(4).describe('Most invocations at once; the next one is throttled with 429.'),
  environment: z.record(z.string(), z.string()).default({}),
  distributor: distributorSchema.optional()
})

/** One entry of `lambda.functions:` as read. */
export type FunctionConfig = z.infer<typeof functionSchema>
