/** `dispatcher.filters:` and `dispatcher.transform:` — what happens to records before they are sent. */

import { z } from 'zod'

import { compileEventPattern } from '../../core/index.ts'

function eventPattern(value: unknown, context: z.RefinementCtx): void {
  compileEventPattern(value, (path, message) => context.addIssue({ code: 'custom', path: [...path], message }))
}

const plainPattern = z.array(z.unknown()).superRefine(eventPattern)

const recordFilter = z
  .strictObject({
    key: plainPattern.optional().describe('What the key may be, as text; `null` is a record without one.'),
    headers: z
      .record(z.string(), plainPattern)
      .optional()
      .describe('For each header what it may be, as text. Of repeated headers one must match.'),
    value: z
      .union([z.record(z.string(), z.unknown()), z.array(z.unknown())])
      .superRefine(eventPattern)
      .optional()
      .describe('Fields of a JSON value, or a list of what a value may be that is plain text.')
  })
  .refine(filter => Object.keys(filter).length > 0, 'names neither key nor headers nor value')
  .describe('All that is named must match.')

/** `dispatcher.filters:` */
export const filtersSchema = z
  .array(recordFilter)
  .default([])
  .describe(
    'Records that match none of these are not sent; their offsets are committed. Event patterns as in Amazon ' +
      'EventBridge. Default: all are sent.'
  )

/** `dispatcher.transform:` */
export const transformSchema = z
  .strictObject({
    file: z.string().min(1).describe('A module whose `transform` export gets each record before it is sent.')
  })
  .optional()

/** One entry of `dispatcher.filters:` as read. */
export type RecordFilterConfig = z.infer<typeof filtersSchema>[number]
