/** Chooses how events are read: by looking for the declared fields in the bytes, or by parsing every event. */

import { type Random, systemRandom } from '../core/index.ts'
import { type EventReader, type EventReaderOptions, ParsedEvents } from './chunk-events.ts'
import { type EventKernel, eventKernel } from './kernel/event-kernel.ts'
import { ScannedEvents } from './scanned-events.ts'

/**
 * A reader for these fields. Which way it reads makes no difference but in speed.
 *
 * @param random - Where the kernel's hashes begin, so that nobody can foresee them. Default: the machine's generator.
 */
export function eventReader(options: EventReaderOptions, random: Random = systemRandom): EventReader {
  const { fields, recordBytesMax } = options
  let kernel: EventKernel | undefined
  let isChosen = false
  return {
    open: (chunk, context) => {
      if (!isChosen) {
        isChosen = true
        kernel = fields.isParsedExpected ? undefined : eventKernel(fields.paths, { recordBytesMax, random })
      }
      return kernel === undefined
        ? new ParsedEvents(chunk, context, options)
        : new ScannedEvents(chunk, context, options, kernel)
    }
  }
}
