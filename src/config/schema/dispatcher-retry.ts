/** `dispatcher.retry:` and `dispatcher.deadLetters:` — what becomes of records that fail. */

import { z } from 'zod'

import { integer, milliseconds } from './common.ts'

/** Longest delay of a retry topic: a week, in milliseconds. */
const DELAY_MAX_MS = 604_800_000

/** `dispatcher.retry:` */
export const retrySchema = z
  .strictObject({
    attemptsMax: integer(1, 10_000)
      .default(5)
      .describe(
        'Attempts in place before a record that its target refuses is put aside: into the first retry topic, or the ' +
          'dead letter topic. Outages do not count.'
      ),
    initialMs: milliseconds(1).default(200).describe('Wait after the first failure.'),
    maxMs: milliseconds(1).default(30_000).describe('Longest wait between two attempts.'),
    ageMaxMs: milliseconds(1, 2_592_000_000)
      .optional()
      .describe(
        'Time since its first failure after which a record goes to the dead letter topic, outages included. ' +
          'Default: never.'
      ),
    bisect: z
      .boolean()
      .default(true)
      .describe('Whether a batch that is refused for good is halved until the bad record is alone.'),
    delays: z
      .array(integer(10, DELAY_MAX_MS))
      .max(8)
      .default([])
      .describe(
        'Delays in milliseconds, ascending: one retry topic each. A record that fails in place waits in the first, ' +
          'then in the next, and ends in the dead letter topic. Default: none.'
      ),
    order: z
      .enum(['key', 'none'])
      .default('key')
      .describe('`key`: later records of a key that waits in a retry topic wait behind it. `none`: they overtake it.'),
    parkedKeysMax: integer(1, 1_000_000)
      .default(10_000)
      .describe('Most keys of one partition that may wait in retry topics. More of them stop the partition.'),
    createTopics: z
      .boolean()
      .default(true)
      .describe('Whether missing retry topics are created, and grown with their origin, by the dispatcher.')
  })
  .prefault({})

/** `dispatcher.deadLetters:` */
export const deadLettersSchema = z
  .strictObject({
    tooLarge: z
      .enum(['reference', 'wait'])
      .default('reference')
      .describe(
        'A dead letter that its topic finds too large. `reference`: its coordinates are kept, its value is left out. ' +
          '`wait`: its partition waits until the topic takes it.'
      )
  })
  .prefault({})

/** `dispatcher.retry:` as read. */
export type RetryConfig = z.infer<typeof retrySchema>
