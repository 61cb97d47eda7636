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

/** `type: directory` */
export const directorySourceSchema = z.strictObject({
  type: z.literal('directory'),
  path: z.string().min(1).describe('A folder whose files are read, in the order of their names, as they come.'),
  pattern: z
    .string()
    .min(1)
    .default('*.{ndjson,jsonl,ndjson.gz,jsonl.gz}')
    .describe('Names of the files: `*`, `?` and `{a,b}`. Names that begin with a dot only if the pattern does.'),
  format,
  whenSafe: z
    .enum(['keep', 'move', 'delete'])
    .default('keep')
    .describe('What becomes of a file when all its events are safe. `keep` needs a state.'),
  moveTo: z.string().min(1).optional().describe('Folder for `whenSafe: move`, on the same file system.'),
  settleMs: milliseconds(0, 3_600_000)
    .default(2000)
    .describe('A file is complete when it has not changed for so long. 0: files are renamed into the folder.'),
  scanIntervalMs: milliseconds(50, 3_600_000).default(1000).describe('How often the folder is listed.'),
  state
})

/** `type: follow` */
export const followSourceSchema = z.strictObject({
  type: z.literal('follow'),
  path: z.string().min(1).describe('A log file that grows and is rotated, read as `tail -F` does.'),
  from: z
    .enum(['start', 'end'])
    .default('start')
    .describe('Where to begin in a file that is there before the source and has no state.'),
  format,
  rotated: z
    .string()
    .min(1)
    .optional()
    .describe('Names of rotated files in the same folder: `*`, `?`, `{a,b}`. Default: `NAME.*` and `NAME-*`.'),
  pollMs: milliseconds(10, 60_000).default(250).describe('How often the file is looked at.'),
  graceMs: milliseconds(0, 3_600_000)
    .default(5000)
    .describe('A file that was rotated away is finished when it has not grown for so long.'),
  state
})
