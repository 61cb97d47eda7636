/** What holds batches back: limits of the flow, classes of topics, the breaker, the watchdog of progress. */

import { z } from 'zod'

import { integer, milliseconds, topicName } from './common.ts'

/** `dispatcher.breaker:` */
export const breakerSchema = z
  .strictObject({
    failuresMax: integer(1, 1000).default(5).describe('Outages in a row that open the breaker.'),
    openMs: milliseconds(10).default(5000).describe('Pause before one batch probes the target.'),
    openMaxMs: milliseconds(10)
      .optional()
      .describe('Longest pause; each failed probe doubles it. Default: twelve times `openMs`.'),
    failureRatio: z
      .number()
      .gt(0)
      .max(1)
      .optional()
      .describe('Share of outages within `windowMs` that opens it too. Default: only those in a row count.'),
    windowMs: milliseconds(100).optional().describe('Window of `failureRatio`. Default: 30000.'),
    samplesMin: integer(1, 100_000).optional().describe('Invocations that the window must have. Default: 20.')
  })
  .prefault({})

/** `dispatcher.batch.adaptive:` */
export const adaptiveBatchSchema = z
  .strictObject({
    recordsMin: integer(1, 10_000).default(1).describe('Fewest records; `batch.recordsMax` are the most.'),
    latencyTargetMs: milliseconds(1).describe('Time that a batch should take at the target.')
  })
  .optional()
  .describe('Lets the record count of a batch follow the time that the target takes. Default: it does not.')

/** `dispatcher.adaptiveConcurrency:` */
export const adaptiveConcurrencySchema = z
  .strictObject({
    mode: z
      .enum(['off', 'dryRun', 'on'])
      .default('off')
      .describe(
        '`on`: as many invocations at once as the target takes without a line, `concurrency` at most. `dryRun`: only ' +
          'says in log and metrics what it would allow.'
      ),
    min: integer(1, 1000).default(1).describe('Fewest invocations at once.')
  })
  .prefault({})

/** `dispatcher.flow:` */
export const flowSchema = z
  .strictObject({
    inFlight: z
      .strictObject({
        recordsMax: integer(1, 1_000_000_000).optional().describe('Most records under way.'),
        bytesMax: integer(1024, 1_099_511_627_776).optional().describe('Most encoded bytes under way.'),
        partitionRecordsMax: integer(1, 1_000_000_000).optional().describe('Most records under way of a partition.'),
        partitionBytesMax: integer(1024, 1_099_511_627_776)
          .optional()
          .describe('Most encoded bytes under way of a partition.')
      })
      .prefault({})
      .describe('Bounds on batches that were begun and whose records have not all left. Default: `concurrency` alone.'),
    rate: z
      .strictObject({
        recordsPerSecond: z.number().gt(0).max(1e9).optional(),
        bytesPerSecond: z.number().gt(0).max(1e12).optional().describe('Encoded bytes.'),
        burstMs: milliseconds(1, 60_000).default(100).describe('Time whose unused rate may be saved up.')
      })
      .prefault({})
      .describe('Most that is sent to each target in a second, retries included. Default: no limit.')
  })
  .prefault({})

/** `dispatcher.priorities:`, given the schema of a target. */
export function prioritiesSchema<T extends z.ZodType>(target: T) {
  return z
    .array(
      z.strictObject({
        name: z.string().min(1).max(100).describe('Name in logs and metrics.'),
        topics: z.array(topicName).min(1),
        share: z.number().gt(0).max(1_000_000).describe('Its part of the invocations, in proportion to the others.'),
        concurrency: integer(1, 1000)
          .optional()
          .describe('Most of its batches at the target at once. Default: all of `concurrency`.'),
        target: target
          .optional()
          .describe('Its own target, with its own breaker, pace and `concurrency`. Default: the dispatcher’s.')
      })
    )
    .default([])
    .describe(
      'Classes of topics that share the target; what one does not use the others get. Each topic belongs to one class.'
    )
}

/** `dispatcher.starvationMs:` */
export const starvationMsSchema = milliseconds(100)
  .default(30_000)
  .describe('A class that waits longer than this while others go on is reported as starved.')

/** `dispatcher.progressTimeoutMs:` */
export const progressTimeoutMsSchema = milliseconds(1000)
  .default(300_000)
  .describe(
    'A member with work to do that makes no progress for this long, and nothing explains it, leaves the group and ends.'
  )
