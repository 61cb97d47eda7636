/** `lambda:` — the embedded Lambda runtime. */

import { z } from 'zod'

import { httpUrl, integer, listenHost, milliseconds, port } from './common.ts'

const distributor = z
  .strictObject({
    field: z.string().min(1).default('codigo').describe('Field of the event that routes are chosen by.'),
    services: z
      .record(z.string().regex(/^[\x21-\x7e]+$/, 'not printable ASCII without spaces'), httpUrl)
      .refine(services => Object.keys(services).length > 0, 'at least one service is needed')
      .describe('Name and address of each downstream service.'),
    routes: z
      .array(
        z.strictObject({
          values: z.array(z.union([z.string(), z.number()])).min(1),
          services: z.array(z.string()).min(1)
        })
      )
      .default([])
      .describe('Values of the field and the services that get such events (several: fan-out).'),
    otherwise: z
      .union([z.literal('deadLetter'), z.array(z.string()).min(1)])
      .default('deadLetter')
      .describe('Services for all other values, or `deadLetter`.'),
    timeoutMs: milliseconds(100, 900_000).default(5000).describe('Longest wait for one service.')
  })
  .describe('Options of the function that comes with the package: `handler: builtin:distributor`.')

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
  distributor: distributor.optional()
})

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
/** One entry of `lambda.functions:` as read. */
export type FunctionConfig = z.infer<typeof functionSchema>
