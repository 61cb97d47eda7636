/**
 * A source of one's own: asks an HTTP API for what is new and publishes it. In the pipeline file:
 *
 *   producer:
 *     sources:
 *       - { type: module, file: ./poll-source.mjs, options: { url: 'https://example.com/measurements', state: ./cursor } }
 *
 * The API answers {"items":[…],"next":"cursor"}; without `next` it has nothing more now. The cursor is kept in a state
 * file, and only once all events before it are safe: a kill repeats the last page, and loses nothing.
 */

// In a project of your own: from 'comporta/producer'.
import { chunkOfEvents, OpenChunks, StateFile } from '../../src/producer/index.ts'

/** @type {import('../../src/producer/index.ts').CreateSource} */
export function createSource(options, { clock, logger }) {
  const { url, state: file, everyMs = 1000 } = options
  if (typeof url !== 'string' || typeof file !== 'string') throw new Error('options.url and options.state are texts')
  const chunks = new OpenChunks()
  let eventCount = 0
  let readBytes = 0

  return {
    name: 'poll',

    async run(intake, signal) {
      const state = await StateFile.open({ file, kind: 'poll', clock, logger })
      // Ends with a failed event, too: the error of `chunks.end()` then says which. The next start goes on at the cursor.
      const stop = AbortSignal.any([signal, chunks.failedSignal])
      let cursor = state.saved ?? ''
      try {
        while (!stop.aborted) {
          const response = await fetch(`${url}?after=${encodeURIComponent(cursor)}`, { signal: stop })
          if (!response.ok) throw new Error(`${url} answers ${response.status}`)
          const { items, next } = await response.json()
          if (items.length > 0) {
            const chunk = chunkOfEvents(items, { position: readBytes, number: eventCount })
            eventCount += items.length
            readBytes = chunk.position
            const reached = next ?? cursor
            // Waits until Kafka has room: that is the backpressure.
            await chunks.follow(chunk.position, intake.submit(chunk, { source: 'poll' }), {
              onSafe: () => state.set(() => reached)
            })
          }
          if (next === undefined) await pause(clock, everyMs, stop)
          else cursor = next
        }
      } catch (error) {
        if (!stop.aborted) throw error // a stop ends the request under way
      } finally {
        // Finish what was read, then write the last cursor.
        try {
          await chunks.end()
        } finally {
          await state.close()
        }
      }
    },

    progress: () => ({ eventCount, readBytes, safeBytes: chunks.safeBytes }),

    async close() {}
  }
}

function pause(clock, ms, stop) {
  return new Promise(resolve => {
    const timer = clock.after(ms, resolve)
    stop.addEventListener('abort', () => (timer.cancel(), resolve()), { once: true })
  })
}
