/** `operations.lag`: how lag is looked at, and what counts as good. When it is bad is `operations.health`. */

import { z } from 'zod'

import { integer } from './common.ts'

/** The settings of looks. */
export const lagSchema = z
  .strictObject({
    windowLooks: integer(2, 1000)
      .default(10)
      .describe('Looks that rates and verdicts rest on. Source: Burrow `intervals`.'),
    minimumComplete: z
      .number()
      .min(0)
      .max(1)
      .default(0.5)
      .describe('Share of the looks without which no verdict is given. Source: Burrow `minimum-complete`.'),
    allowedLag: integer(0, Number.MAX_SAFE_INTEGER)
      .default(0)
      .describe('Unread records that are nothing to speak of. Source: Burrow `allowed-lag`.'),
    appendTimes: integer(0, 100_000)
      .default(500)
      .describe('Most records whose time is read in a look; the age of others is interpolated.'),
    hangingTransactionSeconds: integer(1, 604_800)
      .default(900)
      .describe('Age at which an open transaction counts as hanging. Source: Kafka `transaction.max.timeout.ms`.'),
    goodLagRecords: integer(0, Number.MAX_SAFE_INTEGER)
      .default(100)
      .describe('Good: at most this many unread records …'),
    goodRecordsPerSecond: z.number().min(0).default(100).describe('… and at least so many records a second come in …'),
    goodRetentionRatio: z
      .number()
      .gt(0)
      .max(1)
      .default(0.7)
      .describe('… and what is unread takes up at most this share of the retention, and the lag does not grow.')
  })
  .prefault({})
  .describe('How `lag` looks, and what it calls good. What it calls bad is `health`.')
