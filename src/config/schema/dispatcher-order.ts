/** `dispatcher.order:` and what belongs to it. */

import { z } from 'zod'

import { integer } from './common.ts'

/** `dispatcher.order:` */
export const orderSchema = z
  .enum(['partition', 'key', 'none'])
  .default('partition')
  .describe(
    '`partition`: one batch of a partition at a time. `key`: several, but never two with the same key; ' +
      'records without a key go as they come. `none`: several, in any order.'
  )

/** `dispatcher.batchesPerPartitionMax:` */
export const batchesPerPartitionMaxSchema = integer(1, 100)
  .default(4)
  .describe('Most batches of one partition under way at once, retries included. Only with order `key` or `none`.')
