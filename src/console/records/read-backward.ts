/**
 * The newest records of some partitions, the newest first, and those before them when it is asked to go on.
 *
 * Kafka reads forwards only, and offsets are no counts (transactions and compaction leave gaps, a search leaves out
 * most): each partition is read in windows from its end towards its beginning, each four times as large as the one
 * before, until it has given enough. Then the newest of all are taken, from each partition as far as they go: what was
 * found beyond is found again by whoever goes on from there.
 *
 * Limits: windows of at most 4096 / `limit` partitions are read at the same time: about 4096 records are held at most.
 */

import { type ReadRecord, recordAt, type RecordRange, RecordReader } from '../../ops/index.ts'
import type { Positions } from './positions.ts'
import type { Reading, ReadingResult } from './reading.ts'

interface Kept<T> {
  readonly value: T
  readonly offset: bigint
  readonly timestampMs: number
}

/** A partition on its way back. */
interface Lane<T> {
  readonly range: RecordRange
  /** Everything from here to where the reading began was looked at. */
  low: bigint
  /** Newest first. */
  found: Kept<T>[]
  /** There are older ones than those that are wanted of all: it need not go further back. */
  isEnough: boolean
}

const HELD_MAX = 4096
const LANES_MIN = 4

/** See the module. Ranges are read from `to` down to `from`. */
export async function readBackward<T>(reading: Reading<T>, ranges: readonly RecordRange[]): Promise<ReadingResult<T>> {
  return await new BackwardReading(reading, ranges).run()
}

class BackwardReading<T> {
  readonly #reading: Reading<T>
  readonly #lanes: readonly Lane<T>[]
  #searched = 0

  constructor(reading: Reading<T>, ranges: readonly RecordRange[]) {
    this.#reading = reading
    this.#lanes = ranges.map(range => ({ range, low: topOf(range), found: [], isEnough: false }))
  }

  async run(): Promise<ReadingResult<T>> {
    const { limit, signal } = this.#reading
    const together = Math.max(LANES_MIN, Math.floor(HELD_MAX / limit))
    let isWhole = true
    for (let size = BigInt(limit); isWhole; size *= 4n) {
      const open = this.#lanes.filter(lane => !lane.isEnough && lane.low > lane.range.from)
      if (open.length === 0 || signal.aborted) break
      for (let at = 0; at < open.length && isWhole; at += together) {
        isWhole = await this.#window(open.slice(at, at + together), size)
        this.#prune()
      }
    }
    const { taken, positions } = this.#newest()
    return { kept: taken.map(({ value }) => value), positions, searched: this.#searched }
  }

  /** @returns Whether all of it was read. */
  async #window(lanes: readonly Lane<T>[], size: bigint): Promise<boolean> {
    const { cluster, matcher, limit, keep, signal, onTrouble } = this.#reading
    const windows = new Map<RecordRange, { readonly lane: Lane<T>; found: Kept<T>[] }>()
    for (const lane of lanes) {
      const from = lane.low - size > lane.range.from ? lane.low - size : lane.range.from
      windows.set({ ...lane.range, from, to: lane.low }, { lane, found: [] })
    }
    const reader = new RecordReader({
      cluster,
      ranges: [...windows.keys()],
      isReadCommitted: true,
      matcher,
      signal,
      onTrouble,
      onRecord: (cursor, range) => {
        const window = windows.get(range)
        if (window === undefined) return true
        const record: ReadRecord = recordAt(cursor, range)
        const { offset, timestampMs } = record
        window.found.push({ value: keep(record), offset, timestampMs })
        // Read forwards, wanted backwards: the older ones of a full window go.
        if (window.found.length >= 2 * limit) window.found = window.found.slice(-limit)
        return true
      }
    })
    const isAll = (await reader.run()) === 'all'
    this.#searched += reader.recordCount
    for (const [range, { lane, found }] of windows) {
      // Of a window that was not read to its end the newest are missing.
      if (!isAll && reader.reachedOf(range) < (range.to ?? range.endOffset)) continue
      lane.found.push(...found.toReversed())
      lane.low = range.from
    }
    return isAll
  }

  /** Lets go of what is older than the newest of all that are wanted. */
  #prune(): void {
    const { limit } = this.#reading
    const { counts, taken } = this.#newest()
    for (const lane of this.#lanes) {
      const count = counts.get(lane) ?? 0
      if (lane.found.length >= limit) lane.isEnough = true
      if (taken.length < limit || count === lane.found.length) continue
      lane.isEnough = true
      // One more says that there are more, and where.
      lane.found = lane.found.slice(0, count + 1)
    }
  }

  /** The newest of all, from each lane the newest first whatever the times of those behind it. */
  #newest(): {
    readonly taken: readonly Kept<T>[]
    readonly counts: ReadonlyMap<Lane<T>, number>
    readonly positions: Positions
  } {
    const counts = new Map<Lane<T>, number>()
    const taken: Kept<T>[] = []
    while (taken.length < this.#reading.limit) {
      let best: Lane<T> | undefined
      let bestMs = Number.NEGATIVE_INFINITY
      for (const lane of this.#lanes) {
        const head = lane.found[counts.get(lane) ?? 0]
        if (head === undefined || (best !== undefined && head.timestampMs <= bestMs)) continue
        best = lane
        bestMs = head.timestampMs
      }
      const head = best?.found[counts.get(best) ?? 0]
      if (best === undefined || head === undefined) break
      taken.push(head)
      counts.set(best, (counts.get(best) ?? 0) + 1)
    }
    const positions = new Map<number, bigint>()
    for (const lane of this.#lanes) {
      const left = lane.found[counts.get(lane) ?? 0]
      const to = left === undefined ? lane.low : left.offset + 1n
      if (to > lane.range.from) positions.set(lane.range.partition, to)
    }
    return { taken, counts, positions }
  }
}

function topOf({ to, endOffset }: RecordRange): bigint {
  return to ?? endOffset
}
