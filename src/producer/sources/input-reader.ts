/** Reads one opened input to its end: skips what is safe, cuts lines, hands them over, says what has become safe. */

import type { Intake } from '../intake.ts'
import type { OpenedInput } from './file-input.ts'
import { type FedLines, LineFeed } from './line-feed.ts'
import type { OpenChunks } from './open-chunks.ts'
import { pieceReader } from './piece-reader.ts'
import { pointOf, type ResumePoint, StreamSkipper } from './resume-point.ts'
import type { TextLines } from './text-lines.ts'

/** What is read, and how. */
export interface InputReading {
  readonly opened: OpenedInput
  /** Where to go on. Default: at the start. */
  readonly point?: ResumePoint | undefined
  /** Name of the source in dead letters. */
  readonly name: string
  readonly text?: TextLines | undefined
  readonly intake: Intake
  readonly chunks: OpenChunks
  /** Names the source across restarts, for positions that are committed with the events. Default: none are. */
  readonly positionKey?: string
  /** Added to positions in the input, for `chunks`. Default 0. */
  readonly offsetBytes?: number
  /** Ends the reading. */
  readonly stop: AbortSignal
  /** The bytes of the point are those of the last time: nothing was handed over before. */
  readonly onResumed?: () => void
  /** Bytes were read and events are handed over. */
  readonly onRead?: (eventCount: number, readBytes: number) => void
  /** All events up to here are safe. Calling it makes the point. */
  readonly onSafe: (point: () => ResumePoint) => void
}

/** How the reading of an input ended. `other` = it is not the input of the point, and nothing was handed over. */
export type InputEnd =
  { readonly kind: 'ended' } | { readonly kind: 'stopped' } | { readonly kind: 'other'; readonly reason: string }

/**
 * Reads an input. Its stream stays open.
 *
 * @throws What the stream throws. What was handed over before is in `chunks`.
 */
export async function readInput(reading: InputReading): Promise<InputEnd> {
  const { opened, point, intake, stop } = reading
  const next = pieceReader(opened.stream, stop)
  const skipped = opened.from === undefined && point !== undefined ? await skip(point, next, stop) : undefined
  if (skipped?.kind === 'stopped' || skipped?.kind === 'other') return skipped
  if (point !== undefined) reading.onResumed?.()
  const from = opened.from ?? skipped
  const feed = new LineFeed({ recordBytesMax: intake.recordBytesMax, text: reading.text, from, head: from?.head })
  reading.onRead?.(0, feed.position)
  if (skipped !== undefined) await hand(feed.push(skipped.rest), feed, reading)
  for (let bytes = await next(); bytes !== undefined; bytes = await next()) await hand(feed.push(bytes), feed, reading)
  if (stop.aborted && !opened.stream.readableEnded) return { kind: 'stopped' }
  await hand(feed.end(), feed, reading)
  return { kind: 'ended' }
}

async function hand(lines: FedLines | undefined, feed: LineFeed, reading: InputReading): Promise<void> {
  const { opened, intake, chunks, name, positionKey, onSafe } = reading
  reading.onRead?.(lines?.chunk?.count ?? 0, feed.position)
  if (lines === undefined) return
  const { chunk, mark } = lines
  const point = (): ResumePoint => pointOf(mark, feed.head, opened.file)
  const safe = (): void => onSafe(point)
  const position = (reading.offsetBytes ?? 0) + mark.bytes
  if (chunk === undefined) chunks.reach(position, safe)
  else {
    const behind = positionKey === undefined ? {} : { position: { key: positionKey, state: point } }
    await chunks.follow(position, intake.submit(chunk, { source: name, ...behind }), { onSafe: safe })
  }
}

type Skipped =
  | { readonly kind: 'skipped'; readonly bytes: number; readonly lines: number; readonly head: Buffer; rest: Buffer }
  | Exclude<InputEnd, { kind: 'ended' }>

/** Leaves out the bytes of the point, which must be those of the last time. */
async function skip(point: ResumePoint, next: () => Promise<Buffer | undefined>, stop: AbortSignal): Promise<Skipped> {
  const skipper = new StreamSkipper(point)
  for (;;) {
    const bytes = await next()
    if (stop.aborted) return { kind: 'stopped' }
    const result = bytes === undefined ? skipper.end() : skipper.push(bytes)
    if (result === undefined) continue
    if (result.check.kind === 'other') return result.check
    return {
      kind: 'skipped',
      bytes: result.check.skipBytes,
      lines: point.lines,
      head: skipper.head,
      rest: result.rest
    }
  }
}
