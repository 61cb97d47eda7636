/** `producer.delivery.transaction:` — events in transactions. */

import { z } from 'zod'

import { integer, milliseconds, type Report, topicName } from './common.ts'

/** Transactions of batch ingest. */
export const transactionSchema = z
  .strictObject({
    id: z
      .string()
      .min(1)
      .max(200)
      .describe('One per producer that runs at a time: a second one with it ends the first. Kafka `transactional.id`.'),
    recordsMax: integer(1, 1_000_000)
      .default(10_000)
      .describe('A transaction ends behind the chunk that reaches so many records, or delivery.bufferBytes.'),
    ageMs: milliseconds(10, 60_000)
      .default(1000)
      .describe('A transaction ends after this time at the latest: so late do readers of committed records see it.'),
    timeoutMs: milliseconds(1000, 900_000)
      .default(60_000)
      .describe('So long do readers wait for a producer that was killed. Source: Kafka `transaction.timeout.ms`.'),
    stateTopic: topicName
      .default('comporta-ingest-state')
      .describe('Compacted topic of the sources’ positions, written with the events before them.')
  })
  .describe('Events go to Kafka in transactions, with the position of their source. Default: without.')

/** The settings of transactions with this id, all others at their defaults. */
export function transactionDefaults(id: string): z.infer<typeof transactionSchema> {
  return transactionSchema.parse({ id })
}

/** What of `producer:` these rules look at. */
interface TransactionSettings {
  readonly delivery: { readonly transaction?: z.infer<typeof transactionSchema> | undefined }
  readonly whenAway: { readonly mode: string }
}

/** Reports what does not go together with transactions. */
export function checkTransaction({ delivery, whenAway }: TransactionSettings, report: Report): void {
  if (delivery.transaction === undefined || whenAway.mode === 'wait') return
  const message = 'needs `whenAway: { mode: wait }`: what a transaction has taken is committed with it, or not at all'
  report(['producer', 'delivery', 'transaction'], message)
}
