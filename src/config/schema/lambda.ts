/** `lambda:` — the embedded Lambda runtime. */

import { z } from 'zod'

import { listenHost, port } from './common.ts'
import { functionSchema } from './lambda-functions.ts'

/** `lambda:` */
export const lambdaSchema = z.strictObject({
  runtime: z
    .enum(['embedded', 'aws'])
    .default('embedded')
    .describe(
      'Where the functions run: `embedded`, in the runtime that `comporta up` starts; `aws`, in AWS Lambda under the same names, ' +
        'so that one file serves both: `runtime: ${LAMBDA_RUNTIME:-embedded}`.'
    ),
  host: listenHost,
  port: port.default(9001),
  functions: z
    .record(z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, 'not a function name'), functionSchema)
    .refine(functions => Object.keys(functions).length > 0, 'at least one function is needed')
})

/** `lambda:` as read. */
export type LambdaConfig = z.infer<typeof lambdaSchema>
