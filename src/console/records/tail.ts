/**
 * `GET /api/records/tail`: new records of a topic as they come, as far as a person can follow.
 *
 * At most 20 of them five times a second; what comes faster is counted and left out, and so is what a slow browser has
 * no room for. A stream ends after half an hour: a page that was forgotten asks anew, or does not.
 */

import { messageOf, PipelineError } from '../../core/index.ts'
import { recordAt, RecordReader, type RecordMatcher, type RecordRange } from '../../ops/index.ts'
import { LIST_BYTES, type ShownRecord, type TailBatch } from '../api/records.ts'
import type { Caller, ConsoleContext } from '../server/server-types.ts'
import type { EventStream } from './event-stream.ts'
import type { ReadQuery } from './records-query.ts'
import { shownTo } from './shown-record.ts'

const BATCH_MS = 200
const BATCH_MAX = 20
const BEATS = 50
const TAIL_MS_MAX = 1_800_000

/** What a stream shows. */
export interface TailWish {
  readonly query: ReadQuery
  readonly ranges: readonly RecordRange[]
  readonly matcher: RecordMatcher | undefined
  readonly caller: Caller
}

/** Runs until the browser goes away, the time is over or the console closes. Never rejects. */
export async function runTail(wish: TailWish, stream: EventStream, context: ConsoleContext): Promise<void> {
  const { query, ranges, matcher, caller } = wish
  const { clock, cluster, closing } = context
  const limit = new AbortController()
  const timer = clock.after(TAIL_MS_MAX, () => limit.abort())
  const waiting: ShownRecord[] = []
  let dropped = 0
  let beats = 0
  const reader = new RecordReader({
    cluster,
    ranges: ranges.map(range => ({ ...range, from: range.endOffset, to: undefined })),
    isReadCommitted: true,
    matcher,
    signal: AbortSignal.any([closing, limit.signal, stream.gone]),
    onRecord: (cursor, range) => {
      if (waiting.length >= BATCH_MAX) dropped += 1
      else waiting.push(shownTo(recordAt(cursor, range), { shape: query.shape, caller, bytesMax: LIST_BYTES }))
      return true
    }
  })
  const flush = (): void => {
    beats += 1
    if (!stream.hasRoom) {
      dropped += waiting.length
      waiting.length = 0
    } else if (waiting.length > 0 || dropped > 0) {
      const batch: TailBatch = { records: waiting.splice(0), dropped, searched: reader.recordCount }
      stream.send('records', batch)
      dropped = 0
    } else if (beats % BEATS === 0) stream.beat()
  }
  const flushing = clock.every(BATCH_MS, flush)
  stream.beat()
  try {
    await reader.run()
    flush()
    stream.send('end', {})
  } catch (error) {
    const code = PipelineError.is(error) ? error.code : 'ERR_CONSOLE_INTERNAL'
    stream.send('problem', { code, message: messageOf(error) })
  } finally {
    flushing.cancel()
    timer.cancel()
    stream.end()
  }
}
