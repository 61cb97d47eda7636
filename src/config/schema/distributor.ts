/** `lambda.functions.<name>.distributor:` — options of the function that comes with the package. */

import { z } from 'zod'

import { httpUrl, milliseconds } from './common.ts'

/** Options of `builtin:distributor`. */
export const distributorSchema = z
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

