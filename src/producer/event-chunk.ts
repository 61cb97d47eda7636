/**
 * A chunk of events: what a source hands over at once.
 *
 * The bytes stay as they came; an event is a span of them. Everything that can
 * be decided per chunk (is it ASCII, is it UTF-8) is decided once, so that the
 * path of a single event has no copy and no promise.
 */

import { isAscii, isUtf8 } from 'node:buffer'

import type { AppendHeader } from '../client/index.ts'
import type { EventProblem } from './event-problem.ts'

/** Events of one source, in order. */
export interface EventChunk {
  /** Holds all events. Must not change until the chunk is settled. */
  readonly bytes: Buffer
  /** Start and end (exclusive) of each event in `bytes`: two numbers an event. */
  readonly spans: Uint32Array
  /** How many events. */
  readonly count: number
  /** Line, or number in an array, of each event, from 1. */
  readonly lines: Uint32Array
  /** Whole length of events of which only the beginning was kept, by index, in bytes. */
  readonly truncated?: ReadonlyMap<number, number>
  /** What the source itself found wrong with events, by index: they are not read any further. */
  readonly problems?: ReadonlyMap<number, EventProblem>
  /** Position in the source after this chunk, in bytes. */
  readonly position: number
  /** Headers that an event brings along, by index; a source of records has them. */
  readonly rowHeaders?: (index: number) => readonly AppendHeader[] | undefined
  /** Key that an event brings along, by index, instead of one from its fields; a source of records has them. */
  readonly rowKeys?: (index: number) => Buffer | null
  /** Time that an event brings along, by index, in milliseconds since 1970; a source of records has them. */
  readonly rowTimes?: (index: number) => number | undefined
  /** Name of an event in its source, by index, for dead letters: offset, sequence number, … Default: its line. */
  readonly rowNames?: (index: number) => string
  /** Events that are records without a value, by index: passed on as such, with the key they bring along. */
  readonly tombstones?: ReadonlySet<number>
}

/** Where an event starts in its chunk. */
export function spanStart(chunk: EventChunk, index: number): number {
  return chunk.spans[index * 2] ?? 0
}

/** Where an event ends (exclusive) in its chunk. */
export function spanEnd(chunk: EventChunk, index: number): number {
  return chunk.spans[index * 2 + 1] ?? 0
}

/** How an event is called in its source: its line, its number, or the name that the source gives it. */
export function eventName(chunk: EventChunk, index: number): string {
  return chunk.rowNames?.(index) ?? String(chunk.lines[index] ?? 0)
}

const FIRST_COUNT = 64

/** Collects spans and makes a chunk of them. */
export class ChunkBuilder {
  #spans: Uint32Array
  #lines: Uint32Array
  #count = 0
  #truncated: Map<number, number> | undefined
  #problems: Map<number, EventProblem> | undefined

  /** @param count - How many events there will be, about. */
  constructor(count = FIRST_COUNT) {
    this.#spans = new Uint32Array(count * 2)
    this.#lines = new Uint32Array(count)
  }

  /** How many events were added since the last `build`. */
  get count(): number {
    return this.#count
  }

  /** Adds an event. */
  add(start: number, end: number, line: number): void {
    if (this.#count === this.#lines.length) this.#grow()
    this.#spans[this.#count * 2] = start
    this.#spans[this.#count * 2 + 1] = end
    this.#lines[this.#count] = line
    this.#count += 1
  }

  /** Says of the last event that only its beginning was kept, and how long it was. */
  markTruncated(wholeBytes: number): void {
    this.#truncated ??= new Map()
    this.#truncated.set(this.#count - 1, wholeBytes)
  }

  /** Says what is wrong with the last event: it becomes a dead letter, or goes back to its sender. */
  markProblem(problem: EventProblem): void {
    this.#problems ??= new Map()
    this.#problems.set(this.#count - 1, problem)
  }

  /** The chunk of what was added. The builder starts anew. */
  build(bytes: Buffer, position: number): EventChunk {
    const chunk: EventChunk = {
      bytes,
      spans: this.#spans.slice(0, this.#count * 2),
      lines: this.#lines.slice(0, this.#count),
      count: this.#count,
      position,
      ...(this.#truncated === undefined ? {} : { truncated: this.#truncated }),
      ...(this.#problems === undefined ? {} : { problems: this.#problems })
    }
    this.#count = 0
    this.#truncated = undefined
    this.#problems = undefined
    return chunk
  }

  #grow(): void {
    const spans = new Uint32Array(this.#spans.length * 2)
    spans.set(this.#spans)
    this.#spans = spans
    const lines = new Uint32Array(this.#lines.length * 2)
    lines.set(this.#lines)
    this.#lines = lines
  }
}

/** The text of a chunk's events, decoded as cheaply as the chunk allows. */
export class ChunkText {
  readonly #chunk: EventChunk
  /** The whole chunk, when it is ASCII: a byte is a character, and an event is a slice. */
  readonly #ascii: string | undefined
  readonly #isUtf8: boolean

  constructor(chunk: EventChunk) {
    this.#chunk = chunk
    const { bytes } = chunk
    this.#ascii = isAscii(bytes) ? bytes.toString('latin1') : undefined
    this.#isUtf8 = this.#ascii !== undefined || isUtf8(bytes)
  }

  /** The text of an event, or `undefined` if its bytes are not UTF-8. */
  textOf(index: number): string | undefined {
    const start = spanStart(this.#chunk, index)
    const end = spanEnd(this.#chunk, index)
    if (this.#ascii !== undefined) return this.#ascii.slice(start, end)
    const { bytes } = this.#chunk
    if (!this.#isUtf8 && !isUtf8(bytes.subarray(start, end))) return undefined
    return bytes.toString('utf8', start, end)
  }
}
