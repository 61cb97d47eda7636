/** A user's function in as few lines as it takes; also what the size of a bundle is measured by. */

import { kafkaBatch, RetryRecord } from '../../../src/lambda/function.ts'

export const handler = kafkaBatch<{ readonly codigo: number }>(
  async record => {
    await Promise.resolve()
    if (record.data.codigo === 503) throw new RetryRecord('busy', { retryAfterMs: 100 })
    console.log(`done: ${record.id}`)
  },
  { order: 'key' }
)
