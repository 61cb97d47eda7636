/** Events that a program has one by one, as a chunk. */

import { ChunkBuilder, type EventChunk } from '../event-chunk.ts'

/**
 * Makes a chunk of events: texts and bytes as they are, everything else as JSON.
 *
 * @param events - In order. Some hundreds at once cost least.
 * @param from - `position` and `number` of the source before them, for its progress and for dead letters. Default 0.
 */
export function chunkOfEvents(
  events: readonly unknown[],
  from: { readonly position?: number; readonly number?: number } = {}
): EventChunk {
  const builder = new ChunkBuilder()
  const pieces: Buffer[] = []
  let at = 0
  for (const [index, event] of events.entries()) {
    const bytes = bytesOf(event)
    builder.add(at, at + bytes.length, (from.number ?? 0) + index + 1)
    pieces.push(bytes)
    at += bytes.length
  }
  return builder.build(Buffer.concat(pieces), (from.position ?? 0) + at)
}

function bytesOf(event: unknown): Buffer {
  if (typeof event === 'string') return Buffer.from(event)
  if (event instanceof Uint8Array) return Buffer.from(event.buffer, event.byteOffset, event.byteLength)
  // What has no JSON becomes an event that is none, and ends as a dead letter.
  return Buffer.from(JSON.stringify(event) ?? '')
}
