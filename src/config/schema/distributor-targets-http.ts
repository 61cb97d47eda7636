/** `distributor.targets.<name>:` of type `http`. */

import { z } from 'zod'

import { httpUrl, integer, milliseconds } from './common.ts'

/** Largest number of bytes that a function's event can hold, and more. */
const bytesMost = 104_857_600

/** How often a target is tried within one invocation. */
export const sinkRetrySchema = z
  .strictObject({
    attemptsMax: integer(1, 10).optional().describe('Most attempts for a record, the first included. Default 2.'),
    backoffMs: milliseconds(1, 60_000)
      .optional()
      .describe('Wait before the second attempt; it doubles, less up to half at random, up to a second. Default 100.')
  })
  .describe('How often a target is tried within one invocation; after that the dispatcher, or AWS, tries again.')

/** Settings that every target has. */
export const commonTargetSettings = {
  timeoutMs: milliseconds(1, 900_000).optional().describe('Longest wait for one answer. Default: of the distributor.'),
  retry: sinkRetrySchema.optional()
}

/** A text, or the environment variable of the function that holds it. */
export const secretText = z
  .union([z.string(), z.strictObject({ env: z.string().min(1) })])
  .describe('A text, or `{ env: NAME }` for an environment variable of the function: secrets stay out of the file.')

/** A target of type `http`. */
export const httpTargetSchema = z
  .strictObject({
    type: z.literal('http'),
    url: httpUrl.describe('Address that records are posted to.'),
    headers: z.record(z.string(), secretText).optional().describe('Headers of every request.'),
    connectionsMax: integer(1, 1000).optional().describe('Most connections. Default 16.'),
    recordsMax: integer(1, 100_000).optional().describe('Most records in one request. Default 500.'),
    bytesMax: integer(1, bytesMost)
      .optional()
      .describe('Most bytes of records in one request; one larger record goes alone. Default 1048576.'),
    recordBytesMax: integer(1, bytesMost)
      .optional()
      .describe('Largest record in bytes; larger ones are dead-lettered without a request. Default: no limit.'),
    ...commonTargetSettings
  })
  .describe('An HTTP service.')
