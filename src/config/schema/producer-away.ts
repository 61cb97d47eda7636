/** `producer.whenAway` and `producer.spill`: what happens to events while Kafka does not acknowledge. */

import { z } from 'zod'

import { integer, milliseconds, type Report } from './common.ts'

/** `producer.whenAway` */
export const whenAwaySchema = z
  .strictObject({
    mode: z
      .enum(['wait', 'reject', 'spill'])
      .default('wait')
      .describe(
        '`wait`: sources wait, HTTP answers 429 when too much waits; `reject`: HTTP answers 503 at once, other ' +
          'sources wait; `spill`: events are kept on disk and replayed (needs `spill`).'
      ),
    afterMs: milliseconds(100, 600_000)
      .default(10_000)
      .describe('Kafka counts as away when the oldest record has waited that long for its acknowledgement.')
  })
  .describe('What happens while Kafka does not acknowledge.')

/** `producer.spill` */
export const spillSchema = z
  .strictObject({
    dir: z.string().min(1).describe('Folder of its own on a local disk. One producer at a time uses it.'),
    bytesMax: integer(2_097_152, 1_099_511_627_776)
      .default(1_073_741_824)
      .describe('Most bytes on disk; a full spill makes sources wait.'),
    segmentBytes: integer(1_048_576, 1_073_741_824)
      .default(16_777_216)
      .describe('Size of a file; its room is free again when all of it is in Kafka.')
  })
  .describe('Where events are kept while Kafka is away.')

/** What of `producer:` these rules look at. */
interface AwaySettings {
  readonly whenAway: z.infer<typeof whenAwaySchema>
  readonly spill?: z.infer<typeof spillSchema> | undefined
  readonly recordBytesMax: number
  readonly delivery: { readonly bufferBytes: number }
}

/** Reports what does not go together. */
export function checkAway({ whenAway, spill, recordBytesMax, delivery }: AwaySettings, report: Report): void {
  const isSpilling = whenAway.mode === 'spill'
  if (isSpilling && spill === undefined)
    report(['producer', 'whenAway', 'mode'], '`spill` needs `producer.spill`, which says where: `spill: { dir: … }`')
  if (spill === undefined) return
  if (!isSpilling) report(['producer', 'spill'], 'needs `whenAway: { mode: spill }`: set that, or remove it')
  if (spill.segmentBytes * 2 > spill.bytesMax)
    report(['producer', 'spill', 'segmentBytes'], `must be at most half of bytesMax: ${Math.floor(spill.bytesMax / 2)}`)
  const leastBytes = 2 * (delivery.bufferBytes + recordBytesMax)
  if (spill.bytesMax < leastBytes) {
    const what = 'delivery.bufferBytes and one record: what waits for Kafka when it goes away is copied there'
    report(['producer', 'spill', 'bytesMax'], `must be at least ${leastBytes}, twice ${what}`)
  }
}
