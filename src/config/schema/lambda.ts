/** `lambda:` — the embedded Lambda runtime. */

import { z } from 'zod'

import { listenHost, port } from './common.ts'
import { functionSchema } from './lambda-functions.ts'

/** `lambda:` */
export const lambdaSchema = z.strictObject({
  host: listenHost,
  port: port.default(9001),
  functions: z
    .record(z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, 'not a function name'), functionSchema)
    .refine(functions => Object.keys(functions).length > 0, 'at least one function is needed')
})

/** `lambda:` as read. */
export type LambdaConfig = z.infer<typeof lambdaSchema>
