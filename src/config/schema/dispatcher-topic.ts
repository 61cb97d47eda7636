/** `target: { type: topic }`, and what is read of transactions: `dispatcher.isolationLevel:`. */

import { z } from 'zod'

import { milliseconds, topicName } from './common.ts'

/** A batch becomes records of other topics. */
export const topicTargetSchema = z.strictObject({
  type: z.literal('topic'),
  topic: topicName.optional().describe('Where records go that nothing else sends elsewhere.'),
  topicFrom: z
    .strictObject({
      header: z.string().min(1).optional().describe('A header whose text is the topic.'),
      field: z.string().min(1).optional().describe('A field of the JSON value, as `a.b.c`, whose text is the topic.')
    })
    .optional()
    .describe('Sends each record to the topic that it names; `topic` is for those that name none.'),
  file: z
    .string()
    .min(1)
    .optional()
    .describe('A module whose `transform` export makes records to write from those of a batch. Default: copies them.'),
  exactlyOnce: z
    .boolean()
    .default(false)
    .describe('Writes records and commits offsets in one transaction per batch. Default: at least once.'),
  transactionalIdPrefix: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe(
      'Beginning of the transactional ids of this instance; no other may have the same. Default: group id and ' +
        '`groupInstanceId`, or a random text. Source: Kafka `transactional.id`.'
    ),
  transactionTimeoutMs: milliseconds(1000, 900_000)
    .default(10_000)
    .describe(
      'After this time the cluster aborts a transaction whose producer is gone; readers of committed records wait as ' +
        'long. Source: Kafka `transaction.timeout.ms`.'
    ),
  timeoutMs: milliseconds(100, 910_000).default(30_000).describe('Longest wait for the module.')
})

/** `dispatcher.isolationLevel:` */
export const isolationLevelSchema = z
  .enum(['read_committed', 'read_uncommitted'])
  .default('read_committed')
  .describe('`read_committed` leaves out records of aborted transactions and waits for open ones. Source: Kafka.')

/** `dispatcher.target:` of a topic as read. */
export type TopicTargetConfig = z.infer<typeof topicTargetSchema>
