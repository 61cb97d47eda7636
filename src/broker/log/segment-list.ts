/**
 * The segments of a partition in order of base offset; never empty. The last
 * one is active: it gets the next batch.
 */

import { invariant } from '../../core/index.ts'
import type { Segment } from './segment.ts'

/** Segments, oldest first. */
export class SegmentList {
  #segments: Segment[]
  #changeCount = 0

  /** @param segments - At least one, in order of base offset. */
  constructor(segments: readonly Segment[]) {
    invariant(segments.length > 0, 'a log has at least one segment')
    this.#segments = [...segments]
  }

  /** All segments, oldest first. */
  get all(): readonly Segment[] {
    return this.#segments
  }

  /**
   * How often segments were replaced or removed: what was read meanwhile may be of old and new files mixed, or of
   * files that are gone.
   */
  get changeCount(): number {
    return this.#changeCount
  }

  /** The oldest segment. */
  get first(): Segment {
    const segment = this.#segments[0]
    invariant(segment, 'a log has a first segment')
    return segment
  }

  /** The segment that gets the next batch. */
  get active(): Segment {
    const segment = this.#segments.at(-1)
    invariant(segment, 'a log has an active segment')
    return segment
  }

  /** Bytes of all segments. */
  get sizeBytes(): number {
    let bytes = 0
    for (const segment of this.#segments) bytes += segment.sizeBytes
    return bytes
  }

  /** Adds a segment at the end. */
  push(segment: Segment): void {
    invariant(segment.baseOffset >= this.active.baseOffset, 'segments are added in order of offset')
    this.#segments.push(segment)
  }

  /** The segment that holds the offset, or the first one after a gap; `undefined` below all of them. */
  floor(offset: bigint): Segment | undefined {
    let low = 0
    let high = this.#segments.length - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      const segment = this.#segments[middle]
      if (segment !== undefined && segment.baseOffset <= offset) low = middle + 1
      else high = middle - 1
    }
    return this.#segments[high]
  }

  /** How many segments are older; -1 if this one is not in the log. */
  indexOf(segment: Segment): number {
    return this.#segments.indexOf(segment)
  }

  /** The segment after this one. */
  after(segment: Segment): Segment | undefined {
    const index = this.#segments.indexOf(segment)
    return index < 0 ? undefined : this.#segments[index + 1]
  }

  /** Removes the segments after this one and returns them. */
  dropAfter(segment: Segment): Segment[] {
    const index = this.#segments.indexOf(segment)
    return index < 0 ? [] : this.#segments.splice(index + 1)
  }

  /** Removes the `count` oldest segments and returns them; the last one always stays. */
  dropOldest(count: number): Segment[] {
    const dropped = this.#segments.splice(0, Math.min(count, this.#segments.length - 1))
    if (dropped.length > 0) this.#changeCount += 1
    return dropped
  }

  /** Puts one segment in the place of neighbours that it was made from; all must be in the log. */
  replace(old: readonly Segment[], segment: Segment): void {
    const index = old[0] === undefined ? -1 : this.#segments.indexOf(old[0])
    const isThere = index >= 0 && old.every((each, at) => this.#segments[index + at] === each)
    invariant(isThere, 'only neighbours that are in the log are replaced')
    this.#segments.splice(index, old.length, segment)
    this.#changeCount += 1
  }
}
