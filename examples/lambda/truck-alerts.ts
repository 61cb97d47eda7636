/**
 * A Lambda function with `kafkaBatch`: it reports trucks that are too fast.
 *
 * The same file runs behind AWS's event source mapping (MSK or self-managed Kafka), behind Comporta's dispatcher, and
 * in the embedded runtime: `handler: examples/lambda/truck-alerts.ts`. In a project of your own import from
 * `comporta/function` and bundle it:
 *
 * `npx esbuild truck-alerts.ts --bundle --platform=node --format=esm --outfile=index.mjs`
 */

import { z } from 'zod'

import { DeadLetterRecord, kafkaBatch, RetryRecord, SkipRecord } from '../../src/lambda/function.ts'

const Position = z.object({ truck_id: z.string(), speed: z.number(), at: z.number().optional() })

const ALERTS_URL = process.env['ALERTS_URL'] ?? ''

/** One record after the other for each truck, several trucks at a time. */
export const handler = kafkaBatch(
  async (record, _context, { signal }) => {
    const { truck_id: truck, speed } = record.data
    if (record.headers.text('test') !== undefined) throw new SkipRecord('a test drive')
    if (speed <= 100) return
    if (ALERTS_URL === '') return console.log(`${truck} is at ${speed} km/h`)

    const reply = await post({ truck, speed, id: record.id }, signal)
    // 429 and 5xx: the service is at fault. This record and the later ones of the truck wait, and lose no attempt.
    if (reply.status === 429 || reply.status >= 500) throw new RetryRecord(`${reply.status}`, { unavailable: true })
    // Any other refusal stays one, however often it is tried.
    if (!reply.ok) throw new DeadLetterRecord(`the alert was refused with ${reply.status}`)
  },
  { schema: Position, order: 'key', concurrency: 8 }
)

async function post(alert: { truck: string; speed: number; id: string }, signal: AbortSignal): Promise<Response> {
  const headers = { 'content-type': 'application/json', 'idempotency-key': alert.id }
  try {
    return await fetch(ALERTS_URL, { method: 'POST', headers, body: JSON.stringify(alert), signal })
  } catch (error) {
    throw new RetryRecord('the alert service cannot be reached', { unavailable: true, cause: error })
  }
}
