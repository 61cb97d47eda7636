/**
 * A Lambda function for Comporta's payload: it takes a batch of one partition,
 * looks at each event, and answers which records are not done.
 *
 * The same file runs in AWS (compiled) and in the embedded runtime (as it is):
 * `handler: examples/lambda/speed-check.ts`.
 */

interface Batch {
  readonly topic: string
  readonly partition: number
  readonly messages: readonly { readonly truck_id?: unknown; readonly speed?: unknown }[]
  readonly offsets: readonly number[]
}

interface Failure {
  readonly offset: number
  readonly action: 'retry' | 'deadLetter' | 'skip'
  readonly reason: string
}

/** Reports trucks over 100 km/h; an event without a speed goes to the dead letter topic, its neighbours do not. */
export async function handler(batch: Batch): Promise<{ failures?: Failure[] }> {
  const failures: Failure[] = []
  for (const [index, event] of batch.messages.entries()) {
    const offset = batch.offsets[index] ?? -1
    if (typeof event.speed !== 'number') failures.push({ offset, action: 'deadLetter', reason: 'speed is missing' })
    else if (event.speed > 100) console.log(`${String(event.truck_id)} is at ${event.speed} km/h`)
  }
  return failures.length === 0 ? {} : { failures }
}
