/** What is kept of a topic between looks: the ends of its partitions. */

import type { ScannedPartition } from '../scan/scan-types.ts'
import { EndHistory } from './end-history.ts'
import type { JudgedEnds } from './judge.ts'

interface PartitionTrack {
  readonly history: EndHistory
  ends: JudgedEnds
  /** Since when the last stable offset stands where it does below the high watermark; `undefined` if it does not. */
  heldSinceMs: number | undefined
}

/** What was appended to a partition over a time. */
export interface Arrivals {
  /** Offsets that were added; `undefined` before the second look. */
  readonly records: number | undefined
  readonly seconds: number
  /** Records per second; `undefined` before the second look. */
  readonly rate: number | undefined
}

/** One topic. */
export class TopicTrack {
  readonly #partitions: (PartitionTrack | undefined)[] = []
  #topicId: string | undefined

  /** The id under which it was seen last. */
  get topicId(): string | undefined {
    return this.#topicId
  }

  /** Takes note of the topic's id. @returns Whether it is another topic than before: what was known is forgotten. */
  isAnew(topicId: string): boolean {
    const isAnother = this.#topicId !== undefined && this.#topicId !== topicId
    this.#topicId = topicId
    if (isAnother) this.#partitions.length = 0
    return isAnother
  }

  /** Takes note of a partition. One that could not be looked at keeps what was known. */
  add(scanned: ScannedPartition, nowMs: number, isReadCommitted: boolean): void {
    if (scanned.problem !== undefined) return
    const { partition, logStartOffset, highWatermark, lastStableOffset } = scanned
    // Asked at two moments: what is stable can seem to go beyond what was the end a moment before.
    const endOffset = isReadCommitted && lastStableOffset < highWatermark ? lastStableOffset : highWatermark
    const ends = { logStartOffset, endOffset, heldBackRecords: highWatermark - endOffset }
    const track = this.#partitions[partition] ?? { history: new EndHistory(), ends, heldSinceMs: undefined }
    const isHeldStill =
      ends.heldBackRecords > 0n && track.heldSinceMs !== undefined && track.ends.endOffset === endOffset
    if (!isHeldStill) track.heldSinceMs = ends.heldBackRecords > 0n ? nowMs : undefined
    // A leader that lost records, or a topic that was made anew where there are no topic ids.
    if (Number(endOffset) < (track.history.lastOffset ?? 0)) track.history.clear()
    track.history.add(nowMs, Number(endOffset))
    track.ends = ends
    this.#partitions[partition] = track
  }

  /** `undefined` = never known. */
  endsOf(partition: number): JudgedEnds | undefined {
    return this.#partitions[partition]?.ends
  }

  /** By number of the partition: what was appended since a time, or since it is known if that is later. */
  arrivals(sinceMs: number): Arrivals[] {
    return Array.from(this.#partitions, track =>
      track === undefined ? noArrivals : arrivalsOf(track.history, sinceMs)
    )
  }

  /** Empty where nothing is known. */
  historyOf(partition: number): EndHistory {
    return this.#partitions[partition]?.history ?? none
  }

  /** See `PartitionTrack`. */
  heldSinceMs(partition: number): number | undefined {
    return this.#partitions[partition]?.heldSinceMs
  }
}

const noArrivals: Arrivals = { records: undefined, seconds: 0, rate: undefined }

function arrivalsOf(history: EndHistory, sinceMs: number): Arrivals {
  const fromMs = Math.max(sinceMs, history.firstTimeMs ?? Infinity)
  const seconds = ((history.lastTimeMs ?? 0) - fromMs) / 1000
  const then = history.offsetAt(fromMs)
  if (!(seconds > 0) || then === undefined) return noArrivals
  const records = Math.max(0, (history.lastOffset ?? 0) - then)
  return { records, seconds, rate: records / seconds }
}

const none = new EndHistory(2)
