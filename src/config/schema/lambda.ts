/** `lambda:` — the embedded Lambda runtime. */

import { z } from 'zod'

import { httpUrl, integer, listenHost, milliseconds, port } from './common.ts'
import { functionSchema } from './lambda-functions.ts'

/** `lambda:` */
export const lambdaSchema = z.strictObject({
  runtime: z
    .enum(['embedded', 'aws'])
    .default('embedded')
    .describe(
      'Where the functions run: `embedded`, in the runtime that `comporta up` starts; `aws`, in AWS Lambda under the ' +
        'same names, ' +
        'so that one file serves both: `runtime: ${LAMBDA_RUNTIME:-embedded}`.'
    ),
  host: listenHost,
  port: port.default(9001),
  region: z
    .string()
    .regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'not a region')
    .default('us-east-1')
    .describe('Region in the ARNs of the functions and in their `AWS_REGION`.'),
  accountId: z
    .string()
    .regex(/^\d{12}$/, 'not 12 digits')
    .default('000000000000')
    .describe('Account in the ARNs of the functions.'),
  accountConcurrency: integer(1, 100_000).default(1000).describe('Most invocations of all functions at once.'),
  throttleWaitMs: milliseconds(0, 900_000)
    .default(0)
    .describe('How long an invocation waits for a free environment before it is throttled.'),
  watch: z.boolean().default(true).describe('Whether changed files of a function give it new environments.'),
  destinationEndpoint: httpUrl
    .optional()
    .describe('Address of the AWS services of `events` destinations (default: AWS_ENDPOINT_URL, else AWS).'),
  functions: z
    .record(z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, 'not a function name'), functionSchema)
    .refine(functions => Object.keys(functions).length > 0, 'at least one function is needed')
})

/** `lambda:` as read. */
export type LambdaConfig = z.infer<typeof lambdaSchema>
