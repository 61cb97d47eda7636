/** `telemetry.logs`: what is logged and how a line looks. */

import { z } from 'zod'

/** What lines name as their room. A name that none has would change nothing and never be noticed. */
const room = z.enum([
  'broker',
  'client',
  'console',
  'dispatcher',
  'lambda',
  'process',
  'producer',
  'targets',
  'telemetry'
])

const level = z.enum(['debug', 'info', 'warn', 'error', 'silent'])

/** Everything has a default. */
export const logsSchema = z
  .strictObject({
    level: level
      .default('info')
      .describe('Least level that is written; COMPORTA_LOG_LEVEL and `--log-level` come before it.'),
    rooms: z
      .partialRecord(room, level)
      .default({})
      .describe('Levels of single rooms, for example `dispatcher: debug`.'),
    format: z
      .enum(['auto', 'json', 'pretty'])
      .default('auto')
      .describe('`auto` is `pretty` on a terminal, else `json`.')
  })
  .prefault({})
  .describe('Logs.')

/** The part as read. */
export type LogsConfig = z.infer<typeof logsSchema>
