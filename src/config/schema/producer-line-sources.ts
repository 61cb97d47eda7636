/** Sources of lines: files, standard input, folders of files, log files that grow. */

import { z } from 'zod'

import { milliseconds } from './common.ts'

const positionState = z.strictObject({
  file: z
    .string()
    .min(1)
    .describe('Where the position is kept, for this source alone. Its folder must exist. Written atomically.'),
  intervalMs: milliseconds(100, 60_000)
    .default(1000)
    .describe('The position is written at most this often, and at the end. A kill repeats what came in between.')
})

const state = positionState
  .optional()
  .describe('Where the source goes on after a restart. Default: it begins anew each time.')

const fileState = positionState
  .extend({
    onChange: z
      .enum(['refuse', 'restart'])
      .default('refuse')
      .describe('If the file is not the one that the position belongs to: end with an error, or begin anew.')
  })
  .optional()
  .describe('Where the source goes on after a restart. Default: it begins anew each time.')

const format = z
  .enum(['json', 'text'])
  .default('json')
  .describe('`json`: a line is an event. `text`: a line becomes {"message", "file", "line", "host"}.')

/** `type: file` */
export const fileSourceSchema = z.strictObject({
  type: z.literal('file'),
  path: z.string().min(1).describe('A file of newline-delimited JSON. One that ends in `.gz` is decompressed.'),
  format,
  state: fileState
})

/** `type: stdin` */
export const stdinSourceSchema = z.strictObject({ type: z.literal('stdin'), format, state })
